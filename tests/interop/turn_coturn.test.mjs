// coturn's own client programs (Debian's package coturn) against our server. What they count decides.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';

import { binary, cleanEnvironment } from '../support/server.mjs';
import { TurnServer, comparing, freePort, loopbackPeers, secret } from '../support/turn.mjs';
import { patienceMs } from '../support/until.mjs';

const skip = (() => {
    try {
        execFileSync('sh', ['-c', 'command -v turnutils_uclient turnutils_peer turnutils_stunclient'], { stdio: 'ignore' });
        return false;
    } catch {
        return "coturn's client programs are not installed";
    }
})();

// keys that are built into turnutils_uclient for its option -J
const tokenKeys = [
    ['north', 'A256GCM', '01234567890123456789012345678901'],
    ['union', 'A128GCM', '1234567890123456'],
    ['oldempire', 'A256GCM', '12345678901234567890123456789012'],
].map(([kid, algorithm, key]) => `${kid}:${algorithm}:${Buffer.from(key).toString('base64')}`);

/** @type {TurnServer} */
let server;
let peerPort;
let peer;

before(async () => {
    if (skip) return;
    server = await TurnServer.start({
        set: { ...loopbackPeers, 'turn.tcp_relay': true, 'turn.mobility': true, 'turn.oauth_keys': tokenKeys.join() },
    });
    peerPort = await freePort();
    peer = spawn('turnutils_peer', ['-p', String(peerPort), '-L', '127.0.0.1', '-L', '::1'], { stdio: 'ignore' });
});

after(async () => {
    peer?.kill();
    if (server) assert.deepEqual(await server.stop(), { status: 0, signal: null });
});

/** Runs a program to its end: what it printed, and how it ended. */
function run(program, args, timeoutMs = 2 * patienceMs) {
    return new Promise((resolve, reject) => {
        const child = spawn(program, args.map(String));
        const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
        let output = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output += chunk; });
        child.once('error', reject);
        child.once('close', (status, signal) => {
            clearTimeout(timer);
            resolve({ status: status ?? signal, output });
        });
    });
}

/** turnutils_uclient with everybody's options; returns its statistics. */
async function client(args, { host = '127.0.0.1', secure = false, clients = 2, messages = 30, echo = true, timeoutMs, sign = ['-u', 'tester', '-W', secret] } = {}) {
    const peerArgs = echo ? ['-e', host, '-r', peerPort] : [];
    const { status, output } = await run('turnutils_uclient',
        [...sign, '-p', secure ? server.tlsPort : server.port, '-n', messages, '-m', clients, '-l', 170, '-z', 5, ...peerArgs, ...args, host], timeoutMs);
    const number = (pattern) => Number(pattern.exec(output)?.[1] ?? NaN);
    return {
        status, output,
        sent: number(/tot_send_msgs=(\d+), tot_recv_msgs=\d+\n(?!.*tot_send_msgs)/s), received: number(/tot_send_msgs=\d+, tot_recv_msgs=(\d+)\n(?!.*tot_send_msgs)/s),
        lost: number(/Total lost packets (\d+)/), dropped: number(/total send dropped (\d+)/),
    };
}

/** Nothing is lost. */
function whole(result, expected) {
    assert.equal(result.status, 0, result.output);
    assert.deepEqual([result.sent, result.received, result.lost, result.dropped], [expected, expected, 0, 0], result.output);
}

/** Each way of a client to the server, with each way to send data. */
describe('turnutils_uclient loses nothing', { skip, concurrency: 12 }, () => {
    const transports = {
        'over UDP': { args: [] },
        'over TCP': { args: ['-t'] },
        'over TLS': { args: ['-t', '-S'], secure: true },
        'over DTLS': { args: ['-S'], secure: true },
    };
    const families = {
        'IPv4': { host: '127.0.0.1', args: ['-X'] },
        'IPv6': { host: '::1', args: ['-x'] },
    };
    for (const [name, transport] of Object.entries(transports))
        for (const [family, { host, args }] of Object.entries(families))
            for (const [how, flags] of [['ChannelData', []], ['indications', ['-s']]])
                test(`${name}, ${family}, ${how}`, async () => {
                    whole(await client([...transport.args, ...args, ...flags], { host, secure: transport.secure }), 60);
                });
    test('over TLS, the certificate verified', async () => {
        whole(await client(['-t', '-S', '-E', server.authority.ca], { secure: true }), 60);
    });
    test('from client to client, through two relays', async () => {
        whole(await client(['-y'], { echo: false }), 120);
    });
    test('from client to client over TCP and TLS', async () => {
        const results = await Promise.all([client(['-y', '-t'], { echo: false }), client(['-y', '-t', '-S'], { echo: false, secure: true })]);
        for (const result of results) whole(result, 120);
    });
    test('without a pair of ports for RTCP', async () => { whole(await client(['-c']), 60); });
    test('with DONT-FRAGMENT', async () => { whole(await client(['-g', '-s']), 60); });
    test('with padding of ChannelData over UDP', async () => { whole(await client(['-D']), 60); });
    test('with requests in between (permissions, channels)', async () => { whole(await client(['-G']), 60); });
    // not -Z: its ADDITIONAL-ADDRESS-FAMILY has the number of a draft, 0x8032
    test('with twenty clients at once', async () => { whole(await client([], { clients: 20, messages: 50 }), 1000); });
    test('of large messages', async () => { whole(await client(['-l', '1300']), 60); });
    test('while its allocation moves (mobility)', async () => {
        const before = await server.metric('turn_mobility_moves_total');
        whole(await client(['-M']), 60);
        if (!comparing) assert.ok(await server.metric('turn_mobility_moves_total') > before, 'nothing moved');
    });
});

