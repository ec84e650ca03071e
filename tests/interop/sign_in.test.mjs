// Accounts over the native protocol: names with passwords, and what becomes of who is signed in.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';

import WebSocket from 'ws';

import { Server, runCommand } from '../support/server.mjs';
import { until } from '../support/until.mjs';

let server;

before(async () => {
    server = await Server.start({ sanitized: true });
    await api('POST', '', { name: 'ada', password: 'a long password', display_name: 'Ada' });
});
after(async () => assert.deepEqual(await server?.stop(), { status: 0, signal: null }));

async function api(method, path, body) {
    const token = (await runCommand(['token', '--admin', '--data', server.dataDir])).output.trim();
    const response = await fetch(`http://127.0.0.1:${server.httpPort}/api/v1/users${path}`,
        { method, body: JSON.stringify(body), headers: { authorization: `Bearer ${token}` } });
    assert.ok(response.ok, `${method} ${path}: ${response.status}`);
}

/** A session that says `register`. */
async function register(fields) {
    const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}/ws`);
    socket.inbox = [];
    socket.on('message', (data) => socket.inbox.push(JSON.parse(data)));
    socket.closed = once(socket, 'close').then(([code]) => code);
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'hello', id: 1, version: 1 }));
    socket.send(JSON.stringify({ type: 'register', id: 2, ...fields }));
    socket.reply = await until('a reply', () => socket.inbox.find(({ id }) => id === 2));
    return socket;
}

test('the right password makes callable, a wrong one does not, and none neither', async () => {
    const right = await register({ user: 'ada', password: 'a long password' });
    assert.equal(right.reply.type, 'ok');
    const again = await register({ user: 'ada', password: 'a long password' }); // from memory, and a second device
    assert.equal(again.reply.type, 'ok');
    const wrong = await register({ user: 'ada', password: 'a long passwort' });
    assert.equal(wrong.reply.code, 'login_refused');
    const nobody = await register({ user: 'nobody', password: 'a long password' });
    assert.equal(nobody.reply.code, 'login_refused');
    assert.equal(nobody.reply.message, wrong.reply.message);
    const without = await register({ user: 'ada' });
    assert.equal(without.reply.code, 'user_taken');
    for (const socket of [right, again, wrong, nobody, without]) socket.terminate();
});

test('who is gone, or has another password, is sent away', async () => {
    await api('POST', '', { name: 'ben', password: 'one password' });
    const first = await register({ user: 'ben', password: 'one password' });
    assert.equal(first.reply.type, 'ok');
    await api('PATCH', '/ben', { password: 'another password' });
    assert.equal(await first.closed, 4001);
    const old = await register({ user: 'ben', password: 'one password' });
    assert.equal(old.reply.code, 'login_refused');
    const second = await register({ user: 'ben', password: 'another password' });
    assert.equal(second.reply.type, 'ok');
    await api('DELETE', '/ben');
    assert.equal(await second.closed, 4001);
    old.terminate();
});
