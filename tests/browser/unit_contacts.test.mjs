// The SDK's contacts, messages, history and devices, against a server that the test plays.
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

const kept = { message: 'M2', from: { user: 'ben', name: 'Ben', verified: true }, to: 'ada', text: 'Lunch?', sent_at: 1700000000000 };
const shown = { id: 'M2', from: { user: 'ben', name: 'Ben', verified: true }, to: 'ada', text: 'Lunch?', sentAt: 1700000000000, missed: false, own: false };

test('messages are sent, come as events and are read back', async () => {
    const { client, received, connections } = await enter({
        message: ({ id }, { send }) => send({ seq: 2, type: 'ok', id, result: { message: 'M1', sent_at: 1690000000000 } }),
        messages: ({ id }, { send }) => send({ seq: 3, type: 'ok', id, result: { messages: [kept, { ...kept, message: 'M3', from: { user: 'ada', name: 'Ada', verified: true }, to: 'ben' }], more: true } }),
    });
    assert.deepEqual(await client.sendMessage('ben', 'Hi'), { id: 'M1', sentAt: 1690000000000 });
    const { messages, more } = await client.messages('ben', { before: 'M9', limit: 2 });
    assert.deepEqual(messages.map(({ id, own }) => [id, own]), [['M2', false], ['M3', true]]);
    assert.equal(more, true);
    const asked = received.find(({ type }) => type === 'messages');
    assert.deepEqual([asked.with, asked.before, asked.limit], ['ben', 'M9', 2]);
    const missed = next(client, 'missed');
    const message = next(client, 'message');
    connections[0].send({ seq: 4, type: 'missed', calls: 1, messages: 1 });
    connections[0].send({ seq: 5, type: 'message', ...kept, missed: true });
    assert.deepEqual(await missed, { calls: 1, messages: 1 });
    assert.deepEqual(await message, { ...shown, missed: true });
});

test('past calls and devices are listed, and a device can be disconnected', async () => {
    const call = { call: 'C1', with: 'ben', name: 'Ben', direction: 'in', media: 'video', result: 'missed', missed: true, began_at: 1700000000000, seconds: 0 };
    const { client, received } = await enter({
        calls: ({ id }, { send }) => send({ seq: 2, type: 'ok', id, result: { calls: [call], more: false } }),
        devices: ({ id }, { send }) => send({ seq: 3, type: 'ok', id, result: { devices: [{ device: 'd1', binding: 'mqtt', address: '', since: 5, this: false }] } }),
        device_revoke: ({ id }, { send }) => send({ seq: 4, type: 'ok', id }),
    });
    const { calls } = await client.calls({ seen: true });
    assert.deepEqual(calls, [{ id: 'C1', with: 'ben', name: 'Ben', direction: 'in', media: 'video', result: 'missed', missed: true, beganAt: 1700000000000, seconds: 0, binding: null }]);
    assert.equal(received.find(({ type }) => type === 'calls').seen, true);
    assert.deepEqual(await client.devices(), [{ id: 'd1', binding: 'mqtt', address: '', since: 5, current: false }]);
    await client.revokeDevice('d1');
    assert.equal(received.find(({ type }) => type === 'device_revoke').device, 'd1');
});

test('a device that was disconnected by its user does not come back', async () => {
    const { client, connections } = await enter({});
    const failed = next(client, 'failed');
    connections[0].socket.close(4001, 'disconnected by the user');
    assert.equal((await failed).code, 'device-revoked');
    assert.equal(client.state, 'closed');
    assert.equal(connections.length, 1);
});