describe('TCP allocations of turnutils_uclient lose nothing', { skip, concurrency: 8 }, () => {
    test('over TCP', async () => { whole(await client(['-T'], { echo: false, messages: 10 }), 20); });
    test('over TLS', async () => { whole(await client(['-T', '-S'], { echo: false, messages: 10, secure: true }), 20); });
    test('with the other side connecting', async () => {
        // of this one direction uclient counts half, whatever the server: coturn's gives the same figures
        const result = await client(['-P'], { echo: false, messages: 10 });
        assert.deepEqual([result.status, result.sent, result.received], [0, 20, 10], result.output);
    });
});

describe('credentials', { skip, concurrency: 8 }, () => {
    const refused = ({ status, output }) => {
        assert.notEqual(status, 0, output);
        assert.match(output, /Cannot complete Allocation|401/);
    };
    test('time-limited ones made with another secret are refused', async () => {
        refused(await client([], { sign: ['-u', 'tester', '-W', 'another secret'] }));
    });
    test('a wrong password is refused', async () => {
        refused(await client([], { sign: ['-u', 'nobody', '-w', 'nothing'] }));
    });
    test('an expired one is refused', async () => {
        refused(await client([], { sign: ['-u', `${Math.floor(Date.now() / 1000) - 10}:tester`, '-w', 'whatever'] }));
    });
    test('users of the store, while they are there', { skip: comparing }, async () => {
        const user = (...args) => execFileSync(binary({ sanitized: true }), ['user', ...args, '--set', `server.data_dir=${server.roost.dataDir}`],
                                               { input: 'a password of nobody\n', env: cleanEnvironment() });
        const sign = ['-u', 'nadia', '-w', 'a password of nobody'];
        user('add', 'nadia', '--password-stdin', '--digest');
        const soon = async (good) => {
            for (const until = Date.now() + patienceMs; ;) {
                const result = await client(['-c'], { sign, messages: 2 });
                if ((result.status === 0) === good || Date.now() > until) return result;
            }
        };
        whole(await soon(true), 4);
        refused(await client([], { sign: ['-u', 'nadia', '-w', 'another password'] }));
        user('remove', 'nadia');
        refused(await soon(false));
    });
    test('access tokens of a third party are good (RFC 7635)', { skip: comparing && 'needs a database' }, async () => {
        // the key is one of three, at random
        const all = await Promise.all(Array.from({ length: 6 }, () => client(['-J'], { sign: [], messages: 10 })));
        for (const result of all) whole(result, 20);
    });
    test('access tokens over TLS', { skip: comparing && 'needs a database' }, async () => {
        whole(await client(['-J', '-t', '-S'], { sign: [], secure: true, messages: 10 }), 20);
    });
});

describe('oddities of turnutils_uclient do no harm', { skip, concurrency: 8 }, () => {
    const ways = { UDP: { args: [] }, TCP: { args: ['-t'] }, TLS: { args: ['-t', '-S'], secure: true } };
    const oddities = [['-N', 'negative tests', ['UDP', 'TCP', 'TLS']], ['-R', 'protocol errors', ['UDP', 'TCP', 'TLS']], ['-B', 'random disconnects', ['UDP', 'TCP', 'TLS']],
        ['-O', 'connect and go away', ['UDP', 'TCP', 'TLS']]];
    for (const [flag, what, over] of oddities)
        for (const way of over)
            test(`${what} over ${way}`, async () => {
                const { args, secure } = ways[way];
                await client([flag, ...args], { secure, clients: 4, messages: 10, timeoutMs: 12000 });
                // and the server serves on
                whole(await client(['-c'], { clients: 1, messages: 5 }), 5);
            });
});

describe('STUN', { skip, concurrency: 2 }, () => {
    test('turnutils_stunclient learns its address', async () => {
        for (const host of ['127.0.0.1', '::1']) {
            const { status, output } = await run('turnutils_stunclient', ['-p', server.port, host]);
            assert.equal(status, 0, output);
            assert.match(output, new RegExp(`UDP reflexive addr: ${host}:\\d+`));
        }
    });
    test('turnutils_natdiscovery finds no NAT on loopback', async () => {
        const ports = [await freePort(), await freePort()];
        const discovery = await TurnServer.start({
            args: ['--roles', 'turn'], workers: 1, set: {
                'media.bind': '127.0.0.1', 'media.udp_port': ports[0], 'turn.relay_addresses': '127.0.0.1',
                'turn.nat_discovery_address': '127.0.0.2', 'turn.nat_discovery_port': ports[1],
            },
            coturn: ['-L', '127.0.0.2', '-p', ports[0], '--alt-listening-port', ports[1]].map(String),
        });
        try {
            const { status, output } = await run('turnutils_natdiscovery', ['-m', '-f', '-H', '-p', ports[0], '-L', '127.0.0.1', '127.0.0.1']);
            assert.equal(status, 0, output);
            assert.match(output, /No NAT!|Endpoint Independent Mapping/);
            assert.match(output, /Endpoint Independent Filtering/);
        } finally {
            await discovery.stop();
        }
    });
});

test('everything was counted', { skip: skip || comparing }, async () => {
    for (const transport of ['udp', 'tcp', 'tls', 'dtls'])
        assert.ok(await server.metric('turn_allocations_created_total', `transport="${transport}"`) > 0, transport);
    assert.ok(await server.metric('turn_relayed_packets_total', 'to_peer') > 2000);
    assert.ok(await server.metric('turn_relayed_packets_total', 'to_client') > 2000);
    for (const by of ['client', 'peer']) assert.ok(await server.metric('turn_tcp_connections_total', `by="${by}"`) > 0, by);
    assert.ok(await server.metric('turn_authentication_failures_total', 'wrong_credentials') > 0);
});
