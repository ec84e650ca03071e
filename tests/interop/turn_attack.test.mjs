// Published attacks on TURN servers, tried from outside on the whole program. The references are to
// CVE numbers and to what was reported of other servers.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, connect as tcpConnect } from 'node:net';
import { after, before, describe, test } from 'node:test';

import { StunClient, attribute, decode, encode, method } from '../support/stun_client.mjs';
import { TurnServer, comparing, credentials } from '../support/turn.mjs';
import { patienceMs, until } from '../support/until.mjs';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** When a socket has closed, in whatever way. */
const closing = (socket) => new Promise((resolve) => socket.resume().once('close', resolve));

/** Kibibytes of a process in memory. */
const residentKib = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

/** @type {TurnServer} strict as it comes, but for its relays on loopback */
let server;
const open = [];

before(async () => {
    // without sanitizers: memory is measured
    server = await TurnServer.start({
        sanitized: false, workers: 2, set: {
            'turn.relay_addresses': '127.0.0.9, ::1', 'turn.tcp_relay': true, 'turn.stream_timeout': '2s', 'turn.max_connections_per_address': 200,
            'turn.oauth_keys': `north:A256GCM:${Buffer.alloc(32, 7).toString('base64')}`,
        },
        coturn: ['-E', '127.0.0.9', '-E', '::1'],
    });
});

after(async () => {
    for (const client of open) {
        try {
            client.close();
        } catch { /* closed already */ }
    }
    if (server) assert.deepEqual(await server.stop(), { status: 0, signal: null });
});

async function client(options = {}) {
    const one = await StunClient.open({ port: options.transport === 'tls' ? server.tlsPort : server.port, ...options });
    open.push(one);
    return one;
}

async function allocated(options = {}, allocation = {}) {
    const one = await client(options);
    await one.allocate(credentials(options.user), allocation);
    return one;
}

/** Refused without exception, in these families. */
const foreign = {
    4: ['0.1.2.3', '10.0.0.1', '10.255.255.254', '100.64.0.1', '100.100.100.200', '169.254.1.1', '169.254.169.254', '169.254.170.2', '172.16.0.1', '172.31.255.254',
        '192.0.0.1', '192.0.0.192', '192.0.2.1', '192.168.0.1', '192.168.255.254', '198.18.0.1', '198.19.255.254', '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.250', '240.0.0.1',
        '255.255.255.255'],
    6: ['fe80::1', 'fc00::1', 'fd00:ec2::254', 'fec0::1', 'ff02::1', 'ff05::2', 'ff0e::1', '2001:db8::1', '100::1',
        // IPv4 within IPv6: mapped (CVE-2026-27624), compatible, SIIT, NAT64, local NAT64, 6to4, Teredo, ISATAP
        '::ffff:10.0.0.1', '::ffff:169.254.169.254', '::ffff:192.168.1.1', '::ffff:0:10.0.0.1', '::10.0.0.1', '64:ff9b::10.0.0.1', '64:ff9b::169.254.169.254', '64:ff9b:1::10.0.0.1',
        '2002:a00:1::1', '2002:a9fe:a9fe::1', '2001:0:4136:e378:8000:63bf:f5ff:fffe', 'fe80::5efe:10.0.0.1', '2a00:1450::5efe:10.0.0.1', '2a00:1450::200:5efe:192.168.0.1'],
};
/** Spellings of this machine (CVE-2020-26262): refused, or at least never reached through a socket. */
const loopback = {
    4: ['127.0.0.1', '127.0.0.2', '127.1.2.3', '127.255.255.254', '0.0.0.0', '127.0.0.9'],
    6: ['::1', '::', '::ffff:127.0.0.1', '::ffff:0.0.0.0', '::127.0.0.1', '::ffff:0:127.0.0.1', '64:ff9b::127.0.0.1', '64:ff9b::', '2002:7f00:1::', '2001:0:4136:e378:8000:63bf:80ff:fffe', 'fe80::5efe:127.0.0.1'],
};

