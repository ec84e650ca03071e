// The broker as clients that others wrote meet it: mqtt.js over TCP, TLS and WebSocket, in 3.1, 3.1.1 and 5.0,
// and mosquitto_pub and mosquitto_sub.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';

import { Authority } from '../support/certificate.mjs';
import { Client, Mosquitto, startMqtt, transports, versions } from '../support/mqtt.mjs';
import { until } from '../support/until.mjs';

let server;
let authority;

before(async () => {
    authority = new Authority(['localhost', '127.0.0.1']);
    server = await startMqtt({ set: { 'http.cert': authority.chain, 'http.key': authority.key } });
});
after(async () => {
    assert.deepEqual(await server?.stop(), { status: 0, signal: null });
    authority?.remove();
});

async function open(context, options) {
    const client = await Client.connect(server, options);
    context.after(() => client.mqtt.end(true));
    return client;
}

describe('messages', { concurrency: 4, timeout: 180000 }, () => {
    test('of every quality go from every transport and version to every other, once each', async (context) => {
        const kinds = transports.flatMap((transport) => versions.map((version) => ({ transport, version })));
        const clients = await Promise.all(kinds.map((kind) => open(context, kind)));
        const lesser = await Promise.all([0, 1].map(async (qos) => {
            const client = await open(context);
            assert.equal(await client.subscribe('all/#', qos), qos);
            return { client, qos };
        }));
        for (const granted of await Promise.all(clients.map((client) => client.subscribe('all/+/+', 2)))) assert.equal(granted, 2);
        const sent = clients.flatMap((client) => [0, 1, 2].map((qos) => ({ client, qos, text: `${client.name}, QoS ${qos}` })));
        await Promise.all(sent.map(({ client, qos, text }) =>
            client.publish(`all/${client.version}/${qos}`, text, { qos })));
        const all = sent.map(({ text }) => text).sort();
        for (const { client, limit } of [...clients.map((one) => ({ client: one, limit: 2 })), ...lesser.map(({ client: one, qos }) => ({ client: one, limit: qos }))]) {
            await until(`${client.name} has all`, () => client.inbox.length >= all.length);
            assert.deepEqual(client.texts.sort(), all);
            for (const { topic, qos } of client.inbox) assert.equal(qos, Math.min(limit, Number(topic.at(-1))));
        }
    });

    test('of one client stay in their order, of QoS 1 and 2 as well', async (context) => {
        const [from, to] = [await open(context, { transport: 'ws' }), await open(context, { transport: 'tls', version: 4 })];
        await to.subscribe('order/#', 2);
        const numbers = Array.from({ length: 900 }, (_, index) => index);
        // mqtt.js sends them all at once, whatever number CONNACK tells
        for (const qos of [0, 1, 2]) {
            to.inbox.length = 0;
            await Promise.all(numbers.map((number) => from.publish('order/x', `${number}`, { qos })));
            await until('all are here', () => to.inbox.length >= numbers.length);
            assert.deepEqual(to.texts.map(Number), numbers);
        }
    });

    test('carry any bytes, and half a megabyte of them', async (context) => {
        const [from, to] = [await open(context, { transport: 'wss' }), await open(context, { transport: 'ws', version: 4 })];
        await to.subscribe('bytes', 1);
        const bytes = Buffer.from(Array.from({ length: 512 << 10 }, (_, index) => (index * 7 + (index >> 8)) & 255));
        await from.publish('bytes', bytes, { qos: 1 });
        assert.deepEqual((await to.next()).payload, bytes);
    });

    test('keep the properties of 5.0', async (context) => {
        const [from, to] = [await open(context), await open(context, { transport: 'ws' })];
        await to.subscribe('request/+', 1, { properties: { subscriptionIdentifier: 77 } });
        await from.publish('request/1', 'question', { qos: 1, properties: {
            responseTopic: 'answer/1', correlationData: Buffer.from([0, 255, 1]), contentType: 'text/plain', payloadFormatIndicator: true,
            messageExpiryInterval: 60, userProperties: { colour: ['red', 'blue'] },
        } });
        const { properties } = await to.next();
        assert.equal(properties.responseTopic, 'answer/1');
        assert.deepEqual(properties.correlationData, Buffer.from([0, 255, 1]));
        assert.equal(properties.contentType, 'text/plain');
        assert.equal(properties.payloadFormatIndicator, true);
        assert.ok(properties.messageExpiryInterval <= 60 && properties.messageExpiryInterval > 50);
        assert.deepEqual(properties.userProperties.colour, ['red', 'blue']);
        assert.equal(properties.subscriptionIdentifier, 77);
    });

    test('that are retained come to those who subscribe later, marked so, until an empty one takes them away', async (context) => {
        const from = await open(context, { version: 4 });
        await from.publish('kept/a', 'one', { qos: 1, retain: true });
        await from.publish('kept/a', 'two', { qos: 1, retain: true });
        await from.publish('kept/b', 'three', { qos: 2, retain: true });
        for (const version of versions) {
            const to = await open(context, { version, transport: 'wss' });
            await to.subscribe('kept/#', 1);
            await until('both are here', () => to.inbox.length >= 2);
            assert.deepEqual(to.texts.sort(), ['three', 'two']);
            assert.ok(to.inbox.every(({ retain }) => retain));
            await from.publish('kept/a', 'two', { qos: 1, retain: true });
            assert.equal((await to.next(({ retain }) => !retain)).text, 'two');
        }
        await from.publish('kept/a', '', { qos: 1, retain: true });
        const late = await open(context);
        await late.subscribe('kept/#', 1);
        await from.publish('kept/end', 'end', { qos: 1 });
        await late.next(({ text }) => text === 'end');
        assert.deepEqual(late.texts, ['three', 'end']);
    });

    test('to a shared subscription go to one of its members each, those of another group get their own', async (context) => {
        const members = await Promise.all([0, 1, 2].map((index) => open(context, { transport: transports[index] })));
        for (const member of members) await member.subscribe('$share/workers/jobs/#', 1);
        const other = await open(context, { version: 4 });
        await other.subscribe('$share/auditors/jobs/#', 1);
        const from = await open(context);
        const jobs = Array.from({ length: 30 }, (_, index) => `job ${index}`);
        await Promise.all(jobs.map((job) => from.publish('jobs/x', job, { qos: 1 })));
        await until('all were handed out', () => members.reduce((sum, { inbox }) => sum + inbox.length, 0) >= 30 && other.inbox.length >= 30);
        assert.deepEqual(members.flatMap(({ texts }) => texts).sort(), [...jobs].sort());
        assert.deepEqual(other.texts, jobs);
        for (const { inbox } of members) assert.equal(inbox.length, 10);
    });

    test('do not come back to who said so, and are counted to $SYS', async (context) => {
        const client = await open(context);
        await client.subscribe('echo', 0, { nl: true });
        await client.subscribe('$SYS/broker/version');
        await client.subscribe('$SYS/broker/clients/connected');
        await client.subscribe('echo/end');
        await client.publish('echo', 'hello', { qos: 1 });
        await client.publish('echo/end', 'end', { qos: 1 });
        // what the broker gives one client comes in its order
        await client.next(({ topic }) => topic === 'echo/end');
        assert.ok(!client.inbox.some(({ topic }) => topic === 'echo'));
        assert.match((await client.next(({ topic }) => topic === '$SYS/broker/version')).text, /^roost /);
        // what is retained may be of a moment ago
        await client.next(({ topic, text }) => topic === '$SYS/broker/clients/connected' && Number(text) >= 1);
    });
});

