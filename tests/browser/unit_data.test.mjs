import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoomData } from '../../web/sdk/data.js';
import { DataChannel } from '../../web/sdk/data_channel.js';
import { Kind, decodeBody, decodeEnvelope, encodeBody, encodeEnvelope, fromContent, toContent } from '../../web/sdk/data_frame.js';
import { Pieces } from '../../web/sdk/data_pieces.js';

const bytes = (text) => new TextEncoder().encode(text);

/** An RTCDataChannel that keeps what is sent until it is told to let it go. */
class FakeChannel {
    readyState = 'connecting';
    bufferedAmount = 0;
    sent = [];

    constructor(label, options) {
        Object.assign(this, { label, options });
    }

    open() {
        this.readyState = 'open';
        this.onopen?.();
    }

    send(message) {
        assert.equal(this.readyState, 'open');
        this.sent.push(message);
        this.bufferedAmount += message.byteLength ?? message.length;
    }

    drain() {
        this.bufferedAmount = 0;
        this.onbufferedamountlow?.();
    }

    lose() {
        this.readyState = 'closed';
        this.onclose?.();
    }

    close() {
        this.readyState = 'closed';
    }
}

class FakeConnection {
    connectionState = 'connected';
    sctp = { maxMessageSize: 262144 };
    channels = [];

    createDataChannel(label, options) {
        const channel = new FakeChannel(label, options);
        this.channels.push(channel);
        return channel;
    }

    channel(label) {
        return this.channels.findLast((channel) => channel.label === label);
    }
}

/** What the server makes of a frame: the sender stands where the addressees stood. */
function delivered(frame, from) {
    const { ids, sealed, body } = decodeEnvelope(frame.buffer);
    const made = encodeEnvelope(from ? [from] : [], body, sealed);
    if (ids.length > 0) made[1] |= 0x80;
    return made.buffer;
}

const frame = (ids, body) => encodeEnvelope(ids, encodeBody({ kind: Kind.text, topic: '', piece: null, content: bytes(''), ...body }), false);
const read = (sent) => {
    const { ids, directed, body } = decodeEnvelope(sent.buffer);
    const { content, ...rest } = decodeBody(body);
    return { ids, directed, ...rest, content: new TextDecoder().decode(content) };
};

test('a frame comes back as it was', () => {
    const whole = { kind: Kind.text, topic: 'göal', piece: null, content: bytes('hi') };
    const ids = ['m1', 'm0123456789'];
    assert.deepEqual(read(frame(ids, whole)), { ...whole, ids, directed: false, content: 'hi' });
    const piece = { message: 7, total: 4_000_000_000, offset: 3_999_999_999 };
    assert.deepEqual(read(frame(ids, { ...whole, piece })), { ...whole, piece, ids, directed: false, content: 'hi' });
    assert.deepEqual([...frame(['ab'], { topic: 't', content: bytes('hi') })], [1, 1, 1, 2, 97, 98, 1, 116, 104, 105]);
    const sealed = decodeEnvelope(encodeEnvelope(['m1'], Uint8Array.of(9, 8, 7), true).buffer);
    assert.deepEqual([sealed.ids, sealed.sealed, [...sealed.body]], [['m1'], true, [9, 8, 7]]);
});

test('frames that are cut off or of another version are no frames', () => {
    const whole = frame(['m1'], { topic: 'x', piece: { message: 1, total: 2, offset: 0 } });
    const understood = (buffer) => {
        const envelope = decodeEnvelope(buffer);
        return envelope !== null && decodeBody(envelope.body) !== null;
    };
    assert.ok(understood(whole.buffer));
    for (let size = 0; size < whole.length; size++) assert.equal(understood(whole.slice(0, size).buffer), false, size);
    assert.equal(decodeEnvelope(Uint8Array.of(2, 0, 0, 0).buffer), null);
});

test('content is text, bytes or JSON', () => {
    for (const message of ['text', '', { a: [1, null, 'x'] }, 5, null, true]) {
        const { kind, bytes: content } = toContent(message);
        assert.deepEqual(fromContent(kind, content), message);
    }
    const view = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
    const { kind, bytes: content } = toContent(view);
    assert.deepEqual(new Uint8Array(fromContent(kind, content)), Uint8Array.of(2, 3));
    assert.throws(() => toContent(undefined), TypeError);
    assert.throws(() => toContent(() => {}), TypeError);
    assert.equal(fromContent(Kind.json, bytes('{')), undefined);
    assert.equal(fromContent(Kind.text, Uint8Array.of(0xff)), undefined);
    assert.equal(fromContent(9, bytes('x')), undefined);
});