describe('peers of the inner network', { skip: comparing && 'coturn allows private networks' }, () => {
    for (const family of [4, 6]) {
        test(`every special network is refused (IPv${family})`, async () => {
            const one = await allocated({ user: `foreign${family}` }, { family });
            const accepted = [];
            for (const address of foreign[family]) {
                const [permission, channel, relayed] = [await one.permission(address), await one.channel(0x4000, { address, port: 80 }), one.relayed];
                assert.ok(relayed);
                if (permission?.error !== 403) accepted.push(`permission for ${address}: ${permission?.error ?? permission}`);
                if (channel?.error !== 403) accepted.push(`channel to ${address}: ${channel?.error ?? channel}`);
            }
            assert.deepEqual(accepted, []);
        });
        test(`of several peers, one that is refused refuses all (IPv${family})`, async () => {
            const one = await allocated({ user: `several${family}` }, { family });
            const [good, bad] = family === 4 ? ['8.8.8.8', '10.0.0.1'] : ['2a00:1450::8', '::ffff:10.0.0.1'];
            assert.equal((await one.permission(good)).kind, 'success');
            assert.equal((await one.permission(good, bad)).error, 403);
            assert.equal((await one.permission(bad, good)).error, 403);
        });
        test(`no spelling of this machine reaches a service on it (IPv${family})`, async () => {
            const victims = await Promise.all([['udp4', '127.0.0.1'], ['udp4', '0.0.0.0'], ['udp6', '::1']].map(async ([type, address]) => {
                const socket = createSocket({ type, ipv6Only: type === 'udp6' });
                const got = [];
                socket.on('message', (bytes) => got.push(bytes.toString()));
                socket.bind(0, address);
                await once(socket, 'listening');
                return { socket, got, port: socket.address().port };
            }));
            const one = await allocated({ user: `own${family}` }, { family });
            let channel = 0x4000;
            for (const address of loopback[family]) {
                const permission = await one.permission(address);
                for (const { port } of victims) {
                    const bound = await one.channel(channel, { address, port });
                    one.send({ address, port }, Buffer.from(`indication to ${address}`));
                    if (bound?.kind === 'success') one.sendChannel(channel++, Buffer.from(`channel to ${address}`));
                }
                assert.ok(permission, `an answer for ${address}`);
            }
            // all of the above was handled when this is answered
            await one.refresh(600);
            await pause(200);
            for (const { socket } of victims) socket.close();
            assert.deepEqual(victims.flatMap(({ got }) => got), []);
        });
    }
    test('a Connect (RFC 6062) to this machine or the inner network is refused', async () => {
        let connections = 0;
        const victim = createServer((socket) => { connections++; socket.destroy(); });
        await once(victim.listen(0, '127.0.0.1'), 'listening');
        for (const [family, addresses] of [[4, [...loopback[4], '10.0.0.1', '169.254.169.254']], [6, [...loopback[6], '::ffff:169.254.169.254']]]) {
            const one = await allocated({ transport: 'tcp', user: `connect${family}` }, { family, protocol: 6 });
            for (const address of addresses) {
                const answer = await one.connectPeer({ address, port: victim.address().port });
                assert.ok([403, 447].includes(answer?.error), `${address}: ${answer?.error ?? answer?.kind}`);
            }
        }
        victim.close();
        assert.equal(connections, 0);
    });
    test('the server does not talk to its own listeners through a relay', async () => {
        const one = await allocated({ user: 'loop' });
        for (const port of [server.port, server.tlsPort]) {
            for (const address of ['127.0.0.1', '127.0.0.9']) {
                await one.permission(address);
                const request = encode({ of: method.binding });
                one.send({ address, port }, request);
                const allocate = encode({ of: method.allocate, attributes: [[attribute.transport, Buffer.from([17, 0, 0, 0])]] });
                one.send({ address, port }, allocate);
            }
        }
        await one.refresh(600);
        await pause(200);
        // the media server's STUN may answer a Binding; an Allocate from inside would be a relay of relays
        for (const { data } of one.received) assert.equal(decode(data)?.of === method.allocate, false, 'a relay allocates on its own server');
    });
    test('the log names the rule and the remedy of a refusal', async () => {
        const one = await allocated({ user: 'logged' });
        await one.permission('10.11.12.13');
        const record = await server.roost.logged((line) => JSON.stringify(line).includes('10.11.12.13'));
        const text = JSON.stringify(record);
        assert.match(text, /RFC 1918|private/);
        assert.match(text, /turn\.allowed_peers/);
    });
});

