// Bridges between our broker and Debian's Mosquitto: both ways, both versions, over TCP and TLS, through ends and new
// starts of either side, and Mosquitto's own bridge to us.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Authority } from '../support/certificate.mjs';
import { MosquittoBroker, freePort } from '../support/mosquitto.mjs';
import { Client, startMqtt } from '../support/mqtt.mjs';
import { until } from '../support/until.mjs';

const patience = 30000;
const password = 'a password with spaces';
const folder = mkdtempSync(join(tmpdir(), 'roost-bridges-'));
const file = (name, ...lines) => {
    const path = join(folder, name);
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
};
const cleanups = [];
const closing = (what) => {
    cleanups.push(what);
    return what;
};

after(async () => {
    for (const what of cleanups.reverse()) await (what.mqtt ? what.mqtt.end(true) : what.remove?.() ?? what.stop?.());
    rmSync(folder, { recursive: true, force: true });
});

const connect = async (to, options) => closing(await Client.connect(to, options));
const mosquitto = async (options) => closing(await MosquittoBroker.start(options));
const roost = async (bridges, options = {}) => closing(await startMqtt({ ...options, set: { 'mqtt.bridges': bridges, ...options.set } }));

const connected = (server, name) => until(`bridge ${name} is connected`, async () =>
    await server.total('mqtt_bridge_connected', `bridge="${name}"`) === 1, patience);
const logged = (server, message, name) => server.logged((record) => record.message === message && record.bridge === name, patience);

/** What of `topic` came, once `count` of it have, and a message that was sent behind it. */
async function received(client, publisher, topic, count) {
    const mark = `${topic.replace('/#', '')}/end-${Math.random()}`;
    await until(`${count} messages of ${topic}`, () => client.inbox.filter(({ text }) => text !== 'end').length >= count, patience);
    // of the best quality: one of a lower would overtake others
    await publisher.publish(mark, 'end', { qos: 2 });
    await client.next((message) => message.topic.endsWith(mark.split('/').at(-1)), patience);
    return client.inbox.splice(0).filter(({ text }) => text !== 'end');
}

