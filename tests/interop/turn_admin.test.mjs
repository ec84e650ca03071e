// TURN as its operator meets it: users, credentials, the admin API, reload, drain, a TURN server alone.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { NativeClient } from '../support/native_client.mjs';
import { Server, binary, cleanEnvironment, runCommand } from '../support/server.mjs';
import { StunClient } from '../support/stun_client.mjs';
import { until } from '../support/until.mjs';

const folder = mkdtempSync(join(tmpdir(), 'roost-turn-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const relays = { 'turn.relay_addresses': '127.0.0.1', 'server.workers': 2 };

/** A server with what its ports turned out to be. */
async function start(options = {}) {
    const server = await Server.start({ sanitized: true, ...options, set: { ...relays, ...options.set } });
    const { udp_port, tcp_port, tls_port } = server.log.find(({ message }) => message === 'TURN listens');
    Object.assign(server, { udpPort: udp_port, tcpPort: tcp_port, tlsPort: tls_port });
    return server;
}

async function withServer(context, options) {
    const server = await start(options);
    context.after(() => server.stop());
    return server;
}

/** Runs a command of the program on a data folder. */
const command = (dataDir, args, { input } = {}) => new Promise((resolve, reject) => {
    const child = spawn(binary({ sanitized: true }), [...args, '--data', dataDir], { env: cleanEnvironment() });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (chunk) => { output += chunk; });
    child.stderr.on('data', (chunk) => { errors += chunk; });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output, errors }));
    child.stdin.end(input ?? '');
});

/** A client with an allocation, or the error that it got instead. */
async function allocate(context, server, credentials, { transport = 'udp', port } = {}) {
    const client = await StunClient.open({ port: port ?? { udp: server.udpPort, tcp: server.tcpPort, tls: server.tlsPort }[transport], transport });
    context.after(() => client.close());
    try {
        await client.allocate(credentials);
    } catch (problem) {
        return { error: problem.answer?.error ?? problem.message, client };
    }
    return { client };
}

const turnOf = (iceServers) => iceServers.find(({ username }) => username);
const adminToken = async (server, ...args) => (await command(server.dataDir, ['token', '--admin', ...args])).output.trim();
const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** One request to the admin API. */
async function admin(server, token, method, path, body) {
    const answer = await server.fetch(`/api/v1/admin/turn${path}`, { method, headers: bearer(token), body: body && JSON.stringify(body) });
    return { status: answer.status, ...(answer.body && answer.headers['content-type'] === 'application/json' ? JSON.parse(answer.body) : {}) };
}

