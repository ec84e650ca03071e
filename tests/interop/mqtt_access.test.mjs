// Who may come to the broker, and what they may do there: users, tokens, guests, rules, pages of other sites.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { generate, parser } from 'mqtt-packet';
import WebSocket from 'ws';

import { Client, startMqtt, transports, versions } from '../support/mqtt.mjs';
import { binary, cleanEnvironment, runCommand } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const secret = 'a secret of at least thirty-two bytes';
const password = 'the password of ann';
const folder = mkdtempSync(join(tmpdir(), 'roost-mqtt-'));
const rulesPath = join(folder, 'rules');
let server;

before(async () => {
    writeFileSync(rulesPath, [
        '# who      what       filter',
        'deny       everyone   all        forbidden/#',
        'allow      ann        all        private/ann/#',
        'allow      users      publish    sensors/%u/#',
        'allow      users      subscribe  sensors/+/+',
        'allow      everyone   all        devices/%c/#',
        'allow      guests     subscribe  public/#',
        'allow      users      all        public/#', ''].join('\n'));
    server = await startMqtt({ set: { 'auth.token_secret': secret, 'mqtt.rules': rulesPath, 'mqtt.allowed_origins': 'https://friend.example' } });
    await user(server, 'add', 'ann', password);
    await user(server, 'add', 'ben', 'the password of ben');
    // the server looks for them now and then
    await until('they are known', () => Client.connect(server, { username: 'ben', password: 'the password of ben' })
        .then((client) => client.end().then(() => true), () => false));
});
after(async () => {
    assert.deepEqual(await server?.stop(), { status: 0, signal: null });
    rmSync(folder, { recursive: true, force: true });
});

/** `roost user` on the server's data. */
async function user({ dataDir }, what, name, input) {
    const child = spawn(binary({ sanitized: true }), ['user', what, name, ...(input ? ['--password-stdin'] : []), '--data', dataDir],
        { env: cleanEnvironment(), stdio: ['pipe', 'inherit', 'inherit'] });
    child.stdin.end(input ? `${input}\n` : '');
    assert.equal(await new Promise((resolve) => child.once('close', resolve)), 0);
}

async function mint(...args) {
    const { status, output } = await runCommand(['token', '--set', `auth.token_secret=${secret}`, ...args]);
    assert.equal(status, 0, output);
    return output.trim();
}

async function open(context, options, to = server) {
    const client = await Client.connect(to, options);
    context.after(() => client.mqtt.end(true));
    return client;
}

const refused = (options, code, to = server) => assert.rejects(Client.connect(to, options), (problem) => {
    assert.equal(problem.code, code, problem.message);
    return true;
});

/** Reason codes of 5.0, and what they are before it. */
const badPassword = { 3: 4, 4: 4, 5: 0x86 };
const notAuthorized = { 3: 5, 4: 5, 5: 0x87 };
const denied = 0x87;

const ann = { username: 'ann', password };

