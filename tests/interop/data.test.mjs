// Data channels of rooms with two independent stacks: libdatachannel (C++ over usrsctp) and werift.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { endDataPeers, Native, Script } from '../support/data_peers.mjs';
import { NativeClient } from '../support/native_client.mjs';
import { runCommand, Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';

let server;
let roomNumber = 0;
const newRoom = () => `room-${++roomNumber}`;

before(async () => {
    // several workers: messages cross between threads
    server = await Server.start({ sanitized: true, set: { 'server.workers': 3 } });
});
after(async () => {
    endDataPeers();
    const ended = await server?.stop();
    assert.deepEqual(ended, { status: 0, signal: null });
});

const stacks = { libdatachannel: Native, werift: Script };
function leaving(context, members) {
    context.after(() => Promise.all(members.map((member) => member.leave())));
}
for (const [name, Stack] of Object.entries(stacks)) {
    test(`${name}: text and binary reach all others with the label, whichever worker they are on`, async (context) => {
        const room = newRoom();
        const members = [];
        for (let i = 0; i < 5; i++) members.push(await Stack.join(server, room, `m${i}`, { chat: {}, [`own-${i}`]: {} }));
        leaving(context, members);
        const [ann, ...others] = members;
        ann.send('chat', 'hello');
        ann.send('chat', Buffer.from([0, 1, 255]));
        ann.send('own-0', 'nobody has this');
        ann.send('chat', 'bye');
        for (const other of others) {
            await until('three messages', () => other.received.chat?.length === 3);
            assert.deepEqual(other.received.chat, ['hello', Buffer.from([0, 1, 255]), 'bye']);
            assert.deepEqual(Object.keys(other.received), ['chat']);
        }
        assert.deepEqual(ann.received, {});
    });

    test(`${name}: unordered and unreliable channels carry messages, too`, async (context) => {
        const room = newRoom();
        const channels = { fast: { unordered: true, maxRetransmits: 0 }, mixed: { unordered: true } };
        const members = [await Stack.join(server, room, 'ann', channels), await Stack.join(server, room, 'ben', channels)];
        leaving(context, members);
        const [ann, ben] = members;
        for (let i = 0; i < 20; i++) for (const label of ['fast', 'mixed']) ann.send(label, `${label} ${i}`);
        await until('all of them: loopback loses nothing', () => ben.received.fast?.length === 20 && ben.received.mixed?.length === 20);
        assert.equal(new Set(ben.received.fast).size, 20);
    });
}

test('libdatachannel and werift hear each other, large messages too', async (context) => {
    const room = newRoom();
    const ann = await Native.join(server, room, 'ann', { bulk: {} });
    const ben = await Script.join(server, room, 'ben', { bulk: {} });
    leaving(context, [ann, ben]);
    const message = Buffer.from(Uint8Array.from({ length: 60_000 }, (_, i) => (i * 7) % 251));
    ann.send('bulk', message);
    await until('it came', () => ben.received.bulk?.length === 1);
    assert.equal(Buffer.compare(ben.received.bulk[0], message), 0);
    // werift sends nothing that is empty (RFC 8831, 6.6), but understands it
    ann.send('bulk', '');
    await until('an empty text', () => ben.received.bulk.at(-1) === '');
    ben.send('bulk', message);
    await until('and back', () => ann.received.bulk?.length === 1);
    assert.equal(Buffer.compare(ann.received.bulk[0], message), 0);
});

test('the largest message that is announced comes whole; the connection survives a flood', async (context) => {
    const room = newRoom();
    const ann = await Native.join(server, room, 'ann', { bulk: {} });
    const ben = await Native.join(server, room, 'ben', { bulk: {} });
    leaving(context, [ann, ben]);
    const message = Buffer.alloc(262144, 'x');
    ann.send('bulk', message);
    await until('it came', () => ben.received.bulk?.length === 1);
    assert.equal(ben.received.bulk[0].length, message.length);
    // 16 MiB that nobody waits for: back-pressure keeps all of it
    for (let i = 0; i < 64; i++) ann.send('bulk', Buffer.alloc(262144, i));
    await until('all', () => ben.received.bulk.length === 65, 30000);
    ben.received.bulk.slice(1).forEach((got, i) => assert.ok(got.length === 262144 && got[0] === i && got[262143] === i, `message ${i}`));
    assert.equal(ben.channels.bulk.closed, false);
});

test('the envelope: directed to members by id, the sender named by the server', async (context) => {
    const room = newRoom();
    const channels = { game: { protocol: 'roost.data.v1' } };
    const [ann, ben, cleo] = [await Native.join(server, room, 'ann', channels), await Native.join(server, room, 'ben', channels), await Script.join(server, room, 'cleo', channels)];
    leaving(context, [ann, ben, cleo]);
    const frame = (kind, ids, rest) => Buffer.concat([Buffer.from([1, kind, ids.length]), ...ids.flatMap((id) => [Buffer.from([id.length]), Buffer.from(id)]), Buffer.from(rest)]);
    ann.send('game', frame(1, [ben.client.member], '\x04move e4'));
    await until('ben has it', () => ben.received.game?.length === 1);
    assert.deepEqual(ben.received.game[0], frame(0x81, [ann.client.member], '\x04move e4'));
    cleo.send('game', frame(0, [], '\x00all'));
    for (const other of [ann, ben]) await until('all have it', () => other.received.game?.at(-1)?.toString().endsWith('all'));
    assert.deepEqual(ann.received.game, [frame(0, [cleo.client.member], '\x00all')]);
    assert.equal(cleo.received.game, undefined, 'what was for ben alone');
});

test('a late joiner gets what comes from then on; who has no data is not in the way', async (context) => {
    const room = newRoom();
    const ann = await Native.join(server, room, 'ann', { chat: {} });
    const silent = await NativeClient.join(server, room, 'no media');
    ann.send('chat', 'too early');
    const ben = await Native.join(server, room, 'ben', { chat: {} });
    leaving(context, [ann, ben]);
    ann.send('chat', 'hello');
    await until('hello', () => ben.received.chat?.length === 1);
    assert.deepEqual(ben.received.chat, ['hello']);
    await silent.goodbye();
});

test('who may not send data is not heard, until the control API allows it', async (context) => {
    const room = newRoom();
    const ann = await Native.join(server, room, 'ann', { chat: {} });
    const ben = await Native.join(server, room, 'ben', { chat: {} });
    leaving(context, [ann, ben]);
    const token = (await runCommand(['token', '--admin', '--data', server.dataDir], { sanitized: true })).output.trim();
    const ask = async (method, path, body) => {
        const text = JSON.stringify(body);
        return server.fetch(`/api/v1/rooms/${room}/${path}`, { method, body: text, headers: { authorization: `Bearer ${token}`, 'content-length': text.length } });
    };
    const allow = (data) => ask('PATCH', `participants/${ann.client.member}`, { data });
    assert.equal((await allow(false)).status, 200);
    const denied = () => server.total('data_dropped_total', 'not_permitted');
    const before = await denied();
    await until('messages are refused', async () => {
        ann.send('chat', 'psst');
        return (await denied()) > before;
    });
    ben.channels.chat.received = [];
    const counted = await denied();
    ann.send('chat', 'psst'); // the channel is ordered: it would come before what is allowed
    await until('it is refused, too', async () => (await denied()) > counted);
    assert.equal((await allow(true)).status, 200);
    await until('messages pass', () => {
        ann.send('chat', 'allowed');
        return ben.received.chat?.includes('allowed');
    });
    assert.ok(!ben.received.chat.includes('psst'));

    // the server speaks, to the plain channels and to those with the envelope
    assert.equal((await ask('POST', 'data', { label: 'chat', text: 'news' })).status, 204);
    await until('news', () => ann.received.chat?.includes('news') && ben.received.chat.includes('news'));
    assert.equal((await ask('POST', 'data', { label: 'chat', base64: 'AAH/', to: ben.client.member })).status, 204);
    await until('bytes', () => ben.received.chat.some((message) => Buffer.isBuffer(message) && message.equals(Buffer.from([0, 1, 255]))));
    assert.ok(!ann.received.chat.some((message) => Buffer.isBuffer(message)));
    ann.open('reliable', { protocol: 'roost.data.v1' });
    await until('open', () => ann.channels.reliable.open);
    await until('JSON in an envelope', async () => {
        await ask('POST', 'data', { json: { x: [1] }, topic: 'score' });
        return ann.received.reliable?.length > 0;
    });
    assert.deepEqual(ann.received.reliable[0], Buffer.from('\x01\x02\x00\x05score{"x":[1]}', 'latin1'));
    for (const [body, status] of [[{}, 400], [{ text: 'a', json: 1 }, 400], [{ text: 5 }, 400], [{ base64: '!' }, 400], [{ text: 'a', to: 'nobody' }, 404],
        [{ text: 'a', to: [] }, 400], [{ text: 'a', label: 'chat', topic: 't' }, 400], [{ text: 'x'.repeat(60000) }, 400]])
        assert.equal((await ask('POST', 'data', body)).status, status, JSON.stringify(body).slice(0, 80));

    const stats = JSON.parse((await server.fetch(`/api/v1/rooms/${room}/participants/${ann.client.member}/stats`, { headers: { authorization: `Bearer ${token}` } })).body);
    assert.equal(stats.data.channels, 2);
    assert.ok(stats.data.messages_from_participant > 0 && stats.data.bytes_to_participant > 0);
});