describe('amplification', () => {
    /** What one datagram of these bytes brings back, all together, within a while. */
    async function answersTo(bytes, from) {
        const socket = createSocket('udp4');
        const answers = [];
        socket.on('message', (answer) => answers.push(answer));
        socket.bind(0, from);
        await once(socket, 'listening');
        socket.send(bytes, server.port, '127.0.0.1');
        // one address is served in order: with the answer to this there are all that came before
        const transaction = Buffer.alloc(12, 0x77);
        const isLast = (answer) => answer.subarray(8, 20).equals(transaction);
        socket.send(encode({ of: method.binding, transaction }), server.port, '127.0.0.1');
        await until('the last answer', () => answers.some(isLast));
        socket.close();
        return answers.filter((answer) => !isLast(answer));
    }
    const allocate = (attributes = []) => encode({ of: method.allocate, attributes: [[attribute.transport, Buffer.from([17, 0, 0, 0])], ...attributes] });

    test('a Binding answer holds the mapped address and little else', { skip: comparing }, async (t) => {
        const request = encode({ of: method.binding });
        const answers = await answersTo(request, '127.0.10.1');
        assert.equal(answers.length, 1);
        t.diagnostic(`${request.length} bytes bring ${answers[0].length}`);
        assert.deepEqual([...decode(answers[0]).attributes.keys()].filter((type) => type !== attribute.fingerprint), [attribute.xorMapped]);
        assert.ok(answers[0].length <= 40, `${answers[0].length} bytes`);
    });
    test('a 401 holds what RFC 8489 asks for, without software and reason', { skip: comparing }, async (t) => {
        const request = allocate();
        const answers = await answersTo(request, '127.0.11.1');
        assert.equal(answers.length, 1);
        const message = decode(answers[0]);
        t.diagnostic(`${request.length} bytes bring ${answers[0].length}`);
        assert.equal(message.error, 401);
        assert.equal(message.reason, '');
        const needed = new Set([attribute.errorCode, attribute.realm, attribute.nonce, attribute.passwordAlgorithms, attribute.thirdParty, attribute.fingerprint]);
        assert.deepEqual([...message.attributes.keys()].filter((type) => !needed.has(type)), []);
        assert.ok(answers[0].length <= 150, `${answers[0].length} bytes`);
    });
    test('a flood from one network is answered up to a limit only, and others are served', { skip: comparing }, async () => {
        const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
        let answers = 0;
        socket.on('message', () => answers++);
        socket.bind(0, '127.0.12.1');
        await once(socket, 'listening');
        const count = 6000;
        const begun = Date.now();
        for (let i = 0; i < count; i++) {
            socket.send(i % 2 ? allocate() : encode({ of: method.binding }), server.port, '127.0.0.1');
            if (i % 100 === 0) await pause(1);
        }
        // many of the first thousand come back, however long that takes
        await until('answers', () => answers >= 500);
        await pause(500);
        // 1000 at once, then 100 per second
        const allowed = 1000 + Math.ceil((Date.now() - begun) / 1000) * 100 + 100;
        assert.ok(answers <= allowed, `${answers} answers of ${count}, more than ${allowed}`);
        assert.ok(await server.metric('turn_dropped_total', 'rate_limit') > 0);
        socket.close();
        // a stranger from elsewhere is not made to suffer
        assert.equal((await answersTo(allocate(), '127.0.13.1')).length, 1);
    });
    test('what is no request brings nothing back', async () => {
        const binding = encode({ of: method.binding });
        const badLength = Buffer.from(binding);
        badLength.writeUInt16BE(4, 2);
        const badFingerprint = encode({ of: method.binding, attributes: [[attribute.fingerprint, Buffer.alloc(4)]] });
        for (const bytes of [Buffer.from('hello'), Buffer.alloc(1200), Buffer.alloc(0), Buffer.from([0x40, 0, 0, 4, 1, 2, 3, 4]), badLength, badFingerprint,
            encode({ of: method.binding, kind: 1 }), encode({ of: method.binding, kind: 2 }), encode({ of: method.binding, kind: 3 }), encode({ of: method.send, kind: 1 }), encode({ of: method.data, kind: 1 })])
            assert.deepEqual(await answersTo(bytes, '127.0.14.1'), [], bytes.toString('hex').slice(0, 60));
    });
    test('no answer goes to the address in a response\'s attributes', async () => {
        // RESPONSE-ADDRESS (RFC 3489) and RESPONSE-PORT (RFC 5780) would aim answers at others
        const victim = createSocket('udp4');
        const got = [];
        victim.on('message', (bytes) => got.push(bytes));
        victim.bind(0, '127.0.0.1');
        await once(victim, 'listening');
        const { port } = victim.address();
        const address = Buffer.from([0, 1, port >> 8, port & 255, 127, 0, 0, 1]);
        await answersTo(encode({ of: method.binding, attributes: [[0x0002, address]] }), '127.0.15.1');
        await answersTo(encode({ of: method.binding, attributes: [[0x0027, Buffer.from([port >> 8, port & 255, 0, 0])]] }), '127.0.15.1');
        victim.close();
        assert.deepEqual(got, []);
    });
});