test('pieces are joined in any order, per sender, within bounds', () => {
    const pieces = new Pieces(10);
    const piece = (message, offset, total = 6) => ({ message, total, offset });
    assert.equal(pieces.add('a', piece(1, 3), bytes('def')), null);
    assert.equal(pieces.add('b', piece(1, 0), bytes('xyz')), null);
    assert.equal(pieces.add('a', piece(1, 3), bytes('def')), null, 'twice the same');
    assert.equal(new TextDecoder().decode(pieces.add('a', piece(1, 0), bytes('abc'))), 'abcdef');
    assert.equal(pieces.add('a', piece(2, 0, 11), bytes('abc')), null, 'too large');
    assert.equal(pieces.add('a', piece(2, 8, 9), bytes('abc')), null, 'past its end');
    assert.equal(pieces.add('a', piece(3, 0), bytes('')), null, 'nothing');
    assert.equal(pieces.got('a', 3), 0);
    pieces.forget('b');
    assert.equal(pieces.add('b', piece(1, 3), bytes('uvw')), null, 'the first half is forgotten');
    // the oldest of too many goes
    for (let message = 10; message < 19; message++) pieces.add('c', piece(message, 0), bytes('abc'));
    assert.equal(pieces.add('c', piece(10, 3), bytes('def')), null);
    assert.ok(pieces.add('c', piece(18, 3), bytes('def')));
});

test('a channel waits until it is open and while its buffer is full, and keeps the order', async () => {
    const channel = new DataChannel('x', { ordered: true });
    const sends = ['a', 'b'].map((text) => channel.send(text));
    assert.equal(channel.state, 'connecting');
    const connection = new FakeConnection();
    channel.attach(connection);
    const real = connection.channel('x');
    assert.equal(channel.sendNow('too early'), false);
    real.open();
    await Promise.all(sends);
    assert.deepEqual(real.sent, ['a', 'b']);
    real.bufferedAmount = 2 ** 21;
    let done = false;
    const late = channel.send('c').then(() => (done = true));
    await new Promise(setImmediate);
    assert.equal(done, false);
    const blob = channel.send(new Blob(['d']));
    real.drain();
    const last = channel.send('e');
    await Promise.all([late, blob, last]);
    assert.deepEqual(real.sent.slice(2).map((sent) => (typeof sent === 'string' ? sent : 'd')), ['c', 'd', 'e']);
    await assert.rejects(channel.send('x'.repeat(262145)), { code: 'data-too-large' });
});

test('a channel that is lost opens again; one that is closed rejects', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const channel = new DataChannel('x', {});
    const events = [];
    for (const name of ['open', 'lost', 'closed', 'message']) channel.on(name, (detail) => events.push(detail ?? name));
    const first = new FakeConnection();
    channel.attach(first);
    first.channel('x').open();
    first.channel('x').lose(); // the server closed it
    context.mock.timers.tick(1000);
    assert.equal(first.channels.length, 2);
    first.channel('x').open();
    first.channel('x').onmessage({ data: 'hello' });
    const second = new FakeConnection();
    channel.detach();
    channel.attach(second);
    const waiting = channel.send('never');
    channel.close();
    await assert.rejects(waiting, { code: 'connection-closed' });
    assert.deepEqual(events, ['open', 'lost', 'open', 'hello', 'lost', 'closed']);
    assert.equal(channel.state, 'closed');
});

