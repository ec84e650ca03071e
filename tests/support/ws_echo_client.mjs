// An independent WebSocket client (npm "ws") against an echo endpoint: prints "ok" when all came back.
// usage: node ws_echo_client.mjs URL
import assert from 'node:assert/strict';
import { once } from 'node:events';

import WebSocket from 'ws';

const url = process.argv[2];

async function open(options) {
    const socket = new WebSocket(url, ['roost.1'], { rejectUnauthorized: false, ...options });
    await once(socket, 'open');
    assert.equal(socket.protocol, 'roost.1');
    return socket;
}

async function echo(socket, message, options = {}) {
    socket.send(message, options);
    const [data, isBinary] = await once(socket, 'message');
    assert.equal(isBinary, typeof message !== 'string');
    assert.ok(Buffer.from(message).equals(data), `${data.length} bytes came back`);
}

for (const perMessageDeflate of [false, true, { threshold: 0, serverMaxWindowBits: 9 }]) {
    const socket = await open({ perMessageDeflate });
    assert.equal(socket.extensions.includes('permessage-deflate'), perMessageDeflate !== false);
    for (const size of [0, 1, 125, 126, 1000, 65535, 65536]) {
        await echo(socket, 'ä'.repeat(size / 2));
        await echo(socket, Buffer.from(Array.from({ length: size }, (_, i) => (i * i) % 251)));
    }
    // fragments with a ping between them
    socket.send('one ', { fin: false });
    socket.ping('between');
    socket.send('two ', { fin: false });
    socket.send('three', { fin: true });
    const [[pong], [whole]] = await Promise.all([once(socket, 'pong'), once(socket, 'message')]);
    assert.equal(pong.toString(), 'between');
    assert.equal(whole.toString(), 'one two three');
    // many at once keep their order
    let next = 0;
    const all = new Promise((resolve) => socket.on('message', (data) => {
        assert.equal(data.toString(), `${next} ${'x'.repeat(next)}`);
        if (++next === 1000) resolve();
    }));
    for (let i = 0; i < 1000; i++) socket.send(`${i} ${'x'.repeat(i)}`);
    await all;
    socket.close(4000, 'bye');
    const [code] = await once(socket, 'close');
    assert.equal(code, 4000);
}

const closed = await open();
closed.send('close');
const [code, reason] = await once(closed, 'close');
assert.equal(code, 4321);
assert.equal(reason.toString(), 'as you wish');

const large = await open({ perMessageDeflate: true });
large.send('x'.repeat(70000)); // inflates beyond the limit
assert.equal((await once(large, 'close'))[0], 1009);

const bad = new WebSocket(url, { origin: 'https://evil.example', rejectUnauthorized: false });
const [, response] = await once(bad, 'unexpected-response');
assert.equal(response.statusCode, 403);
console.log('ok');
process.exit(0);
