// The PeerJS protocol by plain sockets: what no client does, and what a page cannot see of it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';

import WebSocket from 'ws';

import { NativeClient } from '../support/native_client.mjs';
import { Server, runCommand } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const secret = 'a secret of this test file alone';
const site = 'https://pages.example.org';
/** @type {Server} */
let server;

before(async () => {
    server = await Server.start({
        sanitized: true,
        // the descriptions here are made up: media could not be negotiated with the server
        set: { 'auth.token_secret': secret, 'calls.media': 'direct', 'peerjs.expire': '300ms', 'peerjs.max_peers': 20, 'peerjs.allowed_origins': site,
            'signal.message_rate': 20, 'signal.message_burst': 50, 'signal.resume_window': '1s' },
    });
});
after(async () => assert.deepEqual(await server?.stop(), { status: 0, signal: null }));

async function mint(user) {
    const { output } = await runCommand(['token', '--set', `auth.token_secret=${secret}`, '--user', user]);
    return output.trim();
}

class Peer {
    inbox = [];

    /** Connects; what the server says first is in `greeting`. */
    static async connect(id, { token = `${id}-token`, key = 'peerjs', path = '/peerjs', to = server, ...options } = {}) {
        const peer = new Peer();
        const query = new URLSearchParams({ key, ...(id !== null && { id }), ...(token && { token }), version: '1.5.5' });
        peer.socket = new WebSocket(`ws://127.0.0.1:${to.httpPort}${path}?${query}`, options);
        peer.socket.on('message', (data) => peer.inbox.push(JSON.parse(data)));
        peer.closed = once(peer.socket, 'close').then(([code]) => {
            peer.code = code;
            return code;
        });
        await once(peer.socket, 'open');
        peer.greeting = await peer.next();
        return peer;
    }

    async next() {
        return until('a message', () => this.inbox.shift());
    }

    async hears(type) {
        const message = await this.next();
        assert.equal(message.type, type);
        return message;
    }

    say(message) {
        this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    }

    media(type, dst, connectionId, sdp = `v=0\r\nm=video 9 ${type}`) {
        this.say({ type, dst, payload: { type: 'media', connectionId, sdp: { type: type.toLowerCase(), sdp } } });
    }

    async leave() {
        this.socket.close();
        await this.closed;
    }
}

test('ids and peers over HTTP, for pages of the sites that may', async () => {
    for (const path of ['/peerjs/id', '/peerjs/peerjs/id']) {
        const { status, body, headers } = await server.fetch(`${path}?ts=1&version=1.5.5`, { headers: { origin: site } });
        assert.equal(status, 200);
        assert.match(body, /^[0-9a-f-]{36}$/);
        assert.ok(['*', site].includes(headers['access-control-allow-origin']));
        assert.equal(headers['cache-control'], 'no-store');
    }
    assert.equal((await server.fetch('/peerjs/id', { headers: { origin: 'https://other.example.org' } })).status, 403);
    assert.equal((await server.fetch('/peerjs/peers')).status, 401);
    assert.equal((await server.fetch('/wrong/id')).status, 404);
});