describe('users', { concurrency: 3 }, () => {
    test('made while the server runs, they may relay at once, and no longer when disabled or removed', async (context) => {
        const server = await withServer(context);
        const credentials = { username: 'ann', credential: 'the password of ann' };
        assert.equal((await allocate(context, server, credentials)).error, 401);
        assert.equal((await command(server.dataDir, ['user', 'add', 'ann', '--password-stdin', '--digest'], { input: `${credentials.credential}\n` })).status, 0);
        await until('ann may relay', async () => !(await allocate(context, server, credentials)).error);
        assert.equal((await allocate(context, server, { ...credentials, credential: 'another' })).error, 401);
        assert.equal((await command(server.dataDir, ['user', 'disable', 'ann'])).status, 0);
        await until('ann may not', async () => (await allocate(context, server, credentials)).error === 401);
        assert.equal((await command(server.dataDir, ['user', 'enable', 'ann'])).status, 0);
        await until('ann may again', async () => !(await allocate(context, server, credentials)).error);
        assert.equal((await command(server.dataDir, ['user', 'passwd', 'ann', '--password-stdin'], { input: 'new\n' })).status, 0);
        await until('the new password is good', async () => !(await allocate(context, server, { ...credentials, credential: 'new' })).error);
        assert.equal((await command(server.dataDir, ['user', 'remove', 'ann'])).status, 0);
        await until('ann is gone', async () => (await allocate(context, server, { ...credentials, credential: 'new' })).error === 401);
    });

    test('the command says what is wrong and what to do', async () => {
        const data = join(folder, 'users');
        const user = (...args) => command(data, ['user', ...args]);
        assert.match((await user('list')).errors, /no users.*roost user add NAME/);
        const made = await user('add', 'bob', '--generate');
        assert.equal(made.status, 0);
        assert.match(made.output, /^[A-Za-z0-9]{24}\n$/);
        assert.equal(statSync(join(data, 'users.db')).mode & 0o777, 0o600);
        assert.ok(!readFileSync(join(data, 'users.db')).includes(made.output.trim()), 'the password itself is kept');
        const again = await user('add', 'bob', '--generate');
        assert.deepEqual([again.status, again.output], [1, '']);
        assert.match(again.errors, /there is a user "bob" already.*passwd/);
        assert.match((await user('list')).output, /^bob +\d{4}-\d\d-\d\d enabled\n$/);
        await user('disable', 'bob');
        assert.match((await user('list')).output, /disabled/);
        for (const [args, status, pattern] of [
            [['remove', 'zoe'], 1, /no user "zoe" \(realm roost\)/],
            [['add', 'a:b', '--generate'], 2, /without ":"/],
            [['add'], 2, /which user/],
            [['list', 'bob'], 2, /takes no name/],
            [['ad', 'bob'], 2, /did you mean add\?/],
            [['add', 'cid'], 2, /--password-stdin or --generate/],
            [['add', 'cid', '--password-stdin'], 2, /no password on standard input/],
            [['add', 'cid', '--generate', '--password-stdin'], 2, /exclude each other/],
        ]) {
            const result = await user(...args);
            assert.equal(result.status, status, `${args}: ${result.errors}`);
            assert.match(result.errors, pattern);
        }
        assert.equal((await command(data, ['user', 'add', 'eve', '--password-stdin'], { input: '\n' })).status, 2);
    });

    test('a store of a newer version stops the server with a sentence', async () => {
        const data = join(folder, 'newer');
        await command(data, ['user', 'add', 'bob', '--generate']);
        const file = join(data, 'users.db');
        const bytes = readFileSync(file);
        bytes.writeUInt32BE(999, 60); // PRAGMA user_version
        writeFileSync(file, bytes);
        const { status, output } = await runCommand(['serve', '--data', data, '--set', 'media.udp_port=0', '--set', 'turn.port=0',
            '--set', 'turn.tls_port=0', '--set', 'http.https_port=0', '--set', 'http.http_port=0'], { sanitized: true });
        assert.equal(status, 3);
        assert.match(output, /users: cannot use .*users\.db: it was made by a newer version/);
    });
});

