import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { WebSocket } from 'ws';
import { HELLO, startServer } from './mock_signaling.mjs';

Object.assign(globalThis, { WebSocket });
const { Signaling } = await import('../../web/sdk/signaling.js');

const hello = ({ id }, { send }) => send({ type: 'ok', id, result: HELLO });
const resume = ({ id }, { send }) => send({ type: 'ok', id, result: { replayed: 0 } });
const event = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));

/** @returns the signaling, closed at the end of all tests */
function open(url) {
    const signaling = new Signaling(url);
    after(() => signaling.close());
    return signaling;
}

test('a request gets its result, a refusal becomes an error with its code', async () => {
    const { url } = await startServer({
        hello,
        join: ({ id }, { send }) => send({ seq: 1, type: 'ok', id, result: { room: 'demo' } }),
        chat: ({ id }, { send }) => send({ seq: 2, type: 'error', id, code: 'not_in_room', message: 'You are in no room.' }),
    });
    const signaling = open(url);
    await signaling.open();
    assert.deepEqual(await signaling.request('join', { room: 'demo', name: 'Ada' }), { room: 'demo' });
    await assert.rejects(signaling.request('chat', { text: 'x' }), { code: 'not-in-room', message: 'You are in no room.' });
});

test('a broken connection is resumed, what was missed comes once, and open requests are sent again with their ids', async () => {
    const { url, received, connections } = await startServer({
        hello,
        join: ({ id }, { send, socket, index }) => {
            if (index > 0) return send({ seq: 4, type: 'ok', id, result: { room: 'late' } });
            send({ seq: 1, type: 'member_left', member: 'a', reason: 'left' });
            setTimeout(() => socket.terminate(), 20); // before an answer
        },
        resume: ({ id }, { send }) => {
            send({ seq: 1, type: 'member_left', member: 'a', reason: 'left' }); // known already
            send({ seq: 2, type: 'member_left', member: 'b', reason: 'left' });
            send({ seq: 3, type: 'member_left', member: 'c', reason: 'left' });
            send({ type: 'ok', id, result: { replayed: 2 } });
        },
    });
    const signaling = open(url);
    const left = [];
    const states = [];
    signaling.on('message', (message) => left.push(message.member));
    signaling.on('state', (state) => states.push(state));
    await signaling.open();
    assert.deepEqual(await signaling.request('join', { room: 'late', name: 'Ada' }), { room: 'late' });
    assert.deepEqual(left, ['a', 'b', 'c']);
    assert.deepEqual(states, ['connecting', 'open', 'reconnecting', 'open']);
    const [resume] = received.filter(({ type }) => type === 'resume');
    assert.deepEqual([resume.session, resume.resume_token, resume.last_seq], ['s1', 'secret', 1]);
    const joins = received.filter(({ type }) => type === 'join');
    assert.equal(joins.length, 2);
    assert.equal(joins[0].id, joins[1].id);
    assert.equal(connections.length, 2);
});

test('a request made while reconnecting waits for the new connection', async () => {
    const { url, received } = await startServer({
        hello,
        resume,
        leave: ({ id }, { send }) => send({ seq: 1, type: 'ok', id }),
    });
    const signaling = open(url);
    await signaling.open();
    signaling.interrupt();
    assert.equal(signaling.state, 'reconnecting');
    await signaling.request('leave');
    assert.deepEqual(received.filter(({ type }) => type === 'leave').map(({ connection }) => connection), [1]);
});

test('a session that is gone is replaced, and the owner is told before new requests go out', async () => {
    const order = [];
    const { url } = await startServer({
        hello: (message, connection) => {
            order.push(`hello ${connection.index}`);
            hello(message, connection);
        },
        resume: ({ id }, { send }) => send({ type: 'error', id, code: 'resume_unknown', message: 'Gone.' }),
        join: ({ id }, { send }) => {
            order.push('join');
            send({ seq: 1, type: 'ok', id, result: {} });
        },
    });
    const signaling = open(url);
    await signaling.open();
    const renewed = event(signaling, 'renewed').then(() => signaling.request('join', { room: 'demo', name: 'Ada' }));
    const lost = assert.rejects(signaling.request('chat', { text: 'never answered' }), { code: 'session-lost' });
    signaling.interrupt();
    await Promise.all([renewed, lost]);
    assert.deepEqual(order, ['hello 0', 'hello 1', 'join']);
});