describe('wills', { concurrency: 4, timeout: 180000 }, () => {
    for (const version of versions)
        test(`of ${version}: when a client is gone without a word, not when it said goodbye`, async (context) => {
            const watcher = await open(context);
            await watcher.subscribe(`wills/${version}/#`, 2);
            for (const transport of transports) {
                const will = (which) => ({ topic: `wills/${version}/${transport}`, payload: which, qos: 2 });
                const polite = await open(context, { transport, version, will: will('goodbye') });
                await polite.end();
                const killed = await open(context, { transport, version, will: will('killed') });
                await killed.kill();
                const { text, qos } = await watcher.next(({ topic }) => topic === `wills/${version}/${transport}`);
                assert.deepEqual({ text, qos }, { text: 'killed', qos: 2 });
            }
            assert.equal(watcher.inbox.length, transports.length);
        });

    test('with a delay are not published when the client is back in time', async (context) => {
        const watcher = await open(context);
        await watcher.subscribe('delayed/#', 1);
        const options = { clientId: 'delayed', clean: false, properties: { sessionExpiryInterval: 60 } };
        const will = (payload, willDelayInterval) => ({ topic: 'delayed/x', payload, qos: 1, properties: { willDelayInterval } });
        const first = await open(context, { ...options, will: will('first', 30) });
        await first.kill();
        const second = await open(context, { ...options, will: will('second', 1) });
        assert.equal(second.sessionPresent, true);
        await second.kill();
        assert.equal((await watcher.next()).text, 'second');
        assert.equal(watcher.inbox.length, 1);
    });

    test('that are retained tell of it later as well', async (context) => {
        const client = await open(context, { will: { topic: 'state/x', payload: 'offline', qos: 1, retain: true } });
        await client.publish('state/x', 'online', { qos: 1, retain: true });
        const watcher = await open(context);
        await watcher.subscribe('state/x', 1);
        await watcher.next(({ text }) => text === 'online');
        await client.kill();
        await watcher.next(({ text }) => text === 'offline');
        const late = await open(context);
        await late.subscribe('state/x', 1);
        assert.deepEqual([(await late.next()).text, late.inbox[0].retain], ['offline', true]);
    });
});