describe('credentials', { concurrency: 4 }, () => {
    test('the command prints one that is good, for people and for programs', async (context) => {
        const server = await withServer(context);
        const ports = ['--set', `media.udp_port=${server.udpPort}`, '--set', `turn.port=${server.tcpPort}`, '--set', `turn.tls_port=${server.tlsPort}`];
        const { status, output } = await command(server.dataDir, ['turn-credentials', '--user', 'ann', '--lifetime', '90m', '--host', '2001:db8::1', ...ports]);
        assert.equal(status, 0);
        const username = /^username +(\d+:ann)$/m.exec(output)[1];
        const left = Number(username.split(':')[0]) - Date.now() / 1000;
        assert.ok(left > 5300 && left < 5500, `${left}`);
        assert.match(output, new RegExp(`^urls +turn:\\[2001:db8::1\\]:${server.udpPort}\\?transport=udp$`, 'm'));
        assert.match(output, /^expires +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/m);
        assert.ok(!(await allocate(context, server, { username, credential: /^password +(\S+)$/m.exec(output)[1] })).error);

        const json = JSON.parse((await command(server.dataDir, ['turn-credentials', '--json', '--host', 'turn.example.org', ...ports])).output);
        const turn = turnOf(json.iceServers);
        assert.deepEqual(turn.urls.slice(0, 3), [`turn:turn.example.org:${server.udpPort}?transport=udp`, `turn:turn.example.org:${server.tcpPort}?transport=tcp`,
            `turns:turn.example.org:${server.tlsPort}?transport=tcp`]);
        assert.equal(json.lifetimeDuration, '43200s');
        assert.ok(!(await allocate(context, server, turn)).error);
        for (const args of [['--lifetime', '5'], ['--host', 'a b'], ['--user', 'a\nb']])
            assert.equal((await command(server.dataDir, ['turn-credentials', ...args])).status, 2, `${args}`);
    });

    test('over HTTP they come in the shape of all clients, and every URL works', async (context) => {
        const server = await withServer(context);
        const { status, headers, body } = await server.fetch('/api/v1/turn', { headers: { host: `127.0.0.1:${server.httpPort}` } });
        assert.equal(status, 200);
        assert.equal(headers['cache-control'], 'no-store');
        const answer = JSON.parse(body);
        assert.deepEqual(answer.iceServers[0], { urls: [`stun:127.0.0.1:${server.udpPort}`] });
        const turn = turnOf(answer.iceServers);
        assert.deepEqual(turn.urls, [`turn:127.0.0.1:${server.udpPort}?transport=udp`, `turn:127.0.0.1:${server.tcpPort}?transport=tcp`,
            `turns:127.0.0.1:${server.tlsPort}?transport=tcp`, `turns:127.0.0.1:${server.httpsPort}?transport=tcp`]);
        assert.deepEqual([answer.ttl, answer.lifetimeDuration, answer.username, answer.password, answer.uris],
            [43200, '43200s', turn.username, turn.credential, turn.urls]);
        for (const url of turn.urls) {
            const [, scheme, port, transport] = /^(turns?):127\.0\.0\.1:(\d+)\?transport=(\w+)$/.exec(url);
            const kind = scheme === 'turns' ? 'tls' : transport;
            assert.equal((await allocate(context, server, turn, { transport: kind, port: Number(port) })).error, undefined, url);
        }
        // another request, another user: quotas count apart
        assert.notEqual(turnOf(JSON.parse((await server.fetch('/api/v1/turn')).body).iceServers).username, turn.username);
    });

    test('the host is the one that the client used, unless one is configured', async (context) => {
        const server = await withServer(context);
        for (const [host, expected] of [['meet.example.org', 'meet.example.org'], ['[2001:db8::9]:8443', '[2001:db8::9]'], ['192.0.2.8:1', '192.0.2.8']]) {
            const { body } = await server.fetch('/api/v1/turn', { headers: { host }, secure: true });
            assert.ok(JSON.parse(body).uris[0].startsWith(`turn:${expected}:`), body);
        }
        const named = await withServer(context, { set: { 'http.names': 'one.example.org, two.example.org' } });
        assert.match(JSON.parse((await named.fetch('/api/v1/turn')).body).uris[0], /^turn:one\.example\.org:/);
        const told = await withServer(context, { set: { 'http.names': 'one.example.org', 'turn.public_host': '2001:db8::7' } });
        assert.match(JSON.parse((await told.fetch('/api/v1/turn')).body).uris[0], /^turn:\[2001:db8::7\]:/);
    });

    test('where tokens are needed a token is needed, and its user is the user', async (context) => {
        const server = await withServer(context, { set: { 'auth.require_token': true } });
        const without = await server.fetch('/api/v1/turn');
        assert.equal(without.status, 401);
        assert.equal(without.headers['www-authenticate'], 'Bearer');
        assert.equal((await server.fetch('/api/v1/turn', { headers: bearer('nonsense') })).status, 401);
        const token = (await command(server.dataDir, ['token', '--user', 'ann'])).output.trim();
        const { status, body } = await server.fetch('/api/v1/turn', { headers: { ...bearer(token), origin: 'https://elsewhere.example' } });
        assert.equal(status, 200);
        assert.match(JSON.parse(body).username, /^\d+:ann$/);
        assert.equal((await server.metrics()).get('turn_credentials_refused_total{reason="token"}'), 2);
    });

    test('pages of other origins get none without a token, unless they are allowed', async (context) => {
        const server = await withServer(context, { set: { 'signal.allowed_origins': 'https://friend.example' } });
        const from = async (origin) => (await server.fetch('/api/v1/turn', { headers: { origin } })).status;
        assert.equal(await from('https://elsewhere.example'), 403);
        assert.equal(await from('https://friend.example'), 200);
        const preflight = await server.fetch('/api/v1/turn', { method: 'OPTIONS', headers: { origin: 'https://friend.example',
            'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' } });
        assert.equal(preflight.headers['access-control-allow-origin'], '*');
        assert.match(preflight.headers['access-control-allow-headers'], /authorization/i);
    });

    test('an address that asks too often is told to wait', async (context) => {
        const server = await withServer(context, { set: { 'turn.credential_rate': 1, 'turn.credential_burst': 5 } });
        const statuses = [];
        for (let i = 0; i < 8; i++) statuses.push((await server.fetch('/api/v1/turn')).status);
        assert.deepEqual(statuses.slice(0, 5), [200, 200, 200, 200, 200]);
        assert.ok(statuses.slice(5).includes(429));
        // a proxy on this machine speaks for many
        assert.equal((await server.fetch('/api/v1/turn', { headers: { 'x-forwarded-for': '192.0.2.1' } })).status, 200);
    });

    test('secrets rotate: all are accepted, the first signs, and a reload changes them', async (context) => {
        const config = join(folder, 'rotate.conf');
        writeFileSync(config, '[turn]\nsecrets = a new one, an old one\n');
        const server = await withServer(context, { args: ['--config', config] });
        const sign = (secret) => {
            const username = `${Math.floor(Date.now() / 1000) + 600}:x`;
            return { username, credential: createHmac('sha1', secret).update(username).digest('base64') };
        };
        const issued = turnOf(JSON.parse((await server.fetch('/api/v1/turn')).body).iceServers);
        assert.equal(issued.credential, createHmac('sha1', 'a new one').update(issued.username).digest('base64'));
        assert.ok(!(await allocate(context, server, sign('an old one'))).error);
        const { client } = await allocate(context, server, sign('a new one'));
        writeFileSync(config, '[turn]\nsecrets = the third, a new one\n');
        server.signal('SIGHUP');
        await server.logged(({ message }) => /configuration and certificate/.test(message));
        await until('the old one is refused', async () => (await allocate(context, server, sign('an old one'))).error === 401);
        assert.ok(!(await allocate(context, server, sign('the third'))).error);
        // who has an allocation keeps it, as long as its secret is known
        assert.equal((await client.refresh(600)).kind, 'success');
    });
});

