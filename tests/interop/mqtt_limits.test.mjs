// What one client may cost the others: large packets, floods, clients that do not read; and how the broker stops.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { generate } from 'mqtt-packet';
import WebSocket from 'ws';

import { ExactClient } from '../support/mqtt_exact.mjs';
import { Client, startMqtt, versions } from '../support/mqtt.mjs';
import { patienceMs, until } from '../support/until.mjs';

async function start(context, options) {
    const server = await startMqtt(options);
    let stopped = false;
    const stop = async () => {
        if (stopped) return;
        stopped = true;
        assert.deepEqual(await server.stop(), { status: 0, signal: null });
    };
    context.after(stop);
    return Object.assign(server, { stopNow: stop });
}

async function open(context, server, options) {
    const client = await Client.connect(server, options);
    context.after(() => client.mqtt.end(true));
    return client;
}

describe('limits', { concurrency: 3, timeout: 240000 }, () => {
    test('mqtt.max_packet: larger packets end the connection, 5.0 is told the limit and the reason', async (context) => {
        const server = await start(context, { set: { 'mqtt.max_packet': '16k' } });
        for (const transport of ['tcp', 'ws', 'https']) {
            const client = await open(context, server, { transport });
            assert.equal(client.connack.properties.maximumPacketSize, 16384);
            await client.publish('x', Buffer.alloc(16000), { qos: 1 });
            // mqtt.js would refuse to send what is too large
            client.mqtt.stream.write(generate({ cmd: 'publish', topic: 'x', payload: Buffer.alloc(20000), qos: 0, dup: false, retain: false }, { protocolVersion: 5 }));
            await until('it is gone', () => client.isClosed);
            assert.equal(client.goodbye, 0x95);
        }
        const old = await open(context, server, { version: 4 });
        old.publish('x', Buffer.alloc(20000), { qos: 1 }).catch(() => {});
        await until('the old one is gone', () => old.isClosed);
        assert.equal(await server.total('mqtt_disconnected_total', 'too_large'), 4);
    });

    for (const transport of ['tcp', 'tls', 'ws'])
        test(`a client over ${transport} that reads nothing holds so much and no more, and the others go on`, async (context) => {
            const server = await start(context, { set: { 'mqtt.max_queued_bytes': '256k', 'mqtt.max_queued_messages': 10000 } });
            const deaf = await open(context, server, { transport, version: 4 });
            await deaf.subscribe('flood', 1);
            const watcher = await open(context, server);
            await watcher.subscribe('flood', 1);
            deaf.mqtt.stream.pause();
            (deaf.mqtt.stream.socket?._socket ?? deaf.mqtt.stream).pause();
            const from = await open(context, server);
            const payload = Buffer.alloc(10000);
            const dropped = () => server.total('mqtt_messages_dropped_total', 'queue_full');
            let count = 0;
            while (await dropped() === 0 && count < 5000)
                for (let index = 0; index < 50; index++, count++) await from.publish('flood', payload, { qos: 1 });
            assert.ok(await dropped() > 0, `${count} were sent`);
            await until('the watcher has them all', () => watcher.inbox.length === count);
            // what is counted: its queue, 100 on their way, and what others have in their hands for a moment
            assert.ok(await server.total('mqtt_message_bytes') < 2 << 20, `${await server.total('mqtt_message_bytes')}`);
            assert.ok(!watcher.isClosed && !from.isClosed);
        });

    test('a client that asks and does not read the answers is read no further', async (context) => {
        const server = await start(context);
        const socket = connect(server.mqttPort, '127.0.0.1');
        context.after(() => socket.destroy());
        socket.on('error', () => {});
        socket.pause();
        socket.write(generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'greedy', keepalive: 0 }));
        const pings = Buffer.alloc(1 << 20, generate({ cmd: 'pingreq' }));
        let written = 0;
        const write = () => {
            while (written < 64 && socket.write(pings)) written++;
            written++;
        };
        write();
        socket.on('drain', () => { if (written < 64) write(); });
        await until('it is read no further', async () => {
            const before = await server.total('mqtt_bytes_received_total');
            await new Promise((resolve) => setTimeout(resolve, 500));
            return before > 0 && await server.total('mqtt_bytes_received_total') === before;
        });
        assert.ok(socket.writableLength > 0 && written < 64, 'the kernel has not taken it all');
        const other = await open(context, server);
        await other.subscribe('x', 1);
        await other.publish('x', 'hello', { qos: 1 });
        await other.next();
    });

    test('a client over ws that sends thousands of messages at once is slowed, not cut off', async (context) => {
        const server = await start(context, { set: { 'mqtt.sync': true } });
        const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}/mqtt`, ['mqtt'], { perMessageDeflate: false });
        context.after(() => socket.terminate());
        let closed = '';
        let acknowledged = 0;
        let rest = Buffer.alloc(0);
        socket.on('close', (code, reason) => { closed = `${code} ${reason}`; });
        socket.on('message', (data) => {
            rest = Buffer.concat([rest, data]);
            for (; rest.length >= 2 + rest[1]; rest = rest.subarray(2 + rest[1])) acknowledged += rest[0] === 0x40;
        });
        await new Promise((resolve) => socket.once('open', resolve));
        socket.send(generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: false, clientId: 'fast', keepalive: 0 }));
        const payload = Buffer.alloc(2048, 'x');
        const count = 20000;
        for (let messageId = 1; messageId <= count; messageId++)
            socket.send(generate({ cmd: 'publish', topic: 'fast', payload, qos: 1, messageId, dup: false, retain: messageId % 10 === 0 }));
        await until('all are acknowledged', () => acknowledged === count || closed, 3 * patienceMs);
        assert.deepEqual([closed, acknowledged], ['', count]);
    });

    test('mqtt.session_expiry and mqtt.max_retained of 0: no session stays, no message is retained', async (context) => {
        const server = await start(context, { set: { 'mqtt.session_expiry': '0s', 'mqtt.max_retained': 0, 'mqtt.sys_interval': '0s' } });
        const options = { clientId: 'lamp', clean: false, properties: { sessionExpiryInterval: 3600 } };
        const first = await open(context, server, options);
        assert.equal(first.connack.properties.sessionExpiryInterval, 0);
        await first.publish('x', 'kept', { qos: 1, retain: true });
        assert.equal(await server.total('mqtt_retained'), 0);
        await first.end();
        await until('the session is over', async () => await server.total('mqtt_sessions') === 0);
        const second = await open(context, server, options);
        assert.equal(second.sessionPresent, false);
    });

    test('mqtt.max_clients, and connections of one address that say nothing', async (context) => {
        const server = await start(context, { set: { 'mqtt.max_clients': 3 } });
        const clients = [];
        for (let index = 0; index < 3; index++) clients.push(await open(context, server));
        await assert.rejects(Client.connect(server));
        await assert.rejects(Client.connect(server, { transport: 'ws' }));
        await clients[0].end();
        await until('there is room', () => Client.connect(server).then((client) => client.end().then(() => true), () => false));
    });

    test('rubbish is counted and closed, on every transport', async (context) => {
        const server = await start(context);
        const rubbish = Buffer.from(`GET / HTTP/1.1\r\nHost: ${'x'.repeat(100)}\r\n\r\n`);
        const socket = connect(server.mqttPort, '127.0.0.1', () => socket.write(rubbish));
        await new Promise((resolve) => socket.resume().once('close', resolve));
        const plain = connect(server.mqttTlsPort, '127.0.0.1', () => plain.write(generate({ cmd: 'connect', clientId: 'x', protocolVersion: 4 })));
        await new Promise((resolve) => plain.resume().once('close', resolve));
        const page = new WebSocket(`ws://127.0.0.1:${server.httpPort}/mqtt`, ['mqtt']);
        page.once('open', () => page.send(rubbish));
        await new Promise((resolve) => page.once('close', resolve));
        assert.ok(await server.total('mqtt_disconnected_total') >= 2);
        assert.equal(await server.total('mqtt_clients'), 0);
    });
});