describe('roost bridges to Mosquitto', { timeout: 240000, concurrency: 3 }, () => {
    for (const protocol of ['mqttv50', 'mqttv311']) {
        test(`${protocol}: messages of every quality cross both ways, with their retain flag, and none comes back`, async () => {
            const far = await mosquitto();
            const near = await roost(file(`both-${protocol}`, 'connection west', `address 127.0.0.1:${far.port}`,
                `bridge_protocol_version ${protocol}`, 'topic a/# both 2', 'topic # out 1 up/ from-roost/', 'topic # in 1 down/ for-roost/'));
            await connected(near, 'west');
            const [ann, ben] = [await connect(near), await connect(far)];
            // the retain flag shows which messages kept it on their way
            const asPublished = { rap: true };
            await ann.subscribe('a/#', 2, asPublished);
            await ben.subscribe('a/#', 2, asPublished);
            for (const [from, to, who] of [[ann, ben, 'ann'], [ben, ann, 'ben']]) {
                for (const qos of [0, 1, 2]) for (const retain of [false, true])
                    await from.publish(`a/${who}/${qos}`, `${qos} ${retain}`, { qos, retain });
                const expected = [0, 1, 2].flatMap((qos) => [false, true].map((retain) => [`a/${who}/${qos}`, `${qos} ${retain}`, qos, retain]));
                const seen = (messages) => messages.map(({ topic, text, qos, retain }) => [topic, text, qos, retain]).sort();
                assert.deepEqual(seen(await received(to, from, 'a/#', 6)), expected.sort());
                // its own came once, and not again over the bridge
                assert.deepEqual(seen(await received(from, from, 'a/#', 6)), expected.sort());
                to.inbox.length = 0;
            }
            await ben.subscribe('from-roost/#', 1);
            await ann.publish('up/x/y', 'renamed', { qos: 1, properties: { userProperties: { k: 'v' }, contentType: 'text/plain' } });
            const message = await ben.next(({ topic }) => topic === 'from-roost/x/y', patience);
            if (protocol === 'mqttv50') assert.deepEqual([message.properties.userProperties.k, message.properties.contentType], ['v', 'text/plain']);
            await ann.subscribe('down/#', 1);
            await ben.publish('for-roost/z', 'renamed', { qos: 2 });
            assert.equal((await ann.next(({ topic }) => topic === 'down/z', patience)).qos, 1);
        });
    }

    test('its state is retained at both, and a stop says so', async () => {
        const far = await mosquitto();
        const near = await roost(file('state', 'connection west', 'remote_clientid site1', `address 127.0.0.1:${far.port}`, 'topic a/# out'));
        await connected(near, 'west');
        const topic = '$SYS/broker/connection/site1/state';
        const [ann, ben] = [await connect(near), await connect(far)];
        await ann.subscribe(topic);
        await ben.subscribe(topic);
        assert.equal((await ann.next()).text, '1');
        assert.equal((await ben.next()).text, '1');
        await near.stop();
        await ben.next(({ text }) => text === '0', patience);
    });

    test('Mosquitto ends and starts again: what waits arrives, of QoS 2 once', async () => {
        const far = await mosquitto();
        const near = await roost(file('again', 'connection west', `address 127.0.0.1:${far.port}`, 'restart_timeout 1 2', 'topic a/# out 2', 'topic b/# in 2'));
        await connected(near, 'west');
        const ann = await connect(near);
        // a session that is kept gets all, however the connections go
        const kept = { clean: false, clientId: 'ben', properties: { sessionExpiryInterval: 3600 } };
        let ben = await connect(far, kept);
        await ben.subscribe('a/#', 2);
        await ben.end();
        const count = 60;
        for (let i = 0; i < count; i++) {
            if (i === 20) await far.stop();
            await ann.publish(`a/${i % 3}`, `${i}`, { qos: i % 2 + 1 });
            if (i === 40) await far.run();
        }
        await connected(near, 'west');
        ben = await connect(far, kept);
        await until('all have arrived', () => new Set(ben.texts).size === count, patience);
        const times = (text) => ben.texts.filter((other) => other === text).length;
        for (let i = 1; i < count; i += 2) assert.equal(times(`${i}`), 1, `message ${i} of QoS 2`);
        // and the other way, while our own process is killed
        await ann.subscribe('b/#', 2);
        await ben.publish('b/first', 'first', { qos: 2 });
        await ann.next(({ text }) => text === 'first', patience);
        assert.equal(await near.total('mqtt_bridge_dropped_total'), 0);
    });

    test('our process is killed: what waits at Mosquitto arrives, of QoS 2 once', async () => {
        const far = await mosquitto();
        const dataDir = mkdtempSync(join(folder, 'data-'));
        const bridges = file('killed', 'connection west', `address 127.0.0.1:${far.port}`, 'remote_clientid west', 'restart_timeout 1 2', 'topic a/# both 2');
        const kept = { clean: false, clientId: 'ann', properties: { sessionExpiryInterval: 3600 } };
        let near = await roost(bridges, { dataDir });
        await connected(near, 'west');
        const ann = await connect(near, kept);
        await ann.subscribe('a/#', 2);
        await ann.end();
        const ben = await connect(far);
        const count = 100;
        for (let i = 0; i < count; i++) {
            await ben.publish('a/x', `${i}`, { qos: 2 });
            if (i === 50) near.signal('SIGKILL');
        }
        await until('the process is gone', () => near.exit, patience);
        near = await roost(bridges, { dataDir });
        const again = await connect(near, kept);
        await until('all have arrived', () => new Set(again.texts).size === count, patience);
        await received(again, ben, 'a/#', count).then((messages) => assert.equal(messages.length, count));
    });

    test('Mosquitto stands still: what waits is bounded, and all else arrives', async () => {
        const far = await mosquitto();
        const near = await roost(file('still', 'connection west', `address 127.0.0.1:${far.port}`, 'topic a/# out 1', 'max_queued_bytes 2000000'));
        await connected(near, 'west');
        const [ann, ben] = [await connect(near), await connect(far)];
        await ben.subscribe('a/#', 1);
        far.signal('SIGSTOP');
        // what kernels take is a few megabytes
        const count = 200;
        for (let i = 0; i < count; i++) await ann.publish('a/x', `${i} ${'x'.repeat(200000)}`, { qos: 1 });
        const dropped = await near.total('mqtt_bridge_dropped_total');
        assert.ok(dropped > 0 && dropped < count);
        far.signal('SIGCONT');
        await until('what was not dropped has arrived', () => new Set(ben.texts).size === count - dropped, patience);
        await ann.publish('a/x', 'and on', { qos: 1 });
        await ben.next(({ text }) => text === 'and on', patience);
    });

    test('several addresses are tried one after the other', async () => {
        const far = await mosquitto();
        const near = await roost(file('several', 'connection west', `address 127.0.0.1:${await freePort()} nowhere.invalid localhost:${far.port}`,
            'restart_timeout 1 1', 'topic a/# out 1'));
        await connected(near, 'west');
        const problems = near.log.filter(({ message }) => message === 'MQTT bridge cannot connect').map(({ address }) => address);
        assert.deepEqual(problems, ['127.0.0.1', 'nowhere.invalid']);
    });

    test('a wrong password is told with what to do, and a new one is taken by a reload', async () => {
        const far = await mosquitto({ password: ['roost', password] });
        const secret = file('secret', 'wrong');
        const near = await roost(file('password', 'connection west', `address 127.0.0.1:${far.port}`, 'restart_timeout 1 1',
            'remote_username roost', `remote_password_file ${secret}`, 'topic a/# both 1'));
        const { remedy, reason } = await logged(near, 'MQTT bridge refused by the other broker', 'west');
        assert.equal(reason, 0x87); // that is what Mosquitto says
        assert.match(remedy, /user/);
        assert.ok(await near.total('mqtt_bridge_failures_total', 'refused') >= 1);
        file('secret', password);
        near.signal('SIGHUP');
        await connected(near, 'west');
        assert.ok(!near.output.includes(password) && !near.output.includes('"wrong"'));
    });

    test('a reload brings bridges, changes them and takes them down; a mistake changes nothing', async () => {
        const far = await mosquitto();
        const address = `address 127.0.0.1:${far.port}`;
        const near = await roost(file('reload', '# none yet'));
        const [ann, ben] = [await connect(near), await connect(far)];
        await ben.subscribe('#', 1);
        file('reload', 'connection one', address, 'topic a/# out 1', 'connection two', address, 'topic b/# out 1');
        near.signal('SIGHUP');
        await connected(near, 'one');
        await connected(near, 'two');
        await ann.publish('a/x', 'one', { qos: 1 });
        await ben.next(({ topic }) => topic === 'a/x', patience);
        file('reload', 'connection one', address, 'topic c/# out 1', 'topick d/#');
        near.signal('SIGHUP');
        const { problem } = await near.logged(({ message }) => message === 'bridges of MQTT not loaded, the old ones stay', patience);
        assert.match(problem, /line 4/);
        file('reload', 'connection one', address, 'topic c/# out 1');
        near.signal('SIGHUP');
        await logged(near, 'MQTT bridge taken down', 'two');
        await until('the new one is connected', () => near.log.filter(({ message, bridge }) => message === 'MQTT bridge connected' && bridge === 'one').length === 2, patience);
        ben.inbox.length = 0;
        for (const topic of ['a/x', 'b/x', 'c/x']) await ann.publish(topic, 'after', { qos: 1 });
        await ben.next(({ topic }) => topic === 'c/x', patience);
        assert.deepEqual(ben.inbox.map(({ topic }) => topic), ['c/x']);
        assert.ok(![...(await near.metrics()).keys()].some((name) => name.includes('bridge="two"')));
    });

    test('what waits for a bridge is kept as long as the bridge is in the file, and no longer', async () => {
        const dataDir = mkdtempSync(join(folder, 'data-')), far = await mosquitto();
        const lines = ['connection west', `address 127.0.0.1:${far.port}`, 'remote_clientid west', 'restart_timeout 1 1', 'topic a/# out 1'];
        const start = (...content) => roost(file('stays', ...content), { dataDir, set: { 'mqtt.session_expiry': '0s' } });
        const publish = async (to, text) => {
            const ann = await connect(to);
            await ann.publish('a/x', text, { qos: 1 });
            await ann.end();
        };
        const ben = await connect(far, { keepalive: 0 });
        await ben.subscribe('a/#', 1);
        far.signal('SIGSTOP');
        let near = await start(...lines);
        await publish(near, 'long ago');
        await near.stop();
        far.signal('SIGCONT');
        near = await start(...lines);
        await ben.next(({ text }) => text === 'long ago', patience);
        await connected(near, 'west');
        // taken down by a reload while Mosquitto does not listen
        far.signal('SIGSTOP');
        await publish(near, 'on its way');
        file('stays', '# none');
        near.signal('SIGHUP');
        await logged(near, 'MQTT bridge taken down', 'west');
        await until('its session is gone', async () => await near.total('mqtt_sessions') === 0, patience);
        far.signal('SIGCONT');
        await near.stop();
        // and while there is no process
        near = await start(...lines.with(1, `address 127.0.0.1:${await freePort()}`));
        await publish(near, 'for nobody');
        await near.stop();
        near = await start('# none');
        assert.equal((await near.logged(({ message }) => message === 'MQTT bridges of before are gone, with what waited for them', patience)).bridges, 1);
        assert.equal(await near.total('mqtt_sessions'), 0);
        await near.stop();
        near = await start(...lines);
        await connected(near, 'west');
        await publish(near, 'now');
        await ben.next(({ text }) => text === 'now', patience);
        assert.ok(!ben.texts.includes('for nobody'));
    });

    test('a start with a mistake in the file fails and says where', async () => {
        await assert.rejects(startMqtt({ set: { 'mqtt.bridges': file('mistake', 'connection x', 'address far.example', 'topic a/# upwards') } }),
            /line 3: behind the pattern stands out, in or both/);
        await assert.rejects(startMqtt({ set: { 'mqtt.bridges': file('open', 'connection x', 'address far.example', 'remote_username u', 'remote_password p', 'topic a/#') } }),
            /its password would cross the network as it is/);
    });
});