describe('strangers', () => {
    test('floods from many addresses leave memory as it was', { timeout: 180000 }, async (t) => {
        const kinds = [Buffer.alloc(14, 0x55), encode({ of: method.binding }), encode({ of: method.allocate, attributes: [[attribute.transport, Buffer.from([17, 0, 0, 0])]] }),
            // DTLS: a ClientHello, cut short
            Buffer.from('16fefd0000000000000000002a0100001e000000000000001efefd00000000', 'hex'), Buffer.from([0x40, 0, 0, 1, 9])];
        const flood = async (round) => {
            for (let i = 0; i < 4000; i += 200) {
                const sockets = await Promise.all(Array.from({ length: 200 }, async (_, k) => {
                    const socket = createSocket('udp4');
                    const n = i + k;
                    socket.bind(0, `127.${20 + round}.${n >> 8}.${n & 255}`);
                    await once(socket, 'listening');
                    return socket;
                }));
                for (const socket of sockets) for (const bytes of kinds) socket.send(bytes, server.port, '127.0.0.1');
                await pause(10);
                for (const socket of sockets) socket.close();
            }
        };
        await flood(0);
        const before = residentKib(server.pid);
        await flood(1);
        await flood(2);
        const grown = residentKib(server.pid) - before;
        t.diagnostic(`8,000 more sources, 40,000 datagrams: ${grown} KiB`);
        // coturn 4.6.1 keeps 15 to 20 KiB per source
        if (!comparing) assert.ok(grown < 1024, `${grown} KiB grown`);
    });
    test('a nonce is good for the address it was given to alone', { skip: comparing }, async () => {
        const one = await client({ from: '127.0.0.1' });
        const other = await client({ from: '127.0.0.3' });
        await one.challenge(credentials('nonce'));
        await other.challenge(credentials('nonce'));
        assert.notDeepEqual(one.nonce, other.nonce);
        other.nonce = one.nonce;
        other.username = one.username;
        other.key = one.key;
        const answer = await other.request(method.allocate, [[attribute.transport, Buffer.from([17, 0, 0, 0])]], { once: true });
        assert.equal(answer.error, 438);
        // and the new one serves
        other.nonce = answer.attributes.get(attribute.nonce);
        assert.equal((await other.request(method.allocate, [[attribute.transport, Buffer.from([17, 0, 0, 0])]], { once: true })).kind, 'success');
    });
    test('a made-up nonce is refused', { skip: comparing }, async () => {
        const one = await client();
        await one.challenge(credentials('forged'));
        const good = Buffer.from(one.nonce);
        // four bits of the last character mean nothing
        for (const index of [good.length - 2, Math.floor(good.length / 2), 0]) {
            one.nonce = Buffer.from(good);
            one.nonce[index] = one.nonce[index] === 0x41 ? 0x42 : 0x41;
            const answer = await one.request(method.allocate, [[attribute.transport, Buffer.from([17, 0, 0, 0])]], { once: true });
            assert.ok([400, 401, 438].includes(answer.error), `byte ${index}: ${answer.error ?? answer.kind}`);
        }
    });
    test('an answer does not tell whether a user exists', { skip: comparing }, async () => {
        const shapes = [];
        for (const username of ['nobody', `${Math.floor(Date.now() / 1000) + 100}:tester`, '1:expired', 'x'.repeat(500)]) {
            const one = await client();
            await one.challenge({ username, credential: 'wrong' });
            const answer = await one.request(method.allocate, [[attribute.transport, Buffer.from([17, 0, 0, 0])]], { once: true });
            shapes.push([answer.error, [...answer.attributes.keys()].join()].join(' '));
        }
        assert.equal(new Set(shapes).size, 1, shapes.join('\n'));
        assert.match(shapes[0], /^401 /);
    });
    test('nobody else can touch an allocation', async () => {
        const owner = await allocated({ user: 'owner' });
        // the same 5-tuple with another user's credentials
        const mine = { username: owner.username, key: owner.key };
        const { username, credential } = credentials('thief');
        Object.assign(owner, { username });
        const { createHash } = await import('node:crypto');
        owner.key = createHash('md5').update(`${username}:${owner.realm}:${credential}`).digest();
        assert.equal((await owner.refresh(0)).error, 441);
        assert.equal((await owner.permission('8.8.8.8')).error, 441);
        Object.assign(owner, mine);
        assert.equal((await owner.refresh(600)).kind, 'success');
        // another 5-tuple with the owner's
        const thief = await client();
        await thief.challenge(credentials('owner'));
        assert.equal((await thief.refresh(0)).error, 437);
        assert.equal((await thief.permission('8.8.8.8')).error, comparing ? 400 : 437);
    });
    test('relay ports cannot be foretold (CVE-2025-69217)', async () => {
        const ports = [];
        for (let i = 0; i < 24; i++) ports.push((await allocated({ user: `ports${i}` })).relayed.port);
        const steps = ports.slice(1).map((port, i) => port - ports[i]);
        assert.ok(new Set(steps).size > 12, ports.join());
        // half of what there is
        assert.ok(Math.max(...ports) - Math.min(...ports) > 150, ports.join());
    });
});

