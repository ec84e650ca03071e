// WebSocket as npm's ws, Python's websockets and hand-made frames meet it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { deflateRawSync } from 'node:zlib';

import WebSocket from 'ws';

import { RawConnection } from '../support/raw.mjs';
import { Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const run = promisify(execFile);
let server;

before(async () => {
    server = await Server.start({
        sanitized: true,
        set: { 'http.max_connections_per_address': 2000, 'signal.max_sessions_per_address': 2000, 'signal.max_message': '64k',
            'signal.ping_interval': '1s', 'signal.ping_timeout': '3s',
            // hundreds of handshakes at once take a busy machine a while
            'http.header_timeout': '1m' },
    });
});
after(async () => assert.deepEqual(await server?.stop(), { status: 0, signal: null }));

async function open(options = {}) {
    const { subprotocol, secure, ...rest } = options;
    const url = secure ? `wss://127.0.0.1:${server.httpsPort}/ws` : `ws://127.0.0.1:${server.httpPort}/ws`;
    const socket = new WebSocket(url, subprotocol ?? [], { rejectUnauthorized: false, ...rest });
    socket.inbox = [];
    socket.on('message', (data) => socket.inbox.push(JSON.parse(data)));
    socket.closed = once(socket, 'close').then(([code, reason]) => ({ code, reason: reason.toString() }));
    await once(socket, 'open');
    return socket;
}

async function next(socket) {
    if (socket.inbox.length === 0) await Promise.race([once(socket, 'message'), socket.closed]);
    const message = socket.inbox.shift();
    assert.ok(message, `closed instead of a message: ${JSON.stringify(await Promise.race([socket.closed, null]))}`);
    return message;
}

const ping = (padding = 0) => JSON.stringify({ type: 'ping', padding: 'x'.repeat(padding) });

async function answers(socket, text = ping()) {
    socket.send(text);
    assert.equal((await next(socket)).type, 'pong');
}

// --- hand-made frames ---

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** A client's frame; everything about it can be wrong. */
function frame(payload, { opcode = opcodes.text, final = true, masked = true, reserved = 0, length, width } = {}) {
    const data = Buffer.from(payload);
    const size = length ?? data.length;
    const form = width ?? (size < 126 ? 7 : size < 65536 ? 16 : 64);
    const head = Buffer.alloc(form === 7 ? 2 : form === 16 ? 4 : 10);
    head[0] = (final ? 0x80 : 0) | (reserved << 4) | opcode;
    head[1] = (masked ? 0x80 : 0) | (form === 7 ? size : form === 16 ? 126 : 127);
    if (form === 16) head.writeUInt16BE(size, 2);
    if (form === 64) head.writeBigUInt64BE(BigInt(size), 2);
    if (!masked) return Buffer.concat([head, data]);
    const mask = randomBytes(4);
    return Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i & 3])]);
}

function upgrade(fields = {}) {
    const all = { Host: 'localhost', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...fields };
    return 'GET /ws HTTP/1.1\r\n' + Object.entries(all).filter(([, value]) => value !== undefined)
        .map(([name, value]) => `${name}: ${value}\r\n`).join('') + '\r\n';
}

async function rawSocket(fields, behind = '') {
    const connection = await RawConnection.open(server.httpPort);
    connection.send(Buffer.concat([Buffer.from(upgrade(fields)), Buffer.from(behind)]));
    const answer = await connection.answer();
    return Object.assign(connection, { handshake: answer });
}

/** The next frame of the server's. */
async function readFrame(connection) {
    await connection.until(() => connection.received.length >= 2);
    const [first, second] = connection.received;
    assert.equal(second & 0x80, 0, 'a server masked its frame');
    const form = second & 0x7f;
    const head = form === 126 ? 4 : form === 127 ? 10 : 2;
    await connection.until(() => connection.received.length >= head);
    const size = form === 126 ? connection.received.readUInt16BE(2)
        : form === 127 ? Number(connection.received.readBigUInt64BE(2)) : form;
    await connection.until(() => connection.received.length >= head + size);
    const payload = Buffer.from(connection.take(head + size).subarray(head));
    return { opcode: first & 15, final: !!(first & 0x80), reserved: (first >> 4) & 7, payload };
}

/** The code with which the server closes; frames before it are skipped. */
async function closeCode(connection) {
    for (;;) {
        const { opcode, payload } = await readFrame(connection);
        if (opcode !== opcodes.close) continue;
        connection.send(frame(payload, { opcode: opcodes.close }));
        await connection.untilEnd();
        return payload.length ? payload.readUInt16BE(0) : 1005;
    }
}

// --- handshake ---