describe('sessions', { concurrency: 4, timeout: 180000 }, () => {
    for (const version of versions)
        test(`of ${version} are kept for clients that are away: what they missed comes in order`, async (context) => {
            const options = { version, clientId: `sleeper-${version}`, clean: false, ...(version === 5 && { properties: { sessionExpiryInterval: 3600 } }) };
            const first = await open(context, { ...options, transport: 'ws' });
            assert.equal(Boolean(first.sessionPresent), false);
            await first.subscribe(`sleep/${version}/#`, 2);
            await first.end();
            const from = await open(context, { transport: 'tls' });
            for (const qos of [0, 1, 2]) await from.publish(`sleep/${version}/x`, `QoS ${qos}`, { qos });
            // messages come with CONNACK, before anyone can listen: mqtt.js keeps none of them back
            const second = await open(context, { ...options, transport: 'tcp' });
            if (version !== 3) assert.equal(second.sessionPresent, true);
            await second.next(({ text }) => text === 'QoS 2');
            assert.deepEqual(second.texts, ['QoS 1', 'QoS 2']);
            await second.end();
            const third = await open(context, { ...options, clean: true, transport: 'wss' });
            assert.equal(Boolean(third.sessionPresent), false);
            await from.publish(`sleep/${version}/x`, 'nobody listens', { qos: 1 });
            await third.subscribe(`sleep/${version}/end`, 1);
            await from.publish(`sleep/${version}/end`, 'end', { qos: 1 });
            await third.next(({ text }) => text === 'end');
            assert.deepEqual(third.texts, ['end']);
        });

    test('are taken over by the same client, and 5.0 is told so', async (context) => {
        const former = await open(context, { clientId: 'twin' });
        const next = await open(context, { clientId: 'twin', transport: 'ws' });
        await until('the former one is gone', () => former.isClosed);
        assert.equal(former.goodbye, 0x8e);
        await next.subscribe('twin', 1);
        await next.publish('twin', 'here', { qos: 1 });
        await next.next();
    });

    test('and retained messages outlive the process', async (context) => {
        const own = await startMqtt();
        context.after(() => own.stop());
        const options = { clientId: 'kept', clean: false, version: 4 };
        const first = await Client.connect(own, options);
        await first.subscribe('through/#', 2);
        await first.end();
        const from = await Client.connect(own);
        await from.publish('through/one', 'one', { qos: 2, retain: true });
        own.ownDataDir = false;
        assert.deepEqual(await own.stop(), { status: 0, signal: null });
        const next = await startMqtt({ dataDir: own.dataDir });
        next.ownDataDir = true;
        context.after(() => next.stop());
        const second = await Client.connect(next, options);
        assert.equal(second.sessionPresent, true);
        assert.equal((await second.next()).text, 'one');
        const late = await Client.connect(next);
        await late.subscribe('through/#', 1);
        assert.deepEqual([(await late.next()).text, late.inbox[0].retain], ['one', true]);
        await Promise.all([second.end(), late.end()]);
    });
});