/** What a handshake of a WebSocket comes to: its status, or the subprotocol and an open socket. */
function handshake({ subprotocols = ['mqtt'], origin, path = '/mqtt' } = {}) {
    const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}${path}`, subprotocols, { headers: origin ? { origin } : {} });
    return new Promise((resolve) => {
        socket.once('open', () => resolve({ socket, status: 101, subprotocol: socket.protocol }));
        socket.once('unexpected-response', (request, response) => {
            request.destroy();
            resolve({ status: response.statusCode });
        });
        socket.on('error', () => {});
    });
}

describe('users', { concurrency: 4, timeout: 180000 }, () => {
    for (const version of versions)
        test(`in ${version}: a password opens, another one does not`, async (context) => {
            for (const transport of transports) {
                await open(context, { transport, version, ...ann });
                await refused({ transport, version, ...ann, password: 'the password of ben' }, badPassword[version]);
            }
            await refused({ version, username: 'nobody', password }, badPassword[version]);
            await refused({ version, username: 'ann', password: '' }, badPassword[version]);
        });

    test('come and go while the server runs', async () => {
        const carl = { username: 'carl', password: 'the password of carl' };
        const admitted = () => Client.connect(server, carl).then((client) => client.end().then(() => true), ({ code }) => (assert.equal(code, badPassword[5]), false));
        assert.equal(await admitted(), false);
        await user(server, 'add', 'carl', carl.password);
        await until('carl is known', admitted);
        await user(server, 'disable', 'carl');
        await until('carl is not', async () => !await admitted());
    });

    test('that are removed, disabled or given another password are sent away', async (context) => {
        const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
        const login = (name) => ({ username: name, password: `the password of ${name}` });
        const names = ['dora', 'emil', 'fritz', 'gina'];
        for (const name of names) await user(server, 'add', name, `the password of ${name}`);
        await until('the last is known', () => Client.connect(server, login('gina')).then((client) => client.end().then(() => true), () => false));
        const come = (name, options) => open(context, { ...login(name), ...kept, clientId: `lamp of ${name}`, ...options });
        const clients = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await come(name, { transport: name === 'dora' ? 'wss' : 'tcp' })])));
        const old = await come('dora', { version: 4, clientId: 'old', properties: undefined });
        const byToken = await open(context, { username: 'fritz', password: await mint('--user', 'fritz'), clientId: 'by token' });
        await user(server, 'remove', 'dora');
        await user(server, 'disable', 'emil');
        await user(server, 'passwd', 'fritz', 'another password');
        for (const name of ['dora', 'emil', 'fritz']) {
            await until(`${name} is sent away`, () => clients[name].isClosed, 30000);
            assert.equal(clients[name].goodbye, 0x98);
        }
        await until('clients of before 5.0 as well', () => old.isClosed, 30000);
        await until('fritz has another password', () => Client.connect(server, { username: 'fritz', password: 'another password' })
            .then((client) => client.end().then(() => true), () => false));
        // a token is not a password, and others have nothing to do with it
        assert.ok(!byToken.isClosed && !clients.gina.isClosed);
        // sessions of a password are those of its user still; those of who was removed or disabled are not
        assert.equal((await come('fritz', { password: 'another password' })).sessionPresent, true);
        await user(server, 'add', 'dora', 'the password of dora');
        await user(server, 'enable', 'emil');
        for (const name of ['dora', 'emil']) {
            await until(`${name} is back`, () => Client.connect(server, login(name)).then((client) => client.end().then(() => true), () => false));
            assert.equal((await come(name)).sessionPresent, false);
        }
    });

    test('have sessions of their own: the same client identifier is another session for another user', async (context) => {
        const options = { clientId: 'one-name', clean: false, properties: { sessionExpiryInterval: 60 } };
        const first = await open(context, { ...options, ...ann });
        const second = await open(context, { ...options, username: 'ben', password: 'the password of ben' });
        assert.equal(second.sessionPresent, false);
        await second.publish('public/x', 'still here', { qos: 1 });
        await first.publish('public/x', 'still here', { qos: 1 });
        assert.ok(!first.isClosed && !second.isClosed);
    });
});

describe('tokens', { concurrency: 4, timeout: 180000 }, () => {
    test('are passwords of the user that they vouch for, with its name or without one', async (context) => {
        const token = await mint('--user', 'ann');
        for (const version of versions) {
            const client = await open(context, { version, username: 'ann', password: token, transport: 'ws' });
            assert.equal(await client.subscribe('private/ann/#', 1), 1);
            await refused({ version, username: 'ben', password: token }, badPassword[version]);
        }
        const nameless = await open(context, { username: '', password: token });
        assert.equal(await nameless.subscribe('private/ann/#', 1), 1);
    });

    test('of another key, for a room alone, or past their time are none', async () => {
        const { output } = await runCommand(['token', '--set', 'auth.token_secret=another secret of thirty-two bytes!', '--user', 'ann']);
        await refused({ username: 'ann', password: output.trim() }, badPassword[5]);
        await refused({ username: 'ann', password: await mint('--room', 'hall') }, badPassword[5]);
        const token = await mint('--user', 'ann');
        // a character within the signature: all of its bits count
        const at = token.lastIndexOf('.') + 5;
        await refused({ username: 'ann', password: `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}` }, badPassword[5]);
    });

    test('are good until their time is over', async (context) => {
        const own = await startMqtt({ set: { 'auth.token_secret': secret, 'auth.clock_skew': '0s' } });
        context.after(() => own.stop());
        const options = { username: 'ann', password: await mint('--user', 'ann', '--valid', '8s') };
        const admitted = () => Client.connect(own, options).then((client) => client.end().then(() => true), ({ code }) => (assert.equal(code, badPassword[5]), false));
        assert.equal(await admitted(), true);
        await until('it is refused', async () => !await admitted());
    });

    test('with "data": false let their holders listen, and publish nothing, wills included', async (context) => {
        const client = await open(context, { username: 'ann', password: await mint('--user', 'ann', '--no-data') });
        assert.equal(await client.subscribe('private/ann/#', 1), 1);
        await assert.rejects(client.publish('private/ann/x', 'x', { qos: 1 }), ({ code }) => code === denied);
        await refused({ username: 'ann', password: await mint('--user', 'ann', '--no-data'), will: { topic: 'private/ann/x', payload: 'x', qos: 1 } }, notAuthorized[5]);
        const other = await open(context, { username: 'ann', password: await mint('--user', 'ann') });
        await other.publish('private/ann/x', 'heard', { qos: 1 });
        await client.next(({ text }) => text === 'heard');
        assert.deepEqual(client.texts, ['heard']);
    });
});

describe('guests', { concurrency: 3, timeout: 180000 }, () => {
    for (const [set, admitted] of [
        [{}, true],
        [{ 'mqtt.guests': 'refuse' }, false],
        [{ 'auth.mode': 'token', 'auth.token_secret': secret }, false],
        [{ 'auth.mode': 'token', 'auth.token_secret': secret, 'mqtt.guests': 'allow' }, true],
    ])
        test(`${admitted ? 'come in' : 'are refused'} with ${JSON.stringify(set)}`, async (context) => {
            const own = await startMqtt({ set });
            context.after(() => own.stop());
            for (const version of versions)
                for (const options of [{}, { username: 'a name alone proves nothing' }])
                    if (admitted) await (await Client.connect(own, { version, ...options })).end();
                    else await refused({ version, ...options }, notAuthorized[version], own);
        });
});

describe('rules', { concurrency: 4, timeout: 180000 }, () => {
    test('decide what is subscribed', async (context) => {
        const user = await open(context, { ...ann, clientId: 'd1' });
        const guest = await open(context, { clientId: 'd2' });
        for (const [client, filter, granted] of [
            [user, 'private/ann/#', 1], [user, 'private/ann', 1], [user, 'private/#', denied], [user, '#', denied],
            [user, 'sensors/+/state', 1], [user, 'sensors/ben/state', 1], [user, 'sensors/#', denied],
            [user, 'devices/d1/x', 1], [user, 'devices/d2/x', denied], [user, 'forbidden/x', denied],
            [user, '$share/group/public/#', 1], [user, '$share/group/private/#', denied],
            [guest, 'public/news', 1], [guest, 'private/ann/#', denied], [guest, 'sensors/x/y', denied], [guest, 'devices/d2/#', 1],
        ]) assert.equal(await client.subscribe(filter, 1), granted, filter);
        const old = await open(context, { ...ann, version: 4 });
        assert.equal(await old.subscribe('private/#', 1), 0x80);
    });

    test('decide what is published: 5.0 is told, earlier ones are not, and it goes nowhere', async (context) => {
        const watcher = await open(context, ann);
        await watcher.subscribe('sensors/+/+', 1);
        await watcher.subscribe('public/#', 1);
        const ben = { username: 'ben', password: 'the password of ben' };
        const from = await open(context, ben);
        for (const qos of [1, 2])
            await assert.rejects(from.publish('sensors/ann/x', 'forged', { qos }), ({ code }) => code === denied);
        await assert.rejects(from.publish('forbidden/x', 'x', { qos: 1 }), ({ code }) => code === denied);
        await assert.rejects(from.publish('roost/x', 'the server has these', { qos: 1 }), ({ code }) => code === denied);
        const old = await open(context, { ...ben, version: 4 });
        for (const qos of [0, 1, 2]) await old.publish('sensors/ann/x', 'forged', { qos });
        const guest = await open(context, { version: 4 });
        await guest.publish('public/x', 'forged', { qos: 1 });
        await from.publish('sensors/ben/x', 'his own', { qos: 2 });
        await old.publish('sensors/ben/x', 'his own as well', { qos: 1 });
        await watcher.next(({ text }) => text === 'his own as well');
        assert.deepEqual(watcher.texts, ['his own', 'his own as well']);
        assert.ok(await server.total('mqtt_denied_total', 'publish') >= 8);
    });

    test('hold for wills', async () => {
        await refused({ will: { topic: 'private/ann/x', payload: 'forged', qos: 1 } }, notAuthorized[5]);
    });

    test('are read again on SIGHUP; bad ones are told with their line and the old ones stay', async (context) => {
        const path = join(folder, 'changing');
        writeFileSync(path, 'allow guests all a/#\n');
        const own = await startMqtt({ set: { 'mqtt.rules': path } });
        context.after(() => own.stop());
        const client = await open(context, {}, own);
        assert.equal(await client.subscribe('a/x'), 0);
        assert.equal(await client.subscribe('b/x'), denied);
        writeFileSync(path, '# changed\nallow guests all b/#\n');
        own.signal('SIGHUP');
        await until('b is allowed', async () => await client.subscribe('b/x') === 0);
        assert.equal(await client.subscribe('a/x'), denied);
        writeFileSync(path, 'allow guests all c/#\nallow guests everything d/#\n');
        own.signal('SIGHUP');
        const { problem } = await own.logged(({ message }) => message === 'rules of MQTT not loaded, the old ones stay in use');
        assert.equal(problem, `${path}: line 2: behind who stands "publish", "subscribe" or "all"`);
        assert.equal(await client.subscribe('b/y'), 0);
        assert.equal(await client.subscribe('c/x'), denied);
    });

    test('that are bad, or missing, let no server start', async () => {
        const path = join(folder, 'bad');
        for (const [text, problem] of [
            ['allow guests all a/#\n\nallw guests all b\n', 'line 3: a rule begins with "allow" or "deny"'],
            ['allow guests all a/#/b\n', 'line 1: at its end stands a topic filter'],
        ]) {
            writeFileSync(path, text);
            await assert.rejects(startMqtt({ set: { 'mqtt.rules': path } }), ({ message }) => message.includes(problem) && message.includes(path));
        }
        await assert.rejects(startMqtt({ set: { 'mqtt.rules': join(folder, 'none') } }), /cannot read mqtt.rules/);
    });
});

describe('WebSockets', { concurrency: 4, timeout: 180000 }, () => {
    test('have the subprotocol "mqtt", or that of 3.1; without it they are refused', async () => {
        for (const subprotocols of [['mqtt'], ['mqttv3.1'], ['other', 'mqtt']]) {
            const { socket, status, subprotocol } = await handshake({ subprotocols });
            assert.deepEqual([status, subprotocol], [101, subprotocols.at(-1)]);
            socket.terminate();
        }
        for (const subprotocols of [[], ['other'], ['MQTT5']]) assert.equal((await handshake({ subprotocols })).status, 400, `${subprotocols}`);
    });

    test('of pages of other sites are refused unless mqtt.allowed_origins has them', async () => {
        for (const [origin, expected] of [
            [`http://127.0.0.1:${server.httpPort}`, 101], ['https://friend.example', 101],
            ['https://stranger.example', 403], ['http://friend.example', 403], ['https://friend.example.evil.example', 403], ['null', 403],
        ]) {
            const { socket, status } = await handshake({ origin });
            socket?.terminate();
            assert.equal(status, expected, origin);
        }
    });

    test('with text frames are closed', async () => {
        const { socket } = await handshake();
        socket.send('MQTT');
        assert.equal(await new Promise((resolve) => socket.once('close', resolve)), 1003);
    });

    test('may cut packets as they like', async () => {
        const { socket } = await handshake();
        const connect = Buffer.from('101000044d5154540402003c000474657374', 'hex');
        const ping = Buffer.from('c000', 'hex');
        const answers = [];
        socket.on('message', (data) => answers.push(data));
        const all = Buffer.concat([connect, ping, ping]);
        for (const byte of all) socket.send(Buffer.of(byte));
        await until('all was answered', () => Buffer.concat(answers).equals(Buffer.from('20020000d000d000', 'hex')));
        socket.send(Buffer.concat([ping, ping, Buffer.of(0xc0)]));
        socket.send(Buffer.of(0));
        await until('both more', () => Buffer.concat(answers).length === 14);
        socket.terminate();
    });
});