test('messages of a room go over channels by their delivery, to whom they are for', async () => {
    const data = new RoomData((id) => (id === 'm1' ? { id } : null));
    const connection = new FakeConnection();
    data.attach(connection);
    for (const channel of connection.channels) {
        assert.equal(channel.options.protocol, 'roost.data.v1');
        channel.open();
    }
    await data.send('hi', { to: ['m1', { id: 'm2' }], topic: 't' });
    await data.send({ x: 1 }, { ordered: false });
    await data.send('now', { reliable: false });
    await data.send('now', { reliable: false, ordered: true });
    const sent = (label) => connection.channel(label).sent.map(read);
    assert.deepEqual(sent('reliable').map(({ ids, topic }) => ({ ids, topic })), [{ ids: ['m1', 'm2'], topic: 't' }]);
    for (const label of ['reliable-unordered', 'unreliable', 'unreliable-ordered']) assert.equal(sent(label).length, 1);
    assert.equal(connection.channel('unreliable').options.maxRetransmits, 0);
    await assert.rejects(data.send(new Uint8Array(200_000), { reliable: false }), { code: 'data-too-large' });
    await assert.rejects(data.send('x', { to: [] }), RangeError);
    // a Blob has to be read first: what is sent behind it waits
    await Promise.all([data.send(new Blob(['first']), { topic: '1' }), data.send('second', { topic: '2' })]);
    assert.deepEqual(sent('reliable').slice(1).map(({ topic }) => topic), ['1', '2']);
});

test('a large message is split, joined on the other side, and slowed by the buffer', async () => {
    const [ada, ben] = [new RoomData(() => null), new RoomData((id) => ({ id }))];
    const [from, to] = [new FakeConnection(), new FakeConnection()];
    ada.attach(from);
    ben.attach(to);
    for (const channel of [...from.channels, ...to.channels]) channel.open();
    const message = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31) % 251);
    const progress = [];
    let done = false;
    const sending = ada.send(new Blob([message]), { onProgress: (sent) => progress.push(sent) }).then(() => (done = true));
    const wire = from.channel('reliable');
    while (wire.bufferedAmount <= 2 ** 20) await new Promise(setImmediate);
    const stopped = wire.sent.length;
    await new Promise(setImmediate);
    assert.equal(wire.sent.length, stopped);
    while (!done) {
        wire.drain();
        await new Promise(setImmediate);
    }
    await sending;
    assert.equal(progress.at(-1), message.length);
    const got = [];
    const steps = [];
    ben.on('message', (event) => got.push(event));
    ben.on('progress', ({ from, received, size }) => steps.push([from, received, size]));
    for (const frame of wire.sent) to.channel('reliable').onmessage({ data: delivered(frame, 'm9') });
    assert.equal(got.length, 1);
    assert.equal(steps.length, wire.sent.length);
    assert.deepEqual(steps[0], ['m9', 49152, message.length]);
    assert.deepEqual(steps.at(-1), ['m9', message.length, message.length]);
    assert.deepEqual([got[0].from, got[0].member.id, got[0].directed], ['m9', 'm9', false]);
    assert.equal(Buffer.compare(Buffer.from(got[0].data), Buffer.from(message)), 0);
});

test('where messages are encrypted, what is not or comes from somebody else is dropped', async () => {
    const turn = (byte, member) => byte ^ (member.charCodeAt(1) & 0x0f);
    const e2ee = {
        seal: async (plain) => plain.map((byte) => turn(byte, 'm1')),
        open: async (sealed, member) => (member === 'm1' ? sealed.map((byte) => turn(byte, 'm1')) : null),
    };
    const [ada, ben] = [new RoomData(() => null, e2ee), new RoomData(() => null, e2ee)];
    const [from, to] = [new FakeConnection(), new FakeConnection()];
    ada.attach(from);
    ben.attach(to);
    for (const channel of [...from.channels, ...to.channels]) channel.open();
    await Promise.all([ada.send('one', { topic: 'secret' }), ada.send(new Uint8Array(100_000)), ada.send('three')]);
    const wire = from.channel('reliable').sent;
    assert.ok(wire.every((sent) => !Buffer.from(sent).includes('secret') && !Buffer.from(sent).includes('one')));
    const got = [];
    ben.on('message', ({ data, topic }) => got.push([data.byteLength ?? data, topic]));
    const receive = (data) => to.channel('reliable').onmessage({ data });
    receive(frame(['m1'], { content: bytes('not encrypted') }).buffer);
    for (const sent of wire) {
        receive(delivered(sent, 'm2'));
        receive(delivered(sent, 'm1'));
    }
    await new Promise(setImmediate);
    // a large message has gone in pieces, and the third between them
    assert.deepEqual(got.sort(), [['one', 'secret'], ['three', ''], [100_000, '']].sort());
});