test('pages of other sites may not connect', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}/peerjs?key=peerjs&id=x&token=y`, { origin: 'https://other.example.org' });
    const [problem] = await once(socket, 'error');
    assert.match(problem.message, /403/);
    const mine = await Peer.connect('mine', { origin: site, path: '/peerjs/peerjs' });
    assert.equal(mine.greeting.type, 'OPEN');
    await mine.leave();
});

test('who is not let in hears why', async () => {
    for (const [id, options, type] of [
        ['ann', { key: 'wrong' }, 'INVALID-KEY'],
        ['ann', { token: '' }, 'ERROR'],
        [null, {}, 'ERROR'],
        ['a/b', {}, 'ERROR'],
        ['x'.repeat(65), {}, 'ERROR'],
    ]) {
        const peer = await Peer.connect(id, options);
        assert.equal(peer.greeting.type, type);
        assert.ok(peer.greeting.payload.msg.length > 10);
        assert.equal(await peer.closed, 1008);
    }
});

test('an id is taken, by a PeerJS client or another, and taken up again by its own', async () => {
    const ann = await Peer.connect('ann');
    assert.equal(ann.greeting.type, 'OPEN');
    assert.equal((await Peer.connect('ann', { token: 'stolen' })).greeting.type, 'ID-TAKEN');
    const again = await Peer.connect('ann');
    assert.equal(again.greeting.type, 'OPEN');
    assert.equal(await ann.closed, 4000);
    const native = await NativeClient.start(server);
    await assert.rejects(native.request('register', { user: 'ann' }), /user_taken/);
    await native.request('register', { user: 'nat' });
    assert.equal((await Peer.connect('nat')).greeting.type, 'ID-TAKEN');
    await again.leave();
    await until('the name is free', () => native.request('register', { user: 'ann' }).then(() => true, () => false));
    await native.goodbye();
});

test('offers wait for a peer, and expire', async () => {
    const ann = await Peer.connect('ann');
    ann.media('OFFER', 'late', 'mc_1');
    const late = await Peer.connect('late');
    // it may have been too late on a machine that is slow; then the caller knows
    await until('one of both', () => late.inbox.length + ann.inbox.length > 0);
    ann.inbox.length = 0;
    ann.media('OFFER', 'nobody', 'mc_2');
    assert.equal((await ann.hears('EXPIRE')).src, 'nobody');
    await Promise.all([ann.leave(), late.leave()]);
});

test('a call with the native protocol, and a socket that is lost within it', async () => {
    const native = await NativeClient.start(server);
    await native.request('register', { user: 'nat' });
    let ann = await Peer.connect('ann');
    ann.media('OFFER', 'nat', 'mc_1');
    const { call, sdp, from } = await native.event('call_incoming');
    assert.match(sdp, /m=video/);
    assert.equal(from.user, 'ann');
    await native.request('call_accept', { call, sdp: 'v=0\r\nyes' });
    assert.equal((await ann.hears('ANSWER')).payload.sdp.sdp, 'v=0\r\nyes');
    ann.socket.terminate();
    assert.equal((await native.event('call_peer')).away, true);
    ann = await Peer.connect('ann');
    // back in time, or the call has ended: this machine may be slow
    const next = await until('it is back, or over', () => native.messages.findLast(({ type, away }) => type === 'call_ended' || (type === 'call_peer' && !away)));
    if (next.type === 'call_peer') {
        await native.request('call_hangup', { call });
        const { src, payload } = await ann.hears('OFFER');
        assert.deepEqual([src, payload], ['nat', { type: 'closed', connectionId: 'mc_1' }]);
    }
    await ann.leave();
    await native.goodbye();
});

test('tokens vouch for ids', async () => {
    const strict = await Server.start({ sanitized: true, set: { 'auth.token_secret': secret, 'auth.require_token': true, 'calls.media': 'direct' } });
    try {
        assert.equal((await Peer.connect('ann', { to: strict })).greeting.type, 'ERROR');
        assert.match((await Peer.connect('ann', { to: strict, token: await mint('ben') })).greeting.payload.msg, /another id/);
        assert.match((await Peer.connect('ann', { to: strict, token: `${await mint('ann')}x` })).greeting.payload.msg, /not valid/);
        const first = await Peer.connect('ann', { to: strict, token: await mint('ann') });
        assert.equal(first.greeting.type, 'OPEN');
        // a second device of the same user: both ring
        const native = await NativeClient.start(strict);
        await native.request('register', { user: 'ann', token: await mint('ann') });
        const caller = await Peer.connect('cleo', { to: strict, token: await mint('cleo') });
        caller.media('OFFER', 'ann', 'mc_1');
        await first.hears('OFFER');
        const { call } = await native.event('call_incoming');
        first.media('ANSWER', 'cleo', 'mc_1', 'v=0\r\nfirst');
        await caller.hears('ANSWER');
        assert.equal((await native.event('call_ended')).reason, 'elsewhere');
        assert.ok(call);
        await Promise.all([first.leave(), caller.leave(), native.goodbye()]);
    } finally {
        assert.deepEqual(await strict.stop(), { status: 0, signal: null });
    }
});

test('a user sees the device of this language among its own, with others, and sends it away', async (context) => {
    const peer = await Peer.connect('devices', { token: await mint('devices') });
    const [own, watcher] = [await NativeClient.start(server), await NativeClient.start(server)];
    for (const client of [own, watcher]) context.after(() => client.goodbye());
    await own.request('register', { user: 'devices', token: await mint('devices') });
    await watcher.request('register', { user: 'watcher', token: await mint('watcher') });
    const listed = async () => (await watcher.request('contacts', { prefix: 'devices' })).contacts[0].bindings.toSorted();
    assert.deepEqual(await listed(), ['native', 'peerjs']);
    const { devices } = await own.request('devices');
    const { device } = devices.find(({ binding }) => binding === 'peerjs');
    await own.request('device_revoke', { device });
    assert.equal(await peer.closed, 4001);
    await until('it is not listed', async () => (await listed()).join() === 'native');
    assert.equal((await own.request('devices')).devices.length, 1);
});

test('strangers are held within bounds', async () => {
    const flood = await Peer.connect('flood');
    for (let i = 0; i < 1000; i++) flood.say({ type: 'HEARTBEAT' });
    assert.equal(await flood.closed, 1008);
    assert.ok(await server.total('peerjs_dropped_total', 'rate') > 100);
    const huge = await Peer.connect('huge');
    huge.say('x'.repeat(70000));
    assert.equal(await huge.closed, 1009);
    const odd = await Peer.connect('odd');
    for (const text of ['', '{', '[]', '{"type":"OPEN"}', '{"type":"OFFER","dst":"x"}', '\u0000']) odd.say(text);
    await until('they are counted', async () => await server.total('peerjs_dropped_total', 'malformed') >= 5);
    odd.socket.send(Buffer.from([1, 2, 3]));
    assert.equal(await odd.closed, 1003);
    const many = [];
    let last;
    do {
        last = await Peer.connect(`many-${many.length}`);
        many.push(last);
    } while (last.greeting.type === 'OPEN' && many.length < 40);
    assert.equal(last.greeting.type, 'ERROR');
    assert.ok(many.length <= 21);
    await Promise.all(many.map((peer) => peer.leave()));
    await until('all are gone', async () => await server.total('peerjs_peers') === 0);
});

test('peers are listed where that is allowed, and for nobody where guests see nobody', async (context) => {
    const open = await Server.start({ sanitized: true, set: { 'peerjs.allow_discovery': true } });
    context.after(() => open.stop());
    const ada = await Peer.connect('ada', { to: open });
    context.after(() => ada.socket.close());
    const { status, body } = await open.fetch('/peerjs/peers');
    assert.deepEqual([status, JSON.parse(body)], [200, ['ada']]);
    const closed = await Server.start({ sanitized: true, set: { 'peerjs.allow_discovery': true, 'contacts.guests': false } });
    context.after(() => closed.stop());
    assert.equal((await closed.fetch('/peerjs/peers')).status, 401);
    assert.equal((await server.fetch('/peerjs/peers')).status, 401);
});