describe('over TLS', { timeout: 120000 }, () => {
    let authority, other, far;
    before(async () => {
        authority = closing(new Authority(['localhost', '127.0.0.1']));
        other = closing(new Authority(['elsewhere.example']));
        far = await mosquitto({ lines: [`cafile ${authority.ca}`, `certfile ${authority.chain}`, `keyfile ${authority.key}`, 'require_certificate true'] });
    });
    const bridge = (name, ...lines) => file(name, 'connection west', `address localhost:${far.port}`, 'restart_timeout 1 1', 'topic a/# out 1', ...lines);
    const own = () => [`bridge_certfile ${authority.chain}`, `bridge_keyfile ${authority.key}`];

    test('messages cross, with a certificate on either side', async () => {
        const near = await roost(bridge('tls', `bridge_cafile ${authority.ca}`, ...own()));
        await connected(near, 'west');
        const ann = await connect(near);
        const ben = await connect(far, { transport: 'tls', cert: readFileSync(authority.chain), key: readFileSync(authority.key) });
        await ben.subscribe('a/#', 1);
        await ann.publish('a/x', 'sealed', { qos: 1 });
        assert.equal((await ben.next(() => true, patience)).text, 'sealed');
    });

    test('another authority, and another name, are refused', async () => {
        const stranger = await roost(bridge('stranger', `bridge_cafile ${other.ca}`, ...own()));
        assert.match((await logged(stranger, 'MQTT bridge cannot connect', 'west')).problem, /certificate/);
        const misnamed = await mosquitto({ lines: [`cafile ${other.ca}`, `certfile ${other.chain}`, `keyfile ${other.key}`] });
        const near = await roost(file('misnamed', 'connection west', `address localhost:${misnamed.port}`, `bridge_cafile ${other.ca}`, 'topic a/# out 1'));
        assert.match((await logged(near, 'MQTT bridge cannot connect', 'west')).problem, /[Hh]ostname|name/);
        assert.equal(await near.total('mqtt_bridge_connects_total'), 0);
    });

    test('without a certificate of our own Mosquitto refuses', async () => {
        const near = await roost(bridge('anonymous', `bridge_cafile ${authority.ca}`));
        await until('it fails', async () => await near.total('mqtt_bridge_failures_total') > 0, patience);
        assert.equal(await near.total('mqtt_bridge_connects_total'), 0);
    });
});