describe('signaling', { concurrency: 2 }, () => {
    test('members get ICE servers that work, at hello, at join and for the asking', async (context) => {
        const server = await withServer(context);
        const client = await NativeClient.join(server, 'room', 'Ann');
        for (const servers of [client.welcome?.ice_servers ?? client.joined.ice_servers, client.joined.ice_servers, (await client.request('ice_servers')).ice_servers]) {
            const turn = turnOf(servers);
            assert.equal(turn.urls[0], `turn:127.0.0.1:${server.udpPort}?transport=udp`);
            assert.ok(!(await allocate(context, server, turn)).error);
        }
        client.socket.close();
    });

    test('foreign servers stand beside our own, and alone where TURN is off', async (context) => {
        const foreign = 'turn:turn.example.net:3478';
        for (const [roles, count] of [['app,signal,media,turn', 2], ['app,signal,media', 1]]) {
            const server = await Server.start({ sanitized: true, set: { ...relays, 'server.roles': roles, 'signal.ice_servers': foreign } });
            context.after(() => server.stop());
            const client = await NativeClient.join(server, 'room', 'Ann');
            assert.equal(client.joined.ice_servers.length, count);
            assert.deepEqual(client.joined.ice_servers.at(-1), { urls: [foreign] });
            client.socket.close();
        }
    });
});

