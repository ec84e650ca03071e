import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoomData } from '../../web/sdk/data.js';
import { DataChannel } from '../../web/sdk/data_channel.js';
import { Kind, decodeBody, decodeEnvelope, encodeBody, encodeEnvelope, fromContent, toContent } from '../../web/sdk/data_frame.js';
import { Pieces } from '../../web/sdk/data_pieces.js';
import { Emitter } from '../../web/sdk/emitter.js';
import { Files } from '../../web/app/files.js';

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
    const pieces = new Pieces(4000);
    const part = (letter, size = 1500) => bytes(letter.repeat(size));
    const piece = (message, offset, total = 3000) => ({ message, total, offset });
    assert.equal(pieces.add('a', piece(1, 1500), part('d')), null);
    assert.equal(pieces.add('b', piece(1, 0), part('x')), null);
    assert.equal(pieces.add('a', piece(1, 1500), part('d')), null, 'twice the same');
    assert.equal(new TextDecoder().decode(pieces.add('a', piece(1, 0), part('a'))), 'a'.repeat(1500) + 'd'.repeat(1500));
    assert.equal(pieces.add('a', piece(2, 0, 4001), part('a')), null, 'too large');
    assert.equal(pieces.add('a', piece(2, 1501), part('a')), null, 'past its end');
    assert.equal(pieces.add('a', piece(3, 0), bytes('')), null, 'nothing');
    assert.equal(pieces.add('a', piece(3, 0), part('a', 1023)), null, 'so small that it costs more than it holds');
    assert.equal(pieces.got('a', 3), 0);
    assert.equal(pieces.add('a', piece(3, 2999), part('a', 1)), null);
    assert.equal(pieces.got('a', 3), 1, 'the last one may be small');
    pieces.forget('b');
    assert.equal(pieces.add('b', piece(1, 1500), part('u')), null, 'the first half is forgotten');
    // the oldest of too many goes
    for (let message = 10; message < 19; message++) pieces.add('c', piece(message, 0), part('a'));
    assert.equal(pieces.add('c', piece(10, 1500), part('d')), null);
    assert.ok(pieces.add('c', piece(18, 1500), part('d')));
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

/** A file of somebody else, and what is told of it; `send` is what the test lets become of a question. */
function sharedFile(send) {
    const [room, data] = [new Emitter(), Object.assign(new Emitter(), { send })];
    const files = new Files(room, data);
    const told = [];
    for (const name of ['lost', 'received']) files.on(name, (detail) => told.push([name, detail.key ?? detail]));
    const content = new ArrayBuffer(9);
    data.emit('message', { from: 'm1', topic: 'roost.file', data: { number: '1', name: 'x.txt', size: 9 } });
    return { files, data, told, deliver: () => data.emit('message', { from: 'm1', topic: 'roost.file.content:1', data: content }) };
}

test('a file that was asked for before there was a connection comes over the new one', async () => {
    let taken = () => {};
    const { files, data, told, deliver } = sharedFile(() => new Promise((resolve) => (taken = resolve)));
    const asked = files.get('m1/1');
    taken(); // the channel is open: the question goes out, and all are told
    data.emit('open', null);
    await asked;
    deliver();
    assert.deepEqual(told, [['received', 'm1/1']]);
    const again = files.get('m1/1');
    taken();
    await again;
    data.emit('open', null); // what was on its way is not sent again
    assert.deepEqual(told.slice(1), [['lost', 'm1/1']]);
});

test('a file whose pieces stop coming may be asked for again', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const { files, data, told } = sharedFile(async () => {});
    const progress = () => data.emit('progress', { from: 'm1', topic: 'roost.file.content:1', received: 3, size: 9 });
    await files.get('m1/1');
    context.mock.timers.tick(60_000);
    assert.deepEqual(told, [], 'its owner may have much to send before it');
    progress();
    context.mock.timers.tick(14_000);
    progress();
    context.mock.timers.tick(14_000);
    assert.deepEqual(told, []);
    context.mock.timers.tick(1000);
    assert.deepEqual(told, [['lost', 'm1/1']]);
    files.close();
});