test('metrics tell what is there and what happened', { timeout: 180000 }, async (context) => {
    const server = await start(context, { set: { 'mqtt.sys_interval': '0s' } });
    const [client, other] = [await open(context, server, { will: { topic: 'will', payload: 'x' } }), await open(context, server, { transport: 'ws', version: 4 })];
    await other.subscribe('a/#', 1);
    for (const qos of [0, 1, 2]) await client.publish('a/x', 'hello', { qos, retain: qos === 0 });
    await until('all are here', () => other.inbox.length === 3);
    const expected = { mqtt_clients: 2, mqtt_sessions: 2, mqtt_subscriptions: 1, mqtt_retained: 1, 'mqtt_connects_total{result="accepted"}': 2,
        mqtt_messages_received_total: 3, mqtt_messages_sent_total: 3, mqtt_wills_total: 0 };
    const metrics = await server.metrics();
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, metrics.get(name)])), expected);
    await client.kill();
    await until('the will was counted', async () => await server.total('mqtt_wills_total') === 1);
});

test('when the server stops, 5.0 is told so, earlier ones are closed', { timeout: 180000 }, async (context) => {
    const server = await start(context);
    const clients = [];
    for (const version of versions)
        for (const transport of ['tcp', 'tls', 'ws', 'wss', 'https']) clients.push(await open(context, server, { version, transport }));
    await server.stopNow();
    for (const client of clients) {
        await until(`${client.name} is closed`, () => client.isClosed);
        assert.equal(client.goodbye, client.version === 5 ? 0x8b : undefined, client.name);
    }
});

test('a stop while messages are being written loses none that was acknowledged, time after time', { timeout: 180000 }, async (context) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'roost-stops-'));
    context.after(() => rmSync(dataDir, { recursive: true, force: true }));
    let port = 0;
    const clients = ['to', 'from'].map((name) => new ExactClient(name, () => port));
    context.after(() => clients.forEach((client) => client.end()));
    const [to, from] = clients;
    const sent = [];
    for (let round = 0; round < 4; round++) {
        const server = await startMqtt({ dataDir, set: { 'mqtt.max_queued_bytes': '64m' } });
        port = server.mqttPort;
        if (round === 0) await to.subscribe('stops', 2);
        const messages = Array.from({ length: 20 }, (_, index) => `${round} ${index}`.padEnd(64));
        sent.push(...messages);
        const acknowledged = messages.map((text) => from.publish('stops', text + 'x'.repeat(100000), { qos: 2 }));
        await acknowledged[0];
        assert.deepEqual(await server.stop(), { status: 0, signal: null });
    }
    const server = await startMqtt({ dataDir, set: { 'mqtt.max_queued_bytes': '64m' } });
    port = server.mqttPort;
    await until('all are here', () => to.inbox.length >= sent.length);
    assert.deepEqual(to.inbox.map(({ text }) => text), sent);
    assert.deepEqual(clients.map(({ sessionsLost }) => sessionsLost), [0, 0]);
    assert.deepEqual(await server.stop(), { status: 0, signal: null });
});