describe('the admin API', { concurrency: 3 }, () => {
    test('needs a token with the admin grant', async (context) => {
        const server = await withServer(context);
        for (const [method, path] of [['GET', ''], ['GET', '/allocations'], ['DELETE', '/allocations/0-1'], ['POST', '/drain'], ['POST', '/undrain']]) {
            assert.equal((await server.fetch(`/api/v1/admin/turn${path}`, { method })).status, 401, path);
            const member = (await command(server.dataDir, ['token', '--room', '*', '--user', 'ann', '--moderator'])).output.trim();
            assert.equal((await admin(server, member, method, path)).status, 403, path);
            assert.equal((await admin(server, `${await adminToken(server)}x`, method, path)).status, 401, path);
        }
        const expired = await adminToken(server, '--valid', '1s');
        await until('it expires', async () => (await admin(server, expired, 'GET', '')).status === 401);
        // and an admin's token admits to no room
        const client = await NativeClient.start(server);
        await assert.rejects(client.request('join', { room: 'x', name: 'y', token: await adminToken(server) }), /token_invalid/);
        client.socket.close();
    });

    test('lists allocations in pages, by user, and ends one', async (context) => {
        const server = await withServer(context);
        const token = await adminToken(server);
        const credentials = async (user) => turnOf(JSON.parse((await command(server.dataDir, ['turn-credentials', '--json', '--user', user])).output).iceServers);
        const ann = await credentials('ann'), ben = await credentials('ben');
        const clients = [];
        for (const transport of ['udp', 'udp', 'tcp', 'tls', 'udp']) clients.push((await allocate(context, server, ann, { transport })).client);
        clients.push((await allocate(context, server, ben)).client);
        await clients[0].permission('1.1.1.1');

        const all = await admin(server, token, 'GET', '/allocations');
        assert.deepEqual([all.status, all.total, all.allocations.length, all.next], [200, 6, 6, null]);
        assert.deepEqual(all.allocations.map(({ transport }) => transport).sort(), ['tcp', 'tls', 'udp', 'udp', 'udp', 'udp']);
        const first = all.allocations.find(({ relayed }) => relayed.includes(`127.0.0.1:${clients[0].relayed.port}`));
        assert.equal(first.user, 'ann');
        assert.equal(first.client, `127.0.0.1:${clients[0].socket.address().port}`);
        assert.equal(first.permissions, 1);
        assert.ok(first.expires_in_s > 550 && first.expires_in_s <= 600 && first.age_s < 60);
        assert.deepEqual(first.sent, { packets: 0, bytes: 0 });

        const seen = new Set();
        for (let after = ''; after !== null;) {
            const page = await admin(server, token, 'GET', `/allocations?limit=2${after && `&after=${after}`}`);
            assert.ok(page.allocations.length <= 2);
            for (const { id } of page.allocations) seen.add(id);
            after = page.next;
        }
        assert.equal(seen.size, 6);
        const bens = await admin(server, token, 'GET', '/allocations?user=ben');
        assert.deepEqual(bens.allocations.map(({ user }) => user), ['ben']);
        for (const query of ['limit=0', 'limit=1001', 'limit=x', `user=${'x'.repeat(600)}`])
            assert.equal((await admin(server, token, 'GET', `/allocations?${query}`)).status, 400, query);

        assert.equal((await admin(server, token, 'DELETE', `/allocations/${first.id}`)).status, 204);
        assert.equal((await admin(server, token, 'DELETE', `/allocations/${first.id}`)).status, 404);
        assert.equal((await admin(server, token, 'DELETE', '/allocations/nonsense')).status, 404);
        assert.equal((await admin(server, token, 'GET', '/allocations')).total, 5);
        assert.equal((await clients[0].refresh(600)).error, 437);
        const line = await server.logged(({ message, why }) => message === 'allocation ended' && why === 'killed');
        assert.equal(line.user, 'ann');
    });

    test('drains with a deadline, and takes it back', async (context) => {
        const server = await withServer(context);
        const token = await adminToken(server);
        const credentials = turnOf(JSON.parse((await server.fetch('/api/v1/turn')).body).iceServers);
        const { client } = await allocate(context, server, credentials);
        assert.deepEqual(await admin(server, token, 'GET', ''), { status: 200, allocations: 1, draining: false, deadline_in_s: null });
        const state = await admin(server, token, 'POST', '/drain', { deadline_s: 300 });
        assert.ok(state.draining && state.deadline_in_s >= 298 && state.deadline_in_s <= 300);
        await until('new ones are refused', async () => (await allocate(context, server, credentials)).error === 508);
        // those that are there live on, but not beyond the deadline
        const refreshed = await client.refresh(600);
        assert.equal(refreshed.kind, 'success');
        assert.ok(refreshed.attributes.get(0x000d).readUInt32BE(0) <= 300);
        for (const body of [[], 'x', { deadline_s: -1 }, { deadline_s: 'soon' }, { deadline_s: 1e9 }])
            assert.equal((await admin(server, token, 'POST', '/drain', body)).status, 400, JSON.stringify(body));
        assert.equal((await admin(server, token, 'POST', '/undrain')).draining, false);
        await until('new ones are accepted', async () => !(await allocate(context, server, credentials)).error);
        // at the deadline nothing is left
        await admin(server, token, 'POST', '/drain', { deadline_s: 1 });
        await until('all have ended', async () => (await admin(server, token, 'GET', '')).allocations === 0);
    });

    test('a drain sends clients to other servers when there are some', async (context) => {
        const server = await withServer(context, { set: { 'turn.alternate_servers': '192.0.2.77:3478/turn.example.org' } });
        const token = await adminToken(server);
        await admin(server, token, 'POST', '/drain');
        const credentials = turnOf(JSON.parse((await server.fetch('/api/v1/turn')).body).iceServers);
        await until('300', async () => (await allocate(context, server, credentials)).error === 300);
    });
});