describe('a password that is being checked', { timeout: 180000 }, () => {
    const connect = (login) => generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: '', keepalive: 0, ...login });
    const ping = generate({ cmd: 'pingreq' });

    /** What the server answers to bytes that come at once, until it has sent so many packets or closes. */
    async function exchange(context, bytes, count) {
        const socket = dial(server.mqttPort, '127.0.0.1');
        context.after(() => socket.destroy());
        const packets = parser({ protocolVersion: 4 });
        const answers = [];
        packets.on('packet', (packet) => answers.push(packet));
        socket.on('data', (data) => packets.parse(data));
        socket.on('error', () => {});
        socket.write(bytes);
        await Promise.race([new Promise((resolve) => socket.once('close', resolve)), until('the answers', () => answers.length >= count)]);
        return answers.map(({ cmd, returnCode }) => (cmd === 'connack' ? `${cmd} ${returnCode}` : cmd));
    }

    test('keeps what follows its CONNECT waiting, and none of it is looked at when it is wrong', async (context) => {
        const publish = generate({ cmd: 'publish', topic: 'public/early', payload: 'x', qos: 1, messageId: 1 });
        const watcher = await open(context, ann);
        await watcher.subscribe('public/early');
        const right = { username: 'ben', password: 'the password of ben' };
        for (let again = 0; again < 2; again++)
            assert.deepEqual(await exchange(context, Buffer.concat([connect(right), publish, ping]), 3), ['connack 0', 'puback', 'pingresp']);
        await until('both came', () => watcher.texts.length === 2);
        for (let again = 0; again < 2; again++)
            assert.deepEqual(await exchange(context, Buffer.concat([connect({ username: 'ben', password: 'wrong' }), publish, ping]), 3), ['connack 4']);
        await watcher.publish('public/early', 'the end');
        await until('the end came', () => watcher.texts.includes('the end'));
        assert.equal(watcher.texts.length, 3);
    });

    test('does no harm when its client is gone before the answer', async (context) => {
        for (let round = 0; round < 20; round++) {
            const socket = dial(server.mqttPort, '127.0.0.1');
            socket.on('error', () => {});
            await new Promise((resolve) => socket.once('connect', resolve));
            socket.write(connect({ username: 'ben', password: `${round}` }), () => socket.destroy());
        }
        await (await open(context, ann)).end();
        await until('nothing is left', async () => await server.total('logins_pending') === 0);
    });

    test('is checked beside the others: many come in at once, each with its own', async (context) => {
        const names = Array.from({ length: 30 }, (_, index) => `crowd-${index}`);
        for (const name of names.slice(0, 8)) await user(server, 'add', name, `the password of ${name}`);
        const known = names.slice(0, 8);
        await until('the last is known', () => Client.connect(server, { username: known.at(-1), password: `the password of ${known.at(-1)}` })
            .then((client) => client.end().then(() => true), () => false));
        const codes = await Promise.all(names.map((name) => Client.connect(server, { username: name, password: `the password of ${name}` })
            .then((client) => { context.after(() => client.mqtt.end(true)); return 0; }, ({ code }) => code)));
        assert.deepEqual(codes, names.map((name) => (known.includes(name) ? 0 : badPassword[5])));
    });
});