describe("Mosquitto's own bridge to roost", { timeout: 120000 }, () => {
    for (const protocol of ['mqttv50', 'mqttv311']) {
        test(`${protocol}: both ways, and none comes back`, async () => {
            const near = closing(await startMqtt());
            const far = await mosquitto({ bridge: ['connection east', `address 127.0.0.1:${near.mqttPort}`, `bridge_protocol_version ${protocol}`,
                'restart_timeout 1', 'remote_clientid mosquitto.east', 'topic a/# both 2'] });
            const [ann, ben] = [await connect(near), await connect(far)];
            await ann.subscribe('$SYS/broker/connection/mosquitto.east/state');
            await ann.next(({ text }) => text === '1', patience);
            ann.inbox.length = 0;
            await ann.subscribe('a/#', 2);
            await ben.subscribe('a/#', 2);
            // its own subscription may come a little later than its state
            await until('the bridge carries messages', async () => {
                await ann.publish('a/probe', 'probe', { qos: 1 });
                return ben.inbox.length > 0;
            }, patience, 500);
            for (const [from, to] of [[ann, ben], [ben, ann]]) {
                await received(to, from, 'a/#', 0);
                await received(from, from, 'a/#', 0);
                await from.publish('a/x', 'once', { qos: 2 });
                for (const side of [to, from]) {
                    const messages = await received(side, from, 'a/#', 1);
                    assert.deepEqual(messages.map(({ text }) => text), ['once']);
                }
            }
        });
    }
});