describe('a TURN server alone', { concurrency: 3 }, () => {
    const alone = { args: ['--roles', 'turn'] };

    test('listens for TURN and for nothing else, and says so', async (context) => {
        const server = await start({ ...alone, set: { 'server.banner': true } });
        assert.deepEqual([server.httpsPort, server.httpPort], [0, 0]);
        const lines = execFileSync('ss', ['-Hlntup'], { encoding: 'utf8' }).split('\n').filter((line) => line.includes(`pid=${server.pid},`));
        const ports = new Set(lines.map((line) => Number(/:(\d+) /.exec(line)[1])));
        assert.deepEqual([...ports].sort(), [server.udpPort, server.tcpPort, server.tlsPort, server.log.find(({ message }) => message === 'TURN listens').dtls_port].sort());
        const credentials = turnOf(JSON.parse((await command(server.dataDir, ['turn-credentials', '--json'])).output).iceServers);
        for (const transport of ['udp', 'tcp', 'tls'])
            assert.equal((await allocate(context, server, credentials, { transport })).error, undefined, transport);
        assert.deepEqual(await server.stop(), { status: 0, signal: null });
        assert.match(server.output, /relays \(TURN, STUN\) and does nothing else/);
        assert.match(server.output, /roost turn-credentials/);
        assert.doesNotMatch(server.output, /Open a browser/);
    });

    test('has metrics, health and the admin API when asked', async (context) => {
        const server = await withServer(context, { ...alone, set: { 'http.enabled': 'always' } });
        assert.equal((await server.fetch('/healthz')).body, 'ok\n');
        assert.ok([...(await server.metrics()).keys()].some((name) => name.startsWith('turn_allocations')));
        assert.equal((await admin(server, await adminToken(server), 'GET', '')).allocations, 0);
        assert.equal((await server.fetch('/api/v1/turn')).status, 401, 'it has no people of its own: strangers get no relays');
        assert.equal((await server.fetch('/')).status, 404);
        assert.equal((await server.fetch('/ws')).status, 404);
    });

    test('SIGUSR1 drains it, and it ends with its last allocation', async (context) => {
        const server = await start(alone);
        const credentials = turnOf(JSON.parse((await command(server.dataDir, ['turn-credentials', '--json'])).output).iceServers);
        const { client } = await allocate(context, server, credentials);
        server.signal('SIGUSR1');
        await until('new ones are refused', async () => {
            const { error, client: early } = await allocate(context, server, credentials);
            // the signal is on its way: it is not to hold the server up later
            if (!error) await early.refresh(0);
            return error === 508;
        });
        assert.equal(server.exit, null);
        await client.refresh(0);
        await until('it has ended', () => server.exit);
        assert.deepEqual(await server.stop(), { status: 0, signal: null });
    });

    test('a port in use is told with the option to change', async (context) => {
        const server = await withServer(context, alone);
        const { status, output } = await runCommand(['serve', '--roles', 'turn', '--data', join(folder, 'other'), '--set', 'media.udp_port=0',
            '--set', `turn.port=${server.tcpPort}`, '--set', 'turn.tls_port=0'], { sanitized: true });
        assert.equal(status, 3);
        assert.match(output, /is in use.*turn\.port/);
    });

    test('contradictions of the configuration are found before anything starts', async () => {
        const { status, output } = await runCommand(['check', '--set', 'turn.min_port=60000', '--set', 'turn.max_port=50000',
            '--set', 'turn.relay_addresses=10.0.0.1/2001:db8::1', '--set', 'turn.alternate_servers=turn.example.org',
            '--set', 'turn.oauth_keys=kid:A256GCM:short', '--set', 'turn.nat_discovery_address=192.0.2.2'], { sanitized: true });
        assert.equal(status, 3);
        for (const pattern of [/turn\.min_port must not be above/, /turn\.relay_addresses: each one is/, /turn\.alternate_servers: each one is/,
            /turn\.oauth_keys: key 1 is not/, /media\.bind must name the first/]) assert.match(output, pattern);
        assert.doesNotMatch(output, /short/);
    });
});