test('whoever tries passwords from one address is slowed, and told nothing', { timeout: 90000 }, async (context) => {
    const host = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
    if (!host) {
        context.skip('no address but loopback');
        return;
    }
    const attempt = (guess, username = 'ann') => Client.connect(server, { host, username, password: guess })
        .then((client) => client.end().then(() => 0), ({ code }) => code);
    // five for one account, and one more in ten seconds
    const start = Date.now();
    const seconds = () => (Date.now() - start) / 1000;
    const codes = [];
    while (!codes.includes(0x9f) && codes.length < 100) codes.push(await attempt('a guess'));
    assert.deepEqual(codes.slice(0, 5), Array(5).fill(badPassword[5]));
    assert.ok(codes.length >= 6 && codes.length <= 6 + seconds() / 10, `${codes}`);
    const early = await attempt(password);
    if (seconds() < 9) assert.equal(early, 0x9f);
    // which are not those of other accounts
    assert.equal(await attempt('the password of ben', 'ben'), 0);
    // ten for all accounts, whether they exist or not, and one more a second
    const others = [];
    while (!others.includes(0x9f) && others.length < 1000) others.push(await attempt('a guess', `nobody-${others.length}`));
    assert.equal(others.at(-1), 0x9f);
    assert.ok(others.length >= 5 && others.length <= 6 + seconds(), `${others}`);
    // who was here before is not locked out by that
    assert.equal(await attempt('the password of ben', 'ben'), 0);
    // many at once: while so many are wrong, hardly any is looked at
    const begin = Date.now();
    const more = await Promise.all(Array.from({ length: 50 }, () => attempt('a guess')));
    const lookedAt = more.filter((code) => code === badPassword[5]).length;
    assert.ok(lookedAt <= 2 + (Date.now() - begin) / 1000, `${lookedAt}`);
    // who knows it comes in once the guesses are over
    await until('ann is admitted', async () => await attempt(password) === 0, 60000, 300);
    // those of other addresses, and proxies, go on
    await (await Client.connect(server, ann)).end();
    // the log says who was refused and why, and no password
    const refused = server.log.filter(({ message }) => message === 'login refused');
    assert.ok(refused.some(({ user, reason, protocol }) => user === 'ann' && reason === 'wrong password' && protocol === 'mqtt'));
    assert.ok(refused.some(({ user, reason }) => user === '' && reason === 'no such user'));
    assert.doesNotMatch(server.output, /a guess|the password of|nobody-/);
    assert.ok(await server.total('logins_total', 'slowed') > 0);
    assert.ok(await server.total('logins_remembered_total') > 0);
});
