// Strangers on the TCP ports that take ICE (RFC 6544): what they can hold, and that each end is counted.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';

import { Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';

/** @type {Server} */
let server;
before(async () => { server = await Server.start({ sanitized: true, set: { 'server.workers': 2 } }); });
after(async () => assert.deepEqual(await server?.stop(), { status: 0, signal: null }));

const cookie = Buffer.from([0x21, 0x12, 0xa4, 0x42]);

/** A Binding request with a USERNAME, and what is no valid integrity. */
function check(user, { length = 0 } = {}) {
    const name = Buffer.from(user);
    const padded = Buffer.concat([name, Buffer.alloc((4 - (name.length % 4)) % 4)]);
    const body = Buffer.concat([Buffer.from([0, 6, 0, name.length]), padded, Buffer.from([0, 8, 0, 20]), Buffer.alloc(20, 7), Buffer.alloc(length)]);
    const head = Buffer.concat([Buffer.from([0, 1, body.length >> 8, body.length & 255]), cookie, Buffer.alloc(12, 1)]);
    return Buffer.concat([head, body]);
}

function framed(packet) {
    const head = Buffer.alloc(2);
    head.writeUInt16BE(packet.length);
    return Buffer.concat([head, packet]);
}

/** Sends `chunks` one after the other and resolves when the server has closed. */
function refused(port, chunks) {
    return new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1');
        socket.setNoDelay(true);
        socket.on('error', () => {});
        socket.on('close', resolve);
        socket.on('data', () => assert.fail('a stranger got an answer'));
        const send = () => {
            const chunk = chunks.shift();
            if (chunk) socket.write(chunk, () => setImmediate(send));
        };
        socket.on('connect', send);
    });
}

const closed = async (reason) => [...await server.metrics()]
    .filter(([name]) => name.startsWith('media_streams_closed_total') && name.includes(`reason="${reason}"`))
    .reduce((sum, [, value]) => sum + value, 0);
const open = async () => [...await server.metrics()]
    .filter(([name]) => name.startsWith('media_streams{')).reduce((sum, [, value]) => sum + value, 0);

const ports = () => [server.httpsPort, server.log.find((record) => record.message === 'TURN listens').tcp_port];

test('a check for nobody ends the connection without an answer, on every port', async () => {
    for (const port of ports()) {
        const before = await closed('not_authentic');
        await refused(port, [framed(check('nobody:stranger'))]);
        await until('it is counted', async () => await closed('not_authentic') === before + 1);
    }
});

test('a frame that comes byte by byte is judged when it is whole', async () => {
    const before = await closed('not_authentic');
    await refused(server.httpsPort, [...framed(check('nobody:slow'))].map((byte) => Buffer.from([byte])));
    await until('it is counted', async () => await closed('not_authentic') === before + 1);
});

test('a stranger cannot announce a large frame', async () => {
    const before = await closed('frame_too_large');
    const large = framed(check('nobody:large', { length: 60000 }));
    await refused(server.httpsPort, [large.subarray(0, 200)]);
    await until('it is counted', async () => await closed('frame_too_large') === before + 1);
});

test('a stranger who sends half a frame is given up after ten seconds', { timeout: 30000 }, async () => {
    const before = await closed('no_check');
    await Promise.all(Array.from({ length: 50 }, () => refused(server.httpsPort, [framed(check('nobody:half')).subarray(0, 30)])));
    await until('all are counted', async () => await closed('no_check') === before + 50);
    await until('nothing is held', async () => await open() === 0);
});