describe('hostile bytes', () => {
    const alive = async () => assert.equal((await (await client({ from: '127.0.16.1' })).ask(method.binding, [], { key: undefined })).kind, 'success');

    test('access tokens whose lengths lie (CVE-2026-43994)', async () => {
        const one = await client();
        await one.challenge(credentials());
        for (const nonceSize of [0, 12, 13, 255, 256, 4096, 65535])
            for (const size of [2, 3, 14, 40, 600, 1200]) {
                const token = Buffer.alloc(size, 0x61);
                token.writeUInt16BE(nonceSize, 0);
                const answer = await one.ask(method.allocate, [[attribute.transport, Buffer.from([17, 0, 0, 0])], [attribute.username, Buffer.from('north')],
                    [attribute.realm, Buffer.from(one.realm)], [attribute.nonce, one.nonce], [attribute.accessToken, token]], { key: Buffer.alloc(20) });
                assert.ok(answer?.error >= 400, `${answer?.error ?? answer}`);
            }
        await alive();
    });
    test('attributes that are too short, too long, repeated or unknown', async () => {
        const one = await allocated({ user: 'odd' });
        for (const type of [...Object.values(attribute), 0x7fff, 0xffff])
            for (const size of [0, 1, 3, 4, 5, 8, 20, 700])
                for (const of of [method.allocate, method.refresh, method.permission, method.channel, method.binding])
                    one.write(encode({ of, attributes: [[type, Buffer.alloc(size, 1)], [type, Buffer.alloc(size, 255)]], key: one.key }));
        assert.equal((await one.refresh(600)).kind, 'success');
        await alive();
    });
    test('streams of nonsense are closed', async () => {
        const nonsense = [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), Buffer.alloc(70000, 0xff), Buffer.from([0, 1, 0xff, 0xff, 0x21, 0x12, 0xa4, 0x42]), Buffer.from('160301020001000001fc0303', 'hex')];
        await Promise.all(nonsense.map(async (bytes) => {
            const socket = tcpConnect(server.port, '127.0.0.1');
            socket.on('error', () => {});
            socket.write(bytes);
            await Promise.race([closing(socket), pause(20000).then(() => assert.fail(`still open after ${bytes.subarray(0, 12).toString('latin1')}`))]);
        }));
        await alive();
    });
});