test('a session taken over elsewhere does not come back', async () => {
    const { url, connections } = await startServer({
        hello: (message, connection) => {
            hello(message, connection);
            setTimeout(() => connection.socket.close(4000), 10);
        },
    });
    const signaling = open(url);
    const failed = event(signaling, 'failed');
    await signaling.open();
    assert.equal((await failed).code, 'replaced');
    assert.equal(signaling.state, 'closed');
    assert.equal(connections.length, 1);
});

test('a silent server is found dead', async () => {
    const { url } = await startServer({
        hello: ({ id }, { send }) =>
            send({ type: 'ok', id, result: { ...HELLO, heartbeat_ms: 20, dead_after_ms: 60 } }),
    });
    const signaling = open(url);
    await signaling.open();
    assert.equal(await event(signaling, 'state'), 'reconnecting');
});

test('no server is a clear error', async () => {
    await assert.rejects(open('ws://127.0.0.1:1/ws').open(), { code: 'server-unreachable' });
});

test('a connection in doubt is asked, kept when it answers, and replaced at once when it does not', async () => {
    let deaf = false;
    const { url, connections } = await startServer({
        hello,
        ping: (_, { send, index }) => { if (index > 0 || !deaf) send({ type: 'pong' }); },
        resume,
    });
    const signaling = open(url);
    assert.equal(await signaling.check(), false); // there is none yet
    await signaling.open();
    assert.deepEqual(await Promise.all([signaling.check(), signaling.check()]), [true, true]);
    assert.equal(connections.length, 1);
    deaf = true; // as when the network is gone: nothing tells of it
    const begun = Date.now();
    assert.equal(await signaling.check(), false);
    if (signaling.state !== 'open') await event(signaling, 'state');
    assert.ok(Date.now() - begun < 9000); // without a word it would have been 10 s
    assert.equal(signaling.state, 'open');
    assert.equal(connections.length, 2);
    assert.equal(await signaling.check(), true);
});

test('an answer over another connection is none: the session is resumed, and the owner is told', async () => {
    const { url, connections } = await startServer({
        hello,
        ping: (_, { socket, send, index }) => { if (index === 0) socket.terminate(); else send({ type: 'pong' }); },
        resume,
    });
    const signaling = open(url);
    await signaling.open();
    const resumed = event(signaling, 'resumed');
    assert.equal(await signaling.check(), false);
    await resumed;
    assert.equal(signaling.state, 'open');
    assert.equal(connections.length, 2);
    assert.equal(await signaling.check(), true);
});

test('a page that was busy itself keeps its connection', async () => {
    const { url, connections } = await startServer({ hello, ping: (_, { send }) => send({ type: 'pong' }) });
    const signaling = open(url);
    await signaling.open();
    const answered = signaling.check(100);
    const end = performance.now() + 400;
    while (performance.now() < end);
    assert.equal(await answered, true);
    assert.equal(connections.length, 1);
});

test('a network that comes back while a connection is being made: one newer attempt takes its place', async (context) => {
    const waiting = [];
    let slow = false;
    const verifyClient = (_, admit) => { if (slow) waiting.push(admit); else admit(true); };
    const { url, received } = await startServer({ hello, resume }, { verifyClient });
    let online = () => {};
    globalThis.addEventListener = (_, listener) => (online = listener);
    context.after(() => delete globalThis.addEventListener);
    const signaling = open(url);
    await signaling.open();
    slow = true;
    signaling.interrupt();
    const dialled = async (times) => { while (waiting.length < times) await new Promise(setImmediate); };
    await dialled(1);
    online();
    await dialled(2);
    for (const admit of waiting) admit(true);
    await event(signaling, 'resumed');
    assert.deepEqual(received.filter(({ type }) => type === 'resume').map(({ connection }) => connection), [2]);
});