describe('mosquitto', { concurrency: 4, timeout: 180000 }, () => {
    for (const version of versions)
        test(`publishes and subscribes in ${version}, over TCP, TLS and the port of HTTPS`, async () => {
            for (const [index, transport] of ['tcp', 'tls', 'https'].entries()) {
                const to = ['tls', 'https', 'tcp'][index];
                const topic = `mosquitto/${version}/${transport}`;
                const subscriber = await Mosquitto.subscribe(server, { transport: to, version, ca: authority.ca, count: 5, args: ['-t', topic, '-q', '2'] });
                for (const qos of [0, 1, 2]) {
                    const { status, errors } = await Mosquitto.publish(server, { transport, version, ca: authority.ca, args: ['-t', topic, '-q', `${qos}`, '-m', `QoS ${qos}`] });
                    assert.equal(status, 0, errors);
                }
                const { status } = await Mosquitto.publish(server, { transport, version, ca: authority.ca, args: ['-t', topic, '-q', '2', '-l'], input: 'line 1\nline 2\n' });
                assert.equal(status, 0);
                const got = await subscriber.ended;
                assert.deepEqual({ status: got.status, lines: got.output.trim().split('\n') }, { status: 0, lines: [
                    `${topic} 0 0 QoS 0`, `${topic} 1 0 QoS 1`, `${topic} 2 0 QoS 2`, `${topic} 2 0 line 1`, `${topic} 2 0 line 2`] }, got.errors);
            }
        });

    test('and mqtt.js understand each other', async (context) => {
        const client = await open(context, { transport: 'ws' });
        await client.subscribe('both/#', 2);
        const { status } = await Mosquitto.publish(server, { version: 5, args: ['-t', 'both/x', '-q', '2', '-m', 'from mosquitto', '-D', 'publish', 'user-property', 'a', 'b'] });
        assert.equal(status, 0);
        assert.equal((await client.next()).properties.userProperties.a, 'b');
        const subscriber = await Mosquitto.subscribe(server, { version: 3, count: 1, args: ['-t', 'both/y', '-q', '1'] });
        await client.publish('both/y', 'from a page', { qos: 2 });
        assert.equal((await subscriber.ended).output, 'both/y 1 0 from a page\n');
    });

    test('keeps a session: -c, and what was missed', async () => {
        const session = ['-c', '-i', 'mosquitto-sleeper', '-q', '1', '-t', 'missed/#'];
        const first = await Mosquitto.subscribe(server, { count: 1, args: session });
        await Mosquitto.publish(server, { args: ['-t', 'missed/x', '-q', '1', '-m', 'one'] });
        await first.ended;
        for (const text of ['two', 'three']) await Mosquitto.publish(server, { args: ['-t', 'missed/x', '-q', '1', '-m', text] });
        const { output, status } = await new Mosquitto(server, 'sub', { args: ['-C', '2', '-W', '60', ...session] }).ended;
        assert.deepEqual({ output, status }, { output: 'two\nthree\n', status: 0 });
    });
});

test('the port of HTTPS takes MQTT with ALPN "mqtt" and without ALPN, and HTTP as before', async () => {
    const connect = Buffer.from('101000044d5154540402003c000474657374', 'hex');
    for (const protocols of [['mqtt'], undefined]) {
        const socket = connectTls({ host: '127.0.0.1', port: server.httpsPort, rejectUnauthorized: false, ALPNProtocols: protocols });
        const answer = await new Promise((resolve, reject) => {
            socket.once('secureConnect', () => socket.write(connect));
            socket.once('data', resolve);
            socket.once('error', reject);
            socket.once('close', () => reject(new Error('closed')));
        });
        assert.equal(answer.toString('hex'), '20020000');
        assert.equal(socket.alpnProtocol, protocols ? 'mqtt' : false);
        socket.destroy();
    }
    assert.equal((await server.fetch('/healthz', { secure: true })).status, 200);
});