test('a certificate that is renewed is TURN\'s too, and allocations live on', async (context) => {
    const make = (name) => execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', join(folder, 'key.pem'),
        '-out', join(folder, 'cert.pem'), '-days', '30', '-subj', `/CN=${name}`], { stdio: 'ignore' });
    make('before');
    const server = await withServer(context, { set: { 'http.cert': join(folder, 'cert.pem'), 'http.key': join(folder, 'key.pem') } });
    const credentials = turnOf(JSON.parse((await server.fetch('/api/v1/turn')).body).iceServers);
    const { client } = await allocate(context, server, credentials, { transport: 'tls' });
    const name = async () => {
        const probe = await StunClient.open({ port: server.tlsPort, transport: 'tls' });
        const { CN } = probe.socket.getPeerCertificate().subject;
        probe.close();
        return CN;
    };
    assert.equal(await name(), 'before');
    make('after');
    server.signal('SIGHUP');
    await until('the new one is shown', async () => await name() === 'after');
    assert.equal((await client.refresh(600)).kind, 'success');
});

test('HTTP to a TURN port gets nothing, and TURN goes on', async (context) => {
    const server = await withServer(context);
    const socket = connect(server.tcpPort, '127.0.0.1');
    context.after(() => socket.destroy());
    let answer = '';
    socket.on('data', (chunk) => { answer += chunk; });
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal(answer, '');
});
