// Calls on topics: mqtt.js and mosquitto's programs call each other, and clients of /ws, and are called by them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Caller } from '../support/mqtt_caller.mjs';
import { addressOf, Client, Mosquitto, startMqtt, versions } from '../support/mqtt.mjs';
import { NativeClient, refuses } from '../support/native_client.mjs';
import { runCommand } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const secret = 'a secret of at least thirty-two bytes';
const offer = 'v=0\r\noffer', answer = 'v=0\r\nanswer';
const denied = 0x87, revoked = 0x98;
let server, impatient, serial = 0;

// direct: descriptions are passed on as they are, and need not be any; browser/mqtt_call.test.mjs has real ones
const serve = (set = {}, options = {}) => startMqtt({ ...options, set: { 'calls.media': 'direct', 'auth.token_secret': secret, 'auth.mode': 'token', 'mqtt.guests': 'allow', ...set } });
const serveIn = (dataDir) => serve({}, { dataDir });
before(async () => {
    [server, impatient] = await Promise.all([serve(), serve({ 'signal.ring_timeout': '5s', 'signal.resume_window': '2s' })]);
});
after(async () => {
    for (const one of [server, impatient]) assert.deepEqual(await one?.stop(), { status: 0, signal: null });
});

/** A user name that no other test has. */
const fresh = (name) => `${name}-${++serial}`;

const passwords = new Map();
async function mint(user) {
    if (!passwords.has(user)) {
        const { status, output } = await runCommand(['token', '--set', `auth.token_secret=${secret}`, '--user', user]);
        assert.equal(status, 0, output);
        passwords.set(user, output.trim());
    }
    return passwords.get(user);
}

/** What logs a user in, under a client identifier. */
async function login(username, clientId = 'lamp') {
    return { username, clientId, password: await mint(username) };
}

async function start(context, username, clientId, at = server) {
    const caller = await Caller.start(at, await login(username, clientId));
    context.after(() => caller.client.mqtt.end(true));
    return caller;
}

/** A client of /ws that is registered. */
async function native(context, user, clientId, at = server) {
    const client = await NativeClient.start(at);
    context.after(() => client.goodbye());
    await client.request('register', { user, token: await mint(user) });
    return client;
}

/** A pair of clients, by the languages that they speak. */
const languages = { mqtt: start, ws: native };
async function pair(context, from, to, at = server) {
    const ann = fresh('ann'), ben = fresh('ben');
    return { ann, ben, caller: await languages[from](context, ann, 'lamp', at), callee: await languages[to](context, ben, 'lamp', at) };
}

async function talking(context, from, to) {
    const { caller, callee, ann, ben } = await pair(context, from, to);
    const { call } = await caller.request('call', { to: ben, sdp: offer });
    await callee.event('call_incoming');
    await callee.request('call_accept', { call, sdp: answer });
    await caller.event('call_accepted');
    return { caller, callee, call, ann, ben };
}