test('the handshake is that of RFC 6455', async () => {
    const { handshake, ...connection } = await rawSocket({ 'Sec-WebSocket-Protocol': 'chat, roost.v1' });
    assert.equal(handshake.status, 101);
    assert.equal(handshake.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    assert.equal(handshake.headers['sec-websocket-protocol'], 'roost.v1');
    assert.equal(handshake.headers['sec-websocket-extensions'], undefined);
    connection.socket.destroy();
});

test('handshakes that are none are refused', async () => {
    const cases = [
        [{ 'Sec-WebSocket-Version': '8' }, 426], [{ 'Sec-WebSocket-Key': undefined }, 400],
        [{ 'Sec-WebSocket-Key': 'short' }, 400], [{ Upgrade: undefined }, 426], [{ Upgrade: 'h2c' }, 426],
        [{ Connection: 'keep-alive' }, 426], [{ Origin: 'https://evil.example' }, 403], [{ Origin: 'null' }, 403],
    ];
    for (const [fields, status] of cases) {
        const { handshake, socket } = await rawSocket(fields);
        assert.ok(handshake.status === status || (handshake.status === 400 && status === 426),
            `${JSON.stringify(fields)}: ${handshake.status}`);
        if (fields['Sec-WebSocket-Version']) assert.equal(handshake.headers['sec-websocket-version'], '13');
        socket.destroy();
    }
    const ours = await rawSocket({ Host: `localhost:${server.httpPort}`, Origin: `http://localhost:${server.httpPort}` });
    assert.equal(ours.handshake.status, 101);
    ours.close();
});

test('frames sent along with the handshake are not lost', async () => {
    const connection = await rawSocket({}, frame(ping()));
    assert.deepEqual(JSON.parse((await readFrame(connection)).payload), { type: 'pong' });
    connection.close();
});

test('subprotocols: ours is agreed on, others are not', async () => {
    const asked = await open({ subprotocol: ['roost.v1', 'other'] });
    assert.equal(asked.protocol, 'roost.v1');
    await answers(asked);
    asked.terminate();
    const plain = await open();
    assert.equal(plain.protocol, '');
    plain.terminate();
});

// --- messages ---

for (const secure of [false, true])
    for (const perMessageDeflate of [false, true, { threshold: 0 }, { clientNoContextTakeover: true, serverNoContextTakeover: true, threshold: 0 },
        { serverMaxWindowBits: 9, clientMaxWindowBits: 9, threshold: 0 }])
        test(`messages pass over ${secure ? 'TLS' : 'TCP'} with permessage-deflate ${JSON.stringify(perMessageDeflate)}`, async () => {
            const socket = await open({ secure, perMessageDeflate });
            assert.equal(!!socket.extensions.includes('permessage-deflate'), !!perMessageDeflate);
            for (const size of [0, 1, 100, 125, 126, 127, 1000, 40000]) await answers(socket, ping(size));
            // an answer that is long enough to be compressed, twice for the window
            for (let id = 1; id <= 2; id++) {
                socket.send(JSON.stringify({ type: 'no_such_request', id }));
                const error = await next(socket);
                assert.equal(error.code, 'unknown_type');
            }
            socket.send(JSON.stringify({ type: 'hello', id: 3, version: 1 }));
            assert.equal((await next(socket)).result.version, 1);
            socket.close(1000);
            assert.equal((await socket.closed).code, 1000);
        });

test('fragments make one message, with control frames between them', async () => {
    const socket = await open();
    const text = ping(300);
    for (const piece of [...text.slice(0, -1)]) socket.send(piece, { fin: false });
    socket.ping('between');
    const pong = once(socket, 'pong');
    socket.send(text.slice(-1), { fin: true });
    assert.equal((await pong)[0].toString(), 'between');
    assert.equal((await next(socket)).type, 'pong');
    socket.terminate();
});

test('a character that is split between fragments is whole again', async () => {
    const connection = await rawSocket();
    const text = Buffer.from(JSON.stringify({ type: 'ping', padding: 'é🐓' }));
    for (let i = 0; i < text.length; i++)
        connection.send(frame(text.subarray(i, i + 1), { opcode: i ? opcodes.continuation : opcodes.text, final: i === text.length - 1 }));
    assert.deepEqual(JSON.parse((await readFrame(connection)).payload), { type: 'pong' });
    connection.close();
});

test('pings are answered with what they carry', async () => {
    const connection = await rawSocket();
    for (const size of [0, 1, 125]) {
        const data = randomBytes(size);
        connection.send(frame(data, { opcode: opcodes.ping }));
        const pong = await readFrame(connection);
        assert.equal(pong.opcode, opcodes.pong);
        assert.deepEqual(pong.payload, data);
    }
    connection.close();
});

test('the server pings, and drops who does not answer', async () => {
    const answering = await open();
    answering.send(JSON.stringify({ type: 'hello', id: 1, version: 1 }));
    assert.equal((await next(answering)).type, 'ok');
    await once(answering, 'ping');
    const begin = Date.now();
    const silent = await rawSocket();
    silent.send(frame(JSON.stringify({ type: 'hello', id: 1, version: 1 })));
    await silent.untilEnd();
    assert.ok(Date.now() - begin > 2000, `${Date.now() - begin} ms`);
    await answers(answering);
    answering.terminate();
});

test('close codes come back', async () => {
    for (const code of [1000, 1001, 3000, 4999]) {
        const socket = await open();
        socket.close(code, 'bye');
        assert.equal((await socket.closed).code, code);
    }
    const bare = await rawSocket();
    bare.send(frame('', { opcode: opcodes.close }));
    const answer = await readFrame(bare);
    assert.equal(answer.opcode, opcodes.close);
    await bare.untilEnd();
    const ended = await rawSocket();
    ended.socket.end();
    await ended.untilEnd();
});

test('violations are told with their code', async () => {
    const close = (code, reason = '') => {
        const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
        payload.writeUInt16BE(code);
        payload.write(reason, 2);
        return payload;
    };
    const violations = {
        'an unmasked frame': [1002, frame(ping(), { masked: false })],
        'reserved bit 2': [1002, frame(ping(), { reserved: 2 })],
        'compression that was not agreed on': [1002, frame(ping(), { reserved: 4 })],
        'opcode 3': [1002, frame('x', { opcode: 3 })],
        'opcode 11': [1002, frame('x', { opcode: 11 })],
        'a fragmented ping': [1002, frame('x', { opcode: opcodes.ping, final: false })],
        'a long ping': [1002, frame('x'.repeat(126), { opcode: opcodes.ping })],
        'a continuation of nothing': [1002, frame('x', { opcode: opcodes.continuation })],
        'a message within a message': [1002, Buffer.concat([frame('{', { final: false }), frame('}')])],
        'a length in 16 bits that fits in 7': [1002, frame('x', { width: 16 })],
        'a length in 64 bits that fits in 16': [1002, frame('x'.repeat(200), { width: 64 })],
        'a close frame of one byte': [1002, frame('x', { opcode: opcodes.close })],
        'close code 999': [1002, frame(close(999), { opcode: opcodes.close })],
        'close code 1005': [1002, frame(close(1005), { opcode: opcodes.close })],
        'close code 1006': [1002, frame(close(1006), { opcode: opcodes.close })],
        'close code 65535': [1002, frame(close(65535), { opcode: opcodes.close })],
        'a close reason that is not UTF-8': [1007, frame(Buffer.concat([close(1000), Buffer.from([0xff])]), { opcode: opcodes.close })],
        'text that is not UTF-8': [1007, frame(Buffer.from([0x22, 0xc3, 0x28, 0x22]))],
        'an overlong character': [1007, frame(Buffer.from([0xc0, 0xaf]))],
        'half of a surrogate pair': [1007, frame(Buffer.from([0xed, 0xa0, 0x80]))],
        'a character that never ends': [1007, frame(Buffer.from([0xf0, 0x9f]))],
        'a fragment that is not UTF-8': [1007, Buffer.concat([frame(Buffer.from([0xff]), { final: false }),
            frame('', { opcode: opcodes.continuation })])],
        'a binary message': [1003, frame('{}', { opcode: opcodes.binary })],
        'a message that is too big': [1009, frame('x'.repeat(65537))],
        'a frame said to be too big': [1009, frame('x', { length: 1 << 30 })],
        'a frame said to be endless': [[1002, 1009], frame('x', { length: Number.MAX_SAFE_INTEGER })],
        'fragments that are too big together': [1009, Buffer.concat(Array.from({ length: 5 }, (_, i) =>
            frame('x'.repeat(15000), { opcode: i ? opcodes.continuation : opcodes.text, final: false })))],
        'fragments without end': [1008, Buffer.concat(Array.from({ length: 3000 }, (_, i) =>
            frame('', { opcode: i ? opcodes.continuation : opcodes.text, final: false })))],
    };
    for (const [what, [code, bytes]] of Object.entries(violations)) {
        const connection = await rawSocket();
        connection.send(bytes);
        const got = await closeCode(connection).catch((problem) => { throw new Error(`${what}: ${problem.message}`); });
        assert.ok([code].flat().includes(got), `${what}: ${got} instead of ${code}`);
        connection.close();
    }
});

test('what is too big for ws to send in one piece gets 1009, too', async () => {
    const socket = await open({ perMessageDeflate: false });
    socket.send(ping(65537));
    assert.equal((await socket.closed).code, 1009);
});

test('compressed data that is none, or a bomb, closes the connection and costs little', async () => {
    const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
    const broken = await rawSocket(offer);
    assert.match(broken.handshake.headers['sec-websocket-extensions'], /^permessage-deflate/);
    broken.send(frame(Buffer.from([0xff, 0xff, 0xff, 0xff]), { reserved: 4 }));
    assert.equal(await closeCode(broken), 1007);
    const before = (await server.metrics()).get('process_resident_memory_bytes');
    const bomb = deflateRawSync(Buffer.alloc(60 << 20), { level: 9 });
    assert.ok(bomb.length < 62000, `${bomb.length}`);
    for (let i = 0; i < 5; i++) {
        const connection = await rawSocket(offer);
        connection.send(frame(bomb, { reserved: 4 }));
        assert.equal(await closeCode(connection), 1009);
    }
    const grown = (await server.metrics()).get('process_resident_memory_bytes') - before;
    assert.ok(grown < 20e6, `${grown} bytes more`);
    const text = deflateRawSync(Buffer.from([0x22, 0xff, 0x22]));
    const notText = await rawSocket(offer);
    notText.send(frame(text, { reserved: 4 }));
    assert.equal(await closeCode(notText), 1007);
});

test('offers of permessage-deflate that cannot be met are declined', async () => {
    const declined = ['permessage-deflate; server_max_window_bits=7', 'permessage-deflate; server_max_window_bits=16',
        'permessage-deflate; unknown=1', 'permessage-deflate; server_no_context_takeover; server_no_context_takeover', 'x-other'];
    for (const offer of declined) {
        const connection = await rawSocket({ 'Sec-WebSocket-Extensions': offer });
        assert.equal(connection.handshake.status, 101, offer);
        assert.equal(connection.handshake.headers['sec-websocket-extensions'], undefined, offer);
        connection.close();
    }
    const second = await rawSocket({ 'Sec-WebSocket-Extensions': 'permessage-deflate; unknown=1, permessage-deflate' });
    assert.match(second.handshake.headers['sec-websocket-extensions'], /^permessage-deflate/);
    second.close();
});

/** Until so many WebSockets are open: those of earlier tests may still be going. */
const untilOpen = (count) => until(`${count} WebSockets`, async () => (await server.metrics()).get('websockets') === count);

test('five hundred sockets talk at once', async () => {
    const sockets = await Promise.all(Array.from({ length: 500 }, (_, i) => open({ secure: i % 10 === 0 })));
    await Promise.all(sockets.map((socket) => {
        socket.send(JSON.stringify({ type: 'hello', id: 1, version: 1 }));
        return next(socket);
    }));
    for (let round = 0; round < 5; round++) await Promise.all(sockets.map((socket) => answers(socket)));
    await untilOpen(500);
    sockets.slice(0, 250).forEach((socket) => socket.close(1000));
    sockets.slice(250).forEach((socket) => socket.terminate());
    await Promise.all(sockets.map((socket) => socket.closed));
    await untilOpen(0);
});

// --- a second opinion ---

const pythonClient = `
import asyncio, json, ssl, sys, websockets
async def main(url):
    context = ssl._create_unverified_context() if url.startswith("wss") else None
    for compression in ("deflate", None):
        async with websockets.connect(url, subprotocols=["roost.v1"], compression=compression, ssl=context) as socket:
            assert socket.subprotocol == "roost.v1"
            assert bool(socket.extensions) == (compression is not None)
            await socket.send(json.dumps({"type": "hello", "id": 1, "version": 1, "client": "x" * 64}))
            assert json.loads(await socket.recv())["result"]["session"]
            text = json.dumps({"type": "ping", "padding": "é" * 5000}, ensure_ascii=False)
            await socket.send([text[i:i + 100] for i in range(0, len(text), 100)])
            assert json.loads(await socket.recv()) == {"type": "pong"}
            await (await socket.ping(b"are you there"))
            await socket.close(1000)
            assert socket.close_code == 1000
    print("good")
asyncio.run(main(sys.argv[1]))
`;
const python = '/usr/bin/python3'; // Debian's, which finds Debian's packages
const hasPython = await run(python, ['-c', 'import websockets']).then(() => true, () => false);

test("Python's websockets agrees", { skip: !hasPython }, async () => {
    for (const url of [`ws://127.0.0.1:${server.httpPort}/ws`, `wss://127.0.0.1:${server.httpsPort}/ws`])
        assert.equal((await run(python, ['-c', pythonClient, url])).stdout, 'good\n');
});
