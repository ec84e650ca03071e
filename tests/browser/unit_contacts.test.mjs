// The SDK's contacts, against a server that the test plays.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { WebSocket } from 'ws';
import { HELLO, startServer } from './mock_signaling.mjs';

Object.assign(globalThis, { WebSocket });
const { connect } = await import('../../web/sdk/client.js');

const ben = { user: 'ben', name: 'Ben', verified: true, presence: 'online', bindings: ['native'] };

/** @returns a client that is registered as ada */
async function enter(on) {
    const server = await startServer({
        hello: ({ id }, { send }) => send({ type: 'ok', id, result: HELLO }),
        register: ({ id }, { send }) => send({ seq: 1, type: 'ok', id, result: { user: 'ada', ice_servers: [] } }),
        ...on,
    });
    const client = await connect({ url: server.url });
    after(() => client.close());
    await client.register('ada', { name: 'Ada' });
    return { client, ...server };
}

const next = (client, name) => new Promise((resolve) => client.once(name, resolve));

test('contacts are listed, and presence comes as events', async () => {
    const { client, received, connections } = await enter({
        contacts: ({ id }, { send }) => send({ seq: 2, type: 'ok', id, result: { contacts: [ben] } }),
    });
    assert.deepEqual(await client.contacts({ prefix: 'b', limit: 5 }), [ben]);
    const asked = received.find(({ type }) => type === 'contacts');
    assert.deepEqual([asked.prefix, asked.limit], ['b', 5]);
    const change = next(client, 'presence');
    connections[0].send({ seq: 3, type: 'presence', user: 'ben', presence: 'offline', bindings: [] });
    assert.deepEqual(await change, { user: 'ben', name: null, presence: 'offline', bindings: [] });
});

test('after a session was lost the name, the presence and the watching come back', async () => {
    let seq = 0;
    const { client, received, connections } = await enter({
        contacts: ({ id }, { send, index }) => send({ seq: ++seq + 1, type: 'ok', id, result: { contacts: [{ ...ben, presence: index ? 'dnd' : 'online' }] } }),
        presence: ({ id }, { send }) => send({ seq: ++seq + 1, type: 'ok', id }),
        resume: ({ id }, { send }) => (seq = 0, send({ type: 'error', id, code: 'resume_unknown', message: 'The session is gone.' })),
    });
    await client.setPresence('away');
    await client.contacts();
    const change = next(client, 'presence');
    connections[0].socket.terminate();
    assert.deepEqual(await change, { user: 'ben', name: 'Ben', presence: 'dnd', bindings: ['native'] });
    const again = received.filter(({ connection }) => connection === 1).map(({ type }) => type);
    assert.deepEqual(again.slice(0, 5), ['resume', 'hello', 'register', 'presence', 'contacts']);
});