for (const [from, to] of [['mqtt', 'mqtt'], ['mqtt', 'ws'], ['ws', 'mqtt']]) {
    describe(`${from} calls ${to}`, { concurrency: 4, timeout: 120000 }, () => {
        test('rings, is accepted, carries candidates and offers, and ends', async (context) => {
            const { caller, callee, ann, ben } = await pair(context, from, to);
            const { call, timeout_ms } = await caller.request('call', { to: ben, sdp: offer, media: 'audio' });
            assert.equal(timeout_ms, 45000);
            const incoming = await callee.event('call_incoming');
            assert.deepEqual([incoming.call, incoming.sdp, incoming.media, incoming.to], [call, offer, 'audio', ben]);
            assert.deepEqual(incoming.from, { user: ann, name: ann, verified: true });
            await callee.request('call_ringing', { call });
            assert.equal((await caller.event('call_ringing')).call, call);
            const candidate = { candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host', sdpMid: '0', sdpMLineIndex: 0 };
            await caller.request('call_candidate', { call, candidate });
            assert.deepEqual((await callee.event('call_candidate')).candidate, candidate);
            await callee.request('call_accept', { call, sdp: answer });
            const accepted = await caller.event('call_accepted');
            assert.deepEqual([accepted.sdp, accepted.by.user], [answer, ben]);
            await callee.request('call_candidate', { call, candidate: null });
            assert.equal((await caller.event('call_candidate')).candidate, null);
            await callee.request('call_offer', { call, sdp: 'v=0\r\nagain' });
            assert.equal((await caller.event('call_offer')).sdp, 'v=0\r\nagain');
            await caller.request('call_answer', { call, sdp: 'v=0\r\ntoo' });
            assert.equal((await callee.event('call_answer')).sdp, 'v=0\r\ntoo');
            await callee.request('call_hangup', { call });
            assert.equal((await caller.event('call_ended')).reason, 'hangup');
            await refuses(caller.request('call_hangup', { call }), 'no_such_call');
            assert.equal(callee.pending('call_ended').length, 0);
        });

        test('is rejected, cancelled, finds nobody or a busy callee', async (context) => {
            const { caller, callee, ben } = await pair(context, from, to);
            await refuses(caller.request('call', { to: fresh('nobody'), sdp: offer }), 'user_unavailable');
            const first = (await caller.request('call', { to: ben, sdp: offer })).call;
            await callee.event('call_incoming');
            await callee.request('call_reject', { call: first });
            assert.equal((await caller.event('call_ended')).reason, 'rejected');
            const second = (await caller.request('call', { to: ben, sdp: offer })).call;
            await callee.event('call_incoming');
            await caller.request('call_cancel', { call: second });
            assert.equal((await callee.event('call_ended')).reason, 'cancelled');
            const third = (await caller.request('call', { to: ben, sdp: offer })).call;
            await callee.event('call_incoming');
            await callee.request('call_accept', { call: third, sdp: answer });
            const other = await languages[from](context, fresh('eve'));
            await refuses(other.request('call', { to: ben, sdp: offer }), 'user_busy');
        });

        test('ends when nobody answers', async (context) => {
            const { caller, callee, ben } = await pair(context, from, to, impatient);
            await caller.request('call', { to: ben, sdp: offer });
            await callee.event('call_incoming');
            for (const client of [caller, callee]) assert.equal((await client.event('call_ended', () => true, 30000)).reason, 'timeout');
        });

        test('is held by either side, and taken back', async (context) => {
            const { caller, callee, call } = await talking(context, from, to);
            for (const [holds, hears] of [[caller, callee], [callee, caller]]) {
                for (const held of [true, false]) {
                    await holds.request('call_hold', { call, held });
                    const event = await hears.event('call_held');
                    assert.deepEqual([event.call, event.held], [call, held]);
                }
            }
            await refuses(caller.request('call_hold', { call: 'another', held: true }), 'no_such_call');
        });

        test('hands its other side on to somebody else, who accepts or does not', async (context) => {
            const { caller, callee, call, ben } = await talking(context, from, to);
            const cleo = fresh('cleo');
            const third = await languages[from](context, cleo, 'lamp');
            // who has not said so is not handed on
            await refuses(caller.request('call_transfer', { call, to: cleo }), 'cannot_transfer');
            await callee.request('register', { user: ben, token: await mint(ben), transfers: true });
            for (const accepts of [false, true]) {
                await caller.request('call_transfer', { call, to: cleo });
                const told = await callee.event('call_transfer');
                assert.deepEqual([told.call, told.to], [call, cleo]);
                const { call: next } = await callee.request('call', { to: told.to, sdp: offer, transfer: told.call });
                assert.equal((await third.event('call_incoming')).from.user, ben);
                if (accepts) {
                    await third.request('call_accept', { call: next, sdp: answer });
                    assert.equal((await callee.event('call_accepted')).call, next);
                    for (const side of [caller, callee]) {
                        const ended = await side.event('call_ended', (event) => event.call === call);
                        assert.equal(ended.reason, 'transferred');
                    }
                } else {
                    await third.request('call_reject', { call: next });
                    assert.equal((await caller.event('call_transfer_failed')).reason, 'rejected');
                }
            }
        });

        test('another device of the user answers', async (context) => {
            const { caller, callee, ben } = await pair(context, from, to);
            const others = [await start(context, ben, 'tablet'), await native(context, ben)];
            const { call } = await caller.request('call', { to: ben, sdp: offer });
            for (const device of [callee, ...others]) assert.equal((await device.event('call_incoming')).call, call);
            await others[0].request('call_accept', { call, sdp: answer });
            for (const device of [callee, others[1]]) assert.equal((await device.event('call_ended')).reason, 'elsewhere');
            await caller.event('call_accepted');
        });
    });
}

describe('a device', { concurrency: 4, timeout: 120000 }, () => {
    test('is callable from its subscription to its end, and by its first request', async (context) => {
        const caller = await native(context, fresh('ann'));
        const call = (to) => caller.request('call', { to, sdp: offer });
        const ben = fresh('ben');
        const options = await login(ben);
        const device = await Caller.connect(server, options);
        context.after(() => device.client.mqtt.end(true));
        await refuses(call(ben), 'user_unavailable');
        assert.equal(await device.client.subscribe(`${device.front}/event`, 1), 1);
        const first = await call(ben);
        await caller.request('call_cancel', first);
        await device.client.mqtt.unsubscribeAsync(`${device.front}/event`);
        await refuses(call(ben), 'user_unavailable');
        await device.send('register', { user: ben, name: 'Ben of the shed' });
        await call(ben).then((ringing) => caller.request('call_cancel', ringing));
        await device.client.end();
        await refuses(call(ben), 'user_unavailable');
    });

    test('has the name that it registers, and no other user', async (context) => {
        const { caller, callee, ben } = await pair(context, 'mqtt', 'ws');
        await refuses(caller.request('register', { user: ben }), 'not_permitted');
        const { user, ice_servers } = await caller.request('register', { user: caller.user, name: 'Ann of the shed' });
        assert.equal(user, caller.user);
        assert.ok(Array.isArray(ice_servers));
        await caller.request('call', { to: ben, sdp: offer });
        assert.deepEqual((await callee.event('call_incoming')).from, { user: caller.user, name: 'Ann of the shed', verified: true });
    });

    test('is given the TURN server of the host that it reached', async (context) => {
        for (const transport of ['tcp', 'tls', 'ws', 'wss']) {
            const device = await Caller.start(server, { ...await login(fresh('ann')), transport });
            context.after(() => device.client.mqtt.end(true));
            const { ice_servers } = await device.request('ice_servers');
            assert.match(JSON.stringify(ice_servers), /"turn:127\.0\.0\.1:/, transport);
            assert.ok(ice_servers.some(({ credential }) => credential), transport);
        }
    });

    test('that is gone ends its call at once', async (context) => {
        for (const [from, to] of [['mqtt', 'mqtt'], ['ws', 'mqtt']]) {
            const { caller, callee } = await talking(context, from, to);
            await callee.client.kill();
            assert.equal((await caller.event('call_ended')).reason, 'lost');
        }
        const { caller, callee } = await talking(context, 'mqtt', 'ws');
        await caller.client.end();
        assert.equal((await callee.event('call_ended')).reason, 'hangup');
    });

    test('with a kept session comes back to its call, and finds what came meanwhile', async (context) => {
        const kept = { clean: false, properties: { sessionExpiryInterval: 60 } };
        const ann = fresh('ann'), ben = fresh('ben');
        const caller = await native(context, ann), options = { ...await login(ben), ...kept };
        const first = await Caller.start(server, options);
        const { call } = await caller.request('call', { to: ben, sdp: offer });
        await first.event('call_incoming');
        await first.request('call_accept', { call, sdp: answer });
        await first.client.kill();
        assert.deepEqual([(await caller.event('call_peer')).away], [true]);
        await caller.request('call_offer', { call, sdp: 'v=0\r\nmeanwhile' });
        const second = await Caller.connect(server, options);
        context.after(() => second.client.mqtt.end(true));
        assert.equal(second.client.sessionPresent, true);
        assert.deepEqual([(await caller.event('call_peer')).away], [false]);
        assert.equal((await second.event('call_offer')).sdp, 'v=0\r\nmeanwhile');
        await second.request('call_answer', { call, sdp: answer });
        await caller.event('call_answer');
    });

    test('with a kept session that does not come back is lost in the end, and callable when it is back', async (context) => {
        const ann = fresh('ann'), ben = fresh('ben');
        const caller = await native(context, ann, '', impatient);
        const options = { ...await login(ben), clean: false, properties: { sessionExpiryInterval: 60 } };
        const first = await Caller.start(impatient, options);
        const { call } = await caller.request('call', { to: ben, sdp: offer });
        await first.event('call_incoming');
        await first.request('call_accept', { call, sdp: answer });
        await first.client.kill();
        assert.equal((await caller.event('call_peer')).away, true);
        assert.equal((await caller.event('call_ended', () => true, 30000)).reason, 'lost');
        await refuses(caller.request('call', { to: ben, sdp: offer }), 'user_unavailable');
        const second = await Caller.connect(impatient, options);
        context.after(() => second.client.mqtt.end(true));
        await caller.request('call', { to: ben, sdp: offer });
        await second.event('call_incoming');
    });

    /** Subscribed in a session that is kept; acknowledges nothing of what comes from now on. */
    async function numb(options, at) {
        const device = await Caller.start(at, options);
        await device.request('ice_servers');
        let arrived = 0;
        device.client.mqtt.handleMessage = () => { arrived++; };
        return { device, arrives: () => until('it has arrived', () => arrived > 0) };
    }

    /** The first event that a device hears is that of a new call. */
    async function hearsFirst(context, options, at, caller, ben) {
        const device = await Caller.connect(at, options);
        context.after(() => device.client.mqtt.end(true));
        assert.equal(device.client.sessionPresent, true);
        const { call } = await caller.request('call', { to: ben, sdp: offer });
        assert.equal((await device.event('call_incoming')).call, call);
    }

    test('does not ring for a call that was over before it came back', async (context) => {
        const ann = fresh('ann'), ben = fresh('ben');
        const caller = await native(context, ann, '', impatient);
        const options = { ...await login(ben), clean: false, properties: { sessionExpiryInterval: 60 } };
        const { device, arrives } = await numb(options, impatient);
        await caller.request('call', { to: ben, sdp: offer });
        await arrives();
        await device.client.kill();
        await caller.event('call_ended');
        await until('the device is lost', async () => caller.request('call', { to: ben, sdp: offer })
            .then(({ call }) => caller.request('call_cancel', { call }).catch(() => {}).then(() => false), ({ code }) => code === 'user_unavailable'));
        await hearsFirst(context, options, impatient, caller, ben);
    });

    test('does not ring for a call of before the server was killed', async (context) => {
        const dataDir = mkdtempSync(join(tmpdir(), 'roost-rings-'));
        context.after(() => rmSync(dataDir, { recursive: true, force: true }));
        const before = await serveIn(dataDir);
        const ann = fresh('ann'), ben = fresh('ben');
        const options = { ...await login(ben), clean: false, properties: { sessionExpiryInterval: 600 } };
        const { arrives } = await numb(options, before);
        await (await native(context, ann, '', before)).request('call', { to: ben, sdp: offer });
        await arrives();
        before.signal('SIGKILL');
        await before.stop();
        const after = await serveIn(dataDir);
        context.after(() => after.stop());
        await hearsFirst(context, options, after, await native(context, ann, '', after), ben);
    });

    test('that begins anew, by a clean start or by hello, has no call', async (context) => {
        const kept = { clean: false, properties: { sessionExpiryInterval: 60 } };
        const ben = fresh('ben'), options = { ...await login(ben), ...kept };
        const caller = await native(context, fresh('ann'));
        const device = await Caller.start(server, options);
        const ring = async (to) => {
            const { call } = await caller.request('call', { to: ben, sdp: offer });
            await to.event('call_incoming');
            await to.request('call_accept', { call, sdp: answer });
        };
        await ring(device);
        const { version, session } = await device.request('hello', { version: 1 });
        assert.equal(version, 1);
        assert.ok(session);
        assert.equal((await caller.event('call_ended')).reason, 'hangup');
        await ring(device);
        await device.client.kill();
        const other = await Caller.start(server, { ...options, clean: true });
        context.after(() => other.client.mqtt.end(true));
        assert.equal((await caller.event('call_ended')).reason, 'lost');
        await ring(other);
    });

    test('is seen among the devices of its user, who sends it away', async (context) => {
        const ann = fresh('ann');
        const lamp = await start(context, ann, 'lamp');
        const desk = await native(context, ann);
        const { call } = await (await start(context, fresh('ben'))).request('call', { to: ann, sdp: offer });
        await lamp.event('call_incoming');
        const { devices } = await desk.request('devices');
        assert.deepEqual(devices.map(({ binding }) => binding).sort(), ['mqtt', 'native']);
        await desk.request('device_revoke', { device: devices.find(({ binding }) => binding === 'mqtt').device });
        await lamp.client.closed;
        assert.equal(lamp.client.goodbye, revoked);
        // the call rings on where the user is left
        await desk.request('call_accept', { call, sdp: answer });
        assert.deepEqual((await desk.request('devices')).devices.map(({ binding }) => binding), ['native']);
    });

    test('joins a room with a token for it', async (context) => {
        const room = fresh('room'), ann = fresh('ann');
        const device = await start(context, ann);
        await refuses(device.request('join', { room, name: 'Ann' }), 'token_required');
        const { output } = await runCommand(['token', '--set', `auth.token_secret=${secret}`, '--room', room]);
        const token = output.trim();
        const member = await NativeClient.join(server, room, 'Ben', { token });
        context.after(() => member.goodbye());
        assert.equal((await device.request('join', { room, name: 'Ann', token })).members.length, 2);
        await member.request('chat', { text: 'hello' });
        assert.equal((await device.event('chat')).text, 'hello');
        await device.client.kill();
        assert.equal((await member.event('member_left')).reason, 'lost');
    });

    test('is told what is wrong with its requests', async (context) => {
        const device = await start(context, fresh('ann'));
        await refuses(device.request('dance'), 'unknown_type');
        await refuses(device.request('call', { to: 'x' }), 'bad_request');
        await device.client.publish(`${device.front}/request`, 'no JSON', { qos: 1 });
        assert.equal((await device.event('error')).code, 'bad_message');
        await refuses(device.request('resume', { session: 'x', resume_token: 'y', last_seq: 0 }), 'already_connected');
    });

    test('that asks too fast is refused, then disconnected', async (context) => {
        const device = await start(context, fresh('ann'));
        const ask = () => device.client.mqtt.publish(`${device.front}/request`, JSON.stringify({ type: 'unregister', id: 1 }));
        while (!device.pending('error').some(({ code }) => code === 'rate_limited')) {
            for (let i = 0; i < 100; i++) ask();
            await device.request('ice_servers').catch(() => {});
        }
        while (!device.client.isClosed) {
            for (let i = 0; i < 1000; i++) ask();
            await new Promise((resolve) => setImmediate(resolve));
        }
        assert.equal(device.client.goodbye, 0x96);
    });

    test('may have a name that topics cannot have as it is', async (context) => {
        const ann = `${fresh('ann')}+home@example.org`;
        const device = await start(context, ann, 'hall/lamp #1+2%');
        const caller = await native(context, fresh('ben'));
        await caller.request('call', { to: ann, sdp: offer });
        await device.event('call_incoming');
    });
});

describe('nobody else', { concurrency: 4, timeout: 120000 }, () => {
    for (const version of versions) {
        test(`in ${version}: publishes requests or events of others`, async (context) => {
            // guests with one identifier take each other's place
            const lamp = `lamp-${version}`;
            const victim = await start(context, fresh('ann'), lamp);
            const [, , user] = victim.front.split('/');
            const other = await Client.connect(server, { version, ...await login(fresh('eve'), lamp) });
            const same = await Client.connect(server, { version, ...await login(victim.user, 'other') });
            const guest = await Client.connect(server, { version, clientId: lamp });
            context.after(() => [other, same, guest].forEach((client) => client.mqtt.end(true)));
            const request = JSON.stringify({ type: 'register', id: 1, user: victim.user });
            for (const client of [other, same, guest]) {
                for (const topic of [`${victim.front}/request`, `${victim.front}/event`, `roost/v1/${user}/presence`, 'roost', `roost/v1//${lamp}/request`, `roost/v1/${user}/${lamp}`,
                    `roost/v1/${user}/${lamp}/request/x`, 'roost/v2/x']) {
                    const refusal = await client.publish(topic, request, { qos: 1 }).then(() => null, ({ code }) => code);
                    assert.equal(refusal, version === 5 ? denied : null, topic);
                }
                await assert.rejects(Client.connect(server, {
                    version, clientId: fresh('will'), reconnectPeriod: 0,
                    will: { topic: `${victim.front}/request`, payload: request },
                }));
            }
            await victim.request('register', { user: victim.user });
            assert.deepEqual(victim.messages.map(({ type }) => type), ['ok'], 'only its own request was heard');
        });

        test(`in ${version}: reads events of others`, async (context) => {
            const victim = await start(context, fresh('ann'), 'lamp');
            const [, , user] = victim.front.split('/');
            const eve = await login(fresh('eve'), 'lamp');
            const readers = await Promise.all([Client.connect(server, { version, ...eve }), Client.connect(server, { version, clientId: fresh('guest') }),
                Client.connect(server, { version, ...await login(victim.user, 'other') })]);
            context.after(() => readers.forEach((client) => client.mqtt.end(true)));
            for (const reader of readers) {
                for (const filter of [`${victim.front}/event`, `${victim.front}/#`, `${victim.front}/+`, `roost/v1/${user}/+/event`, 'roost/#', 'roost/v1/+/lamp/event',
                    'roost/+/+/+/+', `$share/g/${victim.front}/event`, '$share/g/roost/#', 'roost'])
                    assert.ok(await reader.subscribe(filter, 1) >= 128, filter);
                for (const filter of ['#', '+/#', '+/+/+/+/+', '+/v1/+/+/event', '$share/g/#', '$share/g/+/v1/+/+/event'])
                    assert.equal(await reader.subscribe(filter, 1), 1, filter);
            }
            await victim.client.subscribe('#', 1);
            await victim.request('register', { user: victim.user });
            const caller = await native(context, fresh('ben'));
            const ringing = await caller.request('call', { to: victim.user, sdp: offer });
            await victim.event('call_incoming');
            await caller.request('call_cancel', ringing);
            await victim.event('call_ended');
            // what comes behind it is all that they get, and the victim has each event once
            await readers[0].publish('end', 'x', { qos: 1 });
            for (const reader of readers) {
                await reader.next(({ topic }) => topic === 'end');
                assert.deepEqual(reader.inbox.filter(({ topic }) => topic.startsWith('roost/')), []);
            }
            assert.equal(victim.messages.filter(({ type }) => type === 'call_incoming').length, 1);
        });
    }

    test('takes a name that a user of another kind has not proven', async (context) => {
        const device = await start(context, fresh('ann'));
        const stranger = await NativeClient.start(server);
        context.after(() => stranger.goodbye());
        await refuses(stranger.request('register', { user: device.user }), 'token_required');
    });

    test('as a guest has topics of its own', async (context) => {
        const guest = await Client.connect(server, { clientId: 'lamp' });
        context.after(() => guest.mqtt.end(true));
        for (const front of ['roost/v1//lamp', 'roost/v1/lamp', 'roost/v1/lamp/lamp']) {
            assert.ok(await guest.subscribe(`${front}/event`, 1) >= 128);
            await assert.rejects(guest.publish(`${front}/request`, '{}', { qos: 1 }));
        }
    });
});

describe('messages', { concurrency: 4, timeout: 120000 }, () => {
    for (const [from, to] of [['mqtt', 'mqtt'], ['mqtt', 'ws'], ['ws', 'mqtt']]) {
        test(`from ${from} to ${to}, and back`, async (context) => {
            const { caller, callee, ann, ben } = await pair(context, from, to);
            const other = await start(context, ann, 'another');
            const { message } = await caller.request('message', { to: ben, text: 'Lunch?' });
            const came = await callee.event('message');
            assert.deepEqual([came.message, came.text, came.from.user, came.from.verified, came.to], [message, 'Lunch?', ann, true, ben]);
            assert.equal((await other.event('message')).text, 'Lunch?', 'the other devices of the sender');
            await callee.request('message', { to: ann, text: 'At noon.' });
            for (const device of [caller, other]) assert.equal((await device.event('message')).text, 'At noon.');
            assert.deepEqual((await callee.request('messages', { with: ann })).messages.map(({ text }) => text), ['Lunch?', 'At noon.']);
        });
    }

    /** A user who has been here, so that messages wait for it. */
    async function known(user) {
        const device = await Caller.start(server, await login(user));
        await device.request('register', { user });
        await device.client.end();
    }

    test('wait until the user has a device that listens', async (context) => {
        const ben = fresh('ben'), caller = await native(context, fresh('ann'));
        await known(ben);
        for (const text of ['one', 'two']) await caller.request('message', { to: ben, text });
        // who only asks is given none of them
        const asks = await Caller.connect(server, await login(ben, 'button'));
        context.after(() => asks.client.mqtt.end(true));
        await asks.send('message', { to: caller.user ?? 'nobody', text: 'x' });
        await asks.send('ice_servers');
        await caller.request('message', { to: ben, text: 'three' });
        const listens = await start(context, ben, 'bell');
        for (const text of ['one', 'two', 'three']) {
            const came = await listens.event('message');
            assert.deepEqual([came.text, came.missed], [text, true]);
        }
    });

    test('that a device did not acknowledge before it was gone come to the next one', async (context) => {
        const ben = fresh('ben'), caller = await native(context, fresh('ann'));
        const numb = await Caller.start(server, await login(ben));
        await numb.request('register', { user: ben });
        // from now on mqtt.js acknowledges nothing
        let arrived = 0;
        numb.client.mqtt.handleMessage = () => { arrived++; };
        await caller.request('message', { to: ben, text: 'heard by nobody' });
        await until('it has arrived', () => arrived > 0);
        await numb.client.kill();
        const next = await start(context, ben);
        assert.equal((await next.event('message')).text, 'heard by nobody');
        await next.client.end();
        const last = await start(context, ben);
        await last.request('register', { user: ben });
        assert.deepEqual(last.pending('message'), [], 'what was acknowledged does not come again');
    });

    test('many that were missed come one behind the other', async (context) => {
        const ben = fresh('ben'), caller = await native(context, fresh('ann'));
        await known(ben);
        const count = 150;
        for (let i = 0; i < count; i++) await caller.request('message', { to: ben, text: `${i}` }).catch(async ({ code }) => {
            assert.equal(code, 'rate_limited');
            i--;
            await new Promise((resolve) => setTimeout(resolve, 100));
        });
        const device = await start(context, ben);
        for (let i = 0; i < count; i++) assert.equal((await device.event('message')).text, `${i}`);
    });

    test('are sent by mosquitto_pub', async (context) => {
        const receiver = await native(context, fresh('ben')), ben = `ben-${serial}`, ann = fresh('ann');
        const { status } = await Mosquitto.publish(server, { version: 5, args: ['-u', ann, '-P', await mint(ann), '-i', 'bell', '-q', '1', '-t', `roost/v1/${ann}/bell/request`,
            '-m', JSON.stringify({ type: 'message', id: 1, to: ben, text: 'Somebody is at the door.' })] });
        assert.equal(status, 0);
        assert.equal((await receiver.event('message')).text, 'Somebody is at the door.');
    });
});

describe('presence', { concurrency: 4, timeout: 120000 }, () => {
    /** What a client hears of a user until it is `presence`. */
    const hears = (client, user, presence) => client.next(({ topic, text }) => topic === `roost/v1/${user}/presence` && JSON.parse(text).presence === presence, 30000)
        .then(({ text }) => JSON.parse(text));

    for (const version of versions) {
        test(`in ${version}: of users of every language is seen by users`, async (context) => {
            const watcher = await Client.connect(server, { version, ...await login(fresh('eve')) });
            context.after(() => watcher.mqtt.end(true));
            const { callee, ann, ben } = await talking(context, 'mqtt', 'ws');
            assert.equal(await watcher.subscribe('roost/v1/+/presence', 1), 1);
            assert.deepEqual(await hears(watcher, ann, 'busy'), { user: ann, presence: 'busy', name: ann, bindings: ['mqtt'] });
            assert.deepEqual((await hears(watcher, ben, 'busy')).bindings, ['native']);
            await callee.request('presence', { presence: 'dnd' });
            await hears(watcher, ben, 'dnd');
            await callee.goodbye();
            await hears(watcher, ben, 'offline');
            await hears(watcher, ann, 'online');
        });
    }

    test('of a device that is gone ends with its connection', async (context) => {
        const watcher = await start(context, fresh('eve'));
        const ben = fresh('ben'), device = await start(context, ben);
        assert.equal(await watcher.client.subscribe(`roost/v1/${ben}/presence`, 1), 1);
        await hears(watcher.client, ben, 'online');
        await device.client.kill();
        await hears(watcher.client, ben, 'offline');
    });

    test('is not for guests, nor are other topics', async (context) => {
        const guest = await Client.connect(server, { clientId: fresh('guest') });
        const user = await Client.connect(server, await login(fresh('ann')));
        context.after(() => [guest, user].forEach((client) => client.mqtt.end(true)));
        for (const filter of ['roost/v1/+/presence', 'roost/v1/ann/presence']) {
            assert.ok(await guest.subscribe(filter, 1) >= 128, filter);
            assert.equal(await user.subscribe(filter, 1), 1, filter);
        }
        for (const filter of ['roost/v1/#', 'roost/v1/presence', 'roost/v1/+/presence/#', 'roost/v1/+/+', 'roost/+/ann/presence'])
            assert.ok(await user.subscribe(filter, 1) >= 128, filter);
        await assert.rejects(user.publish('roost/v1/ann/presence', 'online', { qos: 1 }));
    });
});

describe("mosquitto's programs", { timeout: 120000 }, () => {
    for (const version of [4, 5]) {
        test(`in ${version}: wait for a call, and ring`, async (context) => {
            const ben = fresh('ben'), ann = fresh('ann');
            const bell = ['-u', ben, '-P', await mint(ben), '-i', 'bell'];
            const waiting = await Mosquitto.subscribe(server, { version, count: 2, args: [...bell, '-q', '1', '-t', `roost/v1/${ben}/bell/event`] });
            const call = JSON.stringify({ type: 'call', id: 1, to: ben, sdp: 'v=0' });
            const button = ['-u', ann, '-P', await mint(ann), '-i', 'button', '-q', '1', '-t', `roost/v1/${ann}/button/request`];
            assert.equal((await Mosquitto.publish(server, { version, args: [...button, '-m', call] })).status, 0);
            const { output, status } = await waiting.ended;
            assert.equal(status, 0);
            const [incoming, ended] = output.trim().split('\n').map((line) => JSON.parse(line.slice(line.indexOf('{'))));
            assert.deepEqual([incoming.type, incoming.from.user, ended.type, ended.reason], ['call_incoming', ann, 'call_ended', 'hangup']);
        });
    }

    test('mosquitto_rr gets the reply to its request', async () => {
        const ann = fresh('ann'), front = `roost/v1/${ann}/remote`;
        const asked = new Mosquitto(server, 'rr', { version: 5, args: ['-u', ann, '-P', await mint(ann), '-i', 'remote', '-q', '1', '-W', '15',
            '-t', `${front}/request`, '-e', `${front}/event`, '-m', JSON.stringify({ type: 'ice_servers', id: 7 })] });
        const { output, errors, status } = await asked.ended;
        assert.equal(status, 0, errors);
        assert.deepEqual([JSON.parse(output).type, JSON.parse(output).id], ['ok', 7]);
    });
});

test('the lamp of docs/mqtt.md works as written', { timeout: 120000 }, async (context) => {
    const text = readFileSync(new URL('../../docs/mqtt.md', import.meta.url), 'utf8');
    const code = /```js\n(import mqtt from.*?)```/s.exec(text)[1];
    const here = code.replace('mqtt://localhost', addressOf(server, 'tcp')).replace('the password of ben', await mint('ben'));
    const lamp = spawn(process.execPath, ['--input-type=module', '-e', here], { cwd: new URL('..', import.meta.url), stdio: ['ignore', 'pipe', 'inherit'] });
    context.after(() => lamp.kill());
    let output = '';
    lamp.stdout.on('data', (chunk) => { output += chunk; });
    const caller = await native(context, fresh('ann'));
    await until('the lamp is there', () => caller.request('message', { to: 'ben', text: 'Hello' }).then(() => true, () => false));
    await until('the lamp has heard that', () => output.includes(`ann-${serial}: Hello`));
    await caller.request('call', { to: 'ben', sdp: offer });
    await caller.event('call_ringing', () => true, 30000);
    assert.equal((await caller.event('call_ended', () => true, 30000)).reason, 'rejected');
    assert.equal((await caller.event('message', () => true, 30000)).text, 'I am only a lamp.');
    assert.match(output, new RegExp(`ann-${serial} calls`));
});

test('the engine counts devices of MQTT as sessions, and they end', async (context) => {
    const count = async () => (await server.metrics()).get('signal_sessions');
    const device = await start(context, fresh('ann'));
    await device.client.end();
    await until('all sessions are over', async () => await count() === 0, 30000);
});