describe('slow strangers', { skip: comparing, concurrency: 2 }, () => {
    test('who connects and says nothing is sent away, over TCP and TLS', async () => {
        const quiet = await Promise.all([server.port, server.tlsPort].map(async (port) => {
            const socket = tcpConnect(port, '127.0.0.1');
            socket.on('error', () => {});
            await once(socket, 'connect');
            return socket;
        }));
        await Promise.all(quiet.map((socket) => Promise.race([closing(socket), pause(patienceMs).then(() => assert.fail('still open'))])));
    });
    test('who sends a byte a second does not stay for that', async () => {
        const begun = Date.now();
        await Promise.all([[server.port, Buffer.from('000300082112a442', 'hex')], [server.tlsPort, Buffer.from('1603010200010001fc0303', 'hex')]].map(async ([port, bytes]) => {
            const socket = tcpConnect(port, '127.0.0.1');
            socket.on('error', () => {});
            await once(socket, 'connect');
            const closed = closing(socket);
            let ended = false;
            void closed.then(() => { ended = true; });
            for (let i = 0; !ended && Date.now() < begun + patienceMs; i++) {
                socket.write(bytes.subarray(i % bytes.length, (i % bytes.length) + 1));
                await Promise.race([closed, pause(1000)]);
            }
            assert.ok(ended, `port ${port} still open after ${Date.now() - begun} ms`);
        }));
    });
});

describe('streams', { skip: comparing }, () => {
    test('one address may hold a limited number of connections', async () => {
        const sockets = [];
        let closed = 0;
        for (let i = 0; i < 230; i++) {
            const socket = tcpConnect({ port: server.port, host: '127.0.0.1', localAddress: '127.0.17.1' });
            socket.on('error', () => {});
            socket.on('close', () => closed++);
            socket.resume();
            sockets.push(socket);
        }
        await until('30 of 230 are closed', () => closed >= 30);
        // another address is let in
        const other = await client({ transport: 'tcp', from: '127.0.18.1' });
        assert.equal((await other.ask(method.binding, [], { key: undefined }))?.kind, 'success');
        assert.ok(closed < 60, `${closed} of 230 were closed`);
        for (const socket of sockets) socket.destroy();
    });
    test('a client that reads nothing costs no memory', { timeout: 180000 }, async (t) => {
        const slow = await allocated({ transport: 'tcp', user: 'slow' });
        const fast = await allocated({ user: 'fast' });
        // from relay to relay, inside the server
        assert.equal((await slow.permission(fast.relayed.address)).kind, 'success');
        assert.equal((await fast.channel(0x4000, slow.relayed)).kind, 'success');
        slow.socket.pause();
        const before = residentKib(server.pid);
        const block = Buffer.alloc(1200, 7);
        for (let i = 0; i < 40000; i++) {
            fast.sendChannel(0x4000, block);
            if (i % 50 === 0) await pause(1);
        }
        await fast.refresh(600);
        const grown = residentKib(server.pid) - before;
        t.diagnostic(`48 MB towards a client that does not read: ${grown} KiB`);
        assert.ok(grown < 4096, `${grown} KiB grown`);
        // it reads on: whole messages come
        slow.socket.resume();
        await until('data', () => slow.received.length > 0);
        assert.equal((await slow.refresh(600))?.kind, 'success', 'framing is whole after drops');
        for (const { data } of slow.received) assert.equal(data.length, 1200);
    });
});

test('the server was there all the time', { skip: comparing }, async () => {
    assert.equal(server.roost.exit, null);
    assert.equal(await server.metric('turn_relay_sockets') >= 0, true);
});
