// The TCP ports that take ICE (RFC 6544): what else they serve meanwhile, what strangers can hold there, and that each
// end is counted.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';

import { Server } from '../support/server.mjs';
import { StunClient, addressBytes, addressText, attribute, decode, encode, method } from '../support/stun_client.mjs';
import { credentials, secret } from '../support/turn.mjs';
import { until } from '../support/until.mjs';
import * as whip from '../support/whip.mjs';

/** @type {Server} */
let server;
before(async () => { server = await Server.start({ sanitized: true, set: { 'server.workers': 2, 'turn.secrets': secret } }); });
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

test('a stranger who sends half a frame is given up after ten seconds', { timeout: 120000 }, async () => {
    const before = await closed('no_check');
    await Promise.all(Array.from({ length: 50 }, () => refused(server.httpsPort, [framed(check('nobody:half')).subarray(0, 30)])));
    await until('all are counted', async () => await closed('no_check') === before + 50);
    await until('nothing is held', async () => await open() === 0);
});

/** The next packet of a stream that is framed by RFC 4571, as a STUN message. */
async function answerOn(socket) {
    let bytes = Buffer.alloc(0);
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) break;
    }
    return decode(bytes.subarray(2));
}

for (const host of ['127.0.0.1', '::1'])
    test(`one port serves HTTPS, TURN over TLS and ICE over TCP side by side, on ${host}`, async () => {
        const port = server.httpsPort;
        const created = await whip.post(server, '/whip/beside');
        const sdp = await created.text();
        assert.match(sdp, new RegExp(`a=candidate:\\S+ 1 tcp \\d+ \\S+ ${port} typ host tcptype passive`));
        const [, ufrag] = /a=ice-ufrag:(\S+)/.exec(sdp);
        const [, key] = /a=ice-pwd:(\S+)/.exec(sdp);
        const ice = connect(port, host);
        const turn = await StunClient.open({ port, host, transport: 'tls' });
        try {
            await turn.allocate(credentials());
            for (let round = 0; round < 3; round++) {
                const transaction = Buffer.alloc(12, round + 1);
                ice.write(framed(encode({ of: method.binding, transaction, attributes: [[attribute.username, Buffer.from(`${ufrag}:abcd`)]], key })));
                const [answer, refreshed, page] = await Promise.all([answerOn(ice), turn.request(method.refresh), server.fetch('/healthz', { secure: true })]);
                assert.equal(answer.kind, 'success');
                assert.deepEqual(answer.transaction, transaction);
                assert.deepEqual(answer.address(attribute.xorMapped), { address: addressText(addressBytes(ice.localAddress)), port: ice.localPort });
                assert.equal(refreshed.kind, 'success', `${refreshed.error} ${refreshed.reason}`);
                assert.equal(page.status, 200);
            }
            assert.equal(await open(), 1);
        } finally {
            ice.destroy();
            turn.close();
            await whip.call(server, created.headers.get('location'), 'DELETE');
        }
        await until('nothing is held', async () => await open() === 0);
    });
