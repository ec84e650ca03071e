// runs alone: it counts on being quick
// The server is killed with SIGKILL over and over while messages go through it: nothing that was acknowledged is lost, and
// no message of QoS 2 comes twice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { ExactClient } from '../support/mqtt_exact.mjs';
import { binary, cleanEnvironment } from '../support/server.mjs';
import { freePort } from '../support/turn.mjs';
import { until } from '../support/until.mjs';

const KILLS = Number(process.env.ROOST_TEST_KILLS ?? 300);
/** However slow the machine is. */
const KILLS_AT_LEAST = Math.min(KILLS, 100);
const KILLING_MS = 45000;

/** A process of the server; `ready` once it listens, `gone` once it has ended. */
function startServer(dataDir, port) {
    const settings = {
        'server.data_dir': dataDir, 'server.workers': 1, 'log.format': 'json',
        'http.https_port': 0, 'http.http_port': 0, 'media.udp_port': 0, 'turn.port': 0, 'turn.tls_port': 0,
        'mqtt.tcp': true, 'mqtt.port': port, 'mqtt.bind': '127.0.0.1',
        // the subscriber is to miss nothing however long it was away
        'mqtt.max_queued_messages': 1000000, 'mqtt.max_queued_bytes': '1g',
    };
    const child = spawn(binary(), ['serve', ...Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])], { env: cleanEnvironment() });
    const server = { child, output: '' };
    server.gone = new Promise((resolve) => child.once('close', (status, signal) => resolve({ status, signal })));
    server.ready = new Promise((resolve) => {
        const take = (chunk) => {
            server.output += chunk;
            if (server.output.includes('"MQTT listens"')) resolve(true);
        };
        child.stdout.on('data', take);
        child.stderr.on('data', take);
        void server.gone.then(() => resolve(false));
    });
    return server;
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test('killed over and over, it loses nothing that was acknowledged, and says nothing of QoS 2 twice', { timeout: 900000 }, async (context) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'roost-kill-'));
    context.after(() => rmSync(dataDir, { recursive: true, force: true }));
    const port = await freePort();
    let server = startServer(dataDir, port);
    context.after(() => server.child.kill('SIGKILL'));
    assert.ok(await server.ready, server.output);

    const version5 = { version: 5, properties: { sessionExpiryInterval: 3600 } };
    const will = { topic: 'will', payload: 'gone', qos: 2, properties: { contentType: 'last words', userProperties: { of: 'mourned' } } };
    const clients = [
        ...['subscriber', 'one'].map((name) => new ExactClient(name, () => port)), new ExactClient('two', () => port, version5),
        new ExactClient('large', () => port), new ExactClient('subscriber5', () => port, version5), new ExactClient('mourned', () => port, { ...version5, will }),
    ];
    context.after(() => clients.forEach((client) => client.end()));
    const [subscriber, one, two, large, subscriber5, mourned] = clients;
    const publishers = [one, two, large];
    assert.deepEqual(await subscriber.subscribe('kill/#', 2), [2]);
    assert.deepEqual(await subscriber5.subscribe('kill/two', 2), [2]);
    assert.deepEqual(await subscriber5.subscribe('will', 2), [2]);
    // its session is over a second after its end, whoever the server is by then
    const brief = new ExactClient('brief', () => port, { version: 5, properties: { sessionExpiryInterval: 1 } });
    assert.deepEqual(await brief.subscribe('kill/#', 2), [2]);
    brief.end();

    /** Texts whose message was acknowledged, and those that were sent at all. */
    const acknowledged = new Set();
    const sent = new Set();
    let publishing = true;
    const propertiesOf = (number) => ({ contentType: 'text/plain', correlationData: Buffer.from(`${number}`), userProperties: { z: '1', a: `${number}` } });
    /** Keeps so many on their way. */
    const publish = async (client, window, padding) => {
        let count = 0;
        const one = async () => {
            while (publishing) {
                const number = ++count;
                const qos = number % 3 === 0 ? 1 : 2;
                const text = `${client.clientId} ${qos} ${number}`.padEnd(64);
                sent.add(text);
                const properties = client.version === 5 ? propertiesOf(number) : undefined;
                await client.publish(`kill/${client.clientId}`, text + 'x'.repeat(padding), { qos, properties });
                acknowledged.add(text);
            }
        };
        await Promise.all(Array.from({ length: window }, one));
        await client.publish(`last/${client.clientId}`, `${count}`, { qos: 2, retain: true });
        return count;
    };
    const counts = publishers.map((client) => publish(client, client.clientId === 'large' ? 2 : 10, client.clientId === 'large' ? 100000 : 0));

    const snapshots = () => readdirSync(join(dataDir, 'mqtt')).filter((name) => name.endsWith('.snapshot'));
    /** Names of all that there were. */
    const made = new Set();
    const begin = Date.now();
    // on a slow machine longer, until the journal was made shorter and it was killed often enough
    const goesOn = () => kills < KILLS_AT_LEAST || Date.now() < begin + (made.size > 0 ? KILLING_MS : 2 * KILLING_MS);
    let kills = 0;
    let early = 0;
    for (; kills < KILLS && goesOn(); kills++) {
        // now and then while it still reads what the one before left behind
        if (kills % 5 === 4) {
            await Promise.race([server.ready, wait(Math.random() * 150)]);
            early++;
        } else {
            assert.ok(await server.ready, server.output);
            await wait(Math.random() * 120);
        }
        server.child.kill('SIGKILL');
        assert.equal((await server.gone).signal, 'SIGKILL', server.output);
        snapshots().forEach((name) => made.add(name));
        server = startServer(dataDir, port);
    }
    assert.ok(await server.ready, server.output);
    publishing = false;
    const totals = await Promise.all(counts);
    const got = new Map();
    const distinct = () => subscriber.inbox.forEach(({ text }) => got.set(text, 0)) ?? got.size;
    // what has not come by then is named below
    await until('everything has arrived', () => distinct() >= sent.size).catch(() => {});
    context.diagnostic(`${kills} kills (${early} of them early), ${subscriber.connections} connections of the subscriber, ${made.size} snapshots, ${sent.size} messages, ${subscriber.inbox.length} arrivals`);

    got.clear();
    for (const { text, size } of subscriber.inbox) {
        got.set(text, (got.get(text) ?? 0) + 1);
        assert.equal(size, text.startsWith('large') ? 100064 : 64);
    }
    const textsBy = (which) => [...got].filter(([text, count]) => which(text.trim().split(' '), count)).map(([text]) => text.trim());
    assert.deepEqual([...acknowledged].filter((text) => !got.has(text)), [], 'acknowledged and lost');
    assert.deepEqual(textsBy(([, qos], count) => qos === '2' && count > 1), [], 'QoS 2, and twice');
    for (const { clientId } of publishers) {
        const numbers = textsBy(([name, qos]) => name === clientId && qos === '2').map((text) => Number(text.split(' ')[2]));
        assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), 'the order of QoS 2');
    }
    assert.ok(kills >= KILLS_AT_LEAST, `${kills}`);
    const fromTwo = (client) => client.inbox.filter(({ topic }) => topic === 'kill/two');
    await until('5.0 has everything, too', () => new Set(fromTwo(subscriber5).map(({ text }) => text)).size >= new Set(fromTwo(subscriber).map(({ text }) => text)).size);
    for (const { text, qos, properties } of fromTwo(subscriber5)) {
        const { contentType, correlationData, userProperties } = propertiesOf(Number(text.trim().split(' ')[2]));
        assert.deepEqual([properties.contentType, properties.correlationData, { ...properties.userProperties }], [contentType, correlationData, userProperties], text);
        assert.equal(qos, Number(text.split(' ')[1]));
    }
    const exact = fromTwo(subscriber5).filter(({ qos }) => qos === 2).map(({ text }) => text);
    assert.equal(new Set(exact).size, exact.length, '5.0: QoS 2, and twice');
    // each connection that was accepted, but for the last one, ended with the server
    const wills = () => subscriber5.inbox.filter(({ topic }) => topic === 'will');
    await until(`${mourned.connections} connections and as many wills`, () => wills().length >= mourned.connections - 1);
    for (const { text, properties } of wills()) assert.deepEqual([text, properties.contentType, { ...properties.userProperties }], ['gone', 'last words', { of: 'mourned' }]);
    const again = new ExactClient('brief', () => port, { version: 5, properties: { sessionExpiryInterval: 1 } });
    context.after(() => again.end());
    await until('it is back', () => again.connections === 1);
    assert.equal(again.sessionPresent, false, 'a session that has expired');
    for (const client of clients) assert.deepEqual([client.sessionsLost, client.problem], [0, undefined], client.clientId);
    assert.ok(made.size > 0, 'the journal was made shorter meanwhile');
    assert.ok(snapshots().length <= 1 && !readdirSync(join(dataDir, 'mqtt')).some((name) => name.includes('.snapshot.')), 'and nothing was left behind');

    // retained messages are those that were acknowledged last
    const late = new ExactClient('late', () => port);
    context.after(() => late.end());
    await late.subscribe('last/#', 1);
    await until('they are here', () => late.inbox.length === publishers.length);
    for (const [index, { clientId }] of publishers.entries())
        assert.equal(late.inbox.find(({ topic }) => topic === `last/${clientId}`).text, `${totals[index]}`);
    server.child.kill('SIGTERM');
    assert.deepEqual(await server.gone, { status: 0, signal: null }, server.output);
});
