import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mock, test } from 'node:test';
import { Emitter } from '../../web/sdk/emitter.js';
import { RoostError, deviceError, serverError } from '../../web/sdk/errors.js';
import { roomEncodings } from '../../web/sdk/encodings.js';
import { IceServers } from '../../web/sdk/ice.js';
import { StatsReader, score } from '../../web/sdk/quality.js';
import { Roster } from '../../web/sdk/roster.js';
import { sendLayers } from '../../web/sdk/layers_sent.js';
import { Silence } from '../../web/sdk/silence.js';

test('an emitter tells all listeners, also when one throws or leaves', () => {
    const emitter = new Emitter();
    const heard = [];
    const { error } = console;
    console.error = () => {};
    const off = emitter.on('a', () => off());
    emitter.on('a', () => {
        throw new Error('listener');
    });
    emitter.on('a', (value) => heard.push(value));
    emitter.once('a', (value) => heard.push(`once ${value}`));
    emitter.emit('a', 1);
    emitter.emit('a', 2);
    console.error = error;
    assert.deepEqual(heard, [1, 'once 1', 2]);
});

test('device failures have a code, a sentence and a remedy', () => {
    const codes = { NotAllowedError: 'permission-denied', NotFoundError: 'no-camera', NotReadableError: 'device-busy' };
    for (const [name, code] of Object.entries(codes)) {
        const error = deviceError(new DOMException('x', name), 'camera');
        assert.equal(error.code, code);
        assert.ok(error.message && error.remedy);
    }
    assert.equal(deviceError(new DOMException('x', 'NotFoundError'), 'microphone').code, 'no-microphone');
    assert.equal(deviceError(new DOMException('x', 'NotAllowedError'), 'screen').code, 'screen-denied');
});

test('a refusal keeps its code, and the sentence of the server where the SDK has none', () => {
    assert.equal(serverError({ code: 'room_full', message: 'server' }).code, 'room-full');
    assert.equal(serverError({ code: 'room_full', message: 'server' }).message, 'This room is full.');
    assert.equal(serverError({ code: 'no_such_member', message: 'There is no such member.' }).message, 'There is no such member.');
});

test('every refusal that a user can meet at the door has words of the SDK', () => {
    const { errors } = JSON.parse(readFileSync(new URL('../../src/signal/native/schema/errors.json', import.meta.url), 'utf8'));
    const met = ['room_full', 'room_locked', 'kicked', 'token_required', 'token_invalid', 'token_expired', 'server_full', 'media_full',
        'too_many_rooms', 'user_busy', 'user_unavailable', 'user_taken', 'version_unsupported', 'rate_limited'];
    for (const code of met) {
        assert.ok(code in errors, `${code} is not in the schema`);
        assert.ok(new RoostError(code.replaceAll('_', '-')).remedy, code);
    }
});

test('the score is 5 on a clean path and falls with loss and delay', () => {
    assert.equal(score({ lossRatio: 0, rttMs: 40, jitterMs: 5 }), 5);
    assert.ok(score({ lossRatio: 0.1, rttMs: 40, jitterMs: 5 }) < 3);
    assert.ok(score({ lossRatio: 0, rttMs: 600, jitterMs: 60 }) < 3);
    assert.equal(score({ lossRatio: 1, rttMs: 2000, jitterMs: 100 }), 1);
});

test('successive reports become rates', () => {
    const reader = new StatsReader();
    const at = (timestamp, bytesReceived, packetsReceived, packetsLost, framesDecoded) => [
        { id: 'in', type: 'inbound-rtp', kind: 'video', mid: '3', timestamp, bytesReceived, packetsReceived, packetsLost, framesDecoded, jitter: 0.01 },
        { id: 'pair', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.03 },
    ];
    reader.read(at(1000, 0, 0, 0, 0));
    const { tracks, rttMs, receiveScore, sendScore } = reader.read(at(3000, 250_000, 90, 10, 60));
    assert.equal(rttMs, 30);
    assert.equal(tracks[0].mid, '3');
    assert.equal(tracks[0].bitrate, 1_000_000);
    assert.equal(tracks[0].frameRate, 30);
    assert.equal(tracks[0].lossRatio, 0.1);
    assert.ok(receiveScore < 3);
    assert.equal(sendScore, 5);
});

const member = (id, name = id) => ({ id, name, moderator: false, away: false, media: 'connected' });
const wireTrack = (id, owner, kind = 'video') => ({
    id, member: owner, kind, source: kind === 'video' ? 'camera' : 'microphone', muted: false, blocked: false, live: true,
});

function makeRoster() {
    const events = [];
    const emitter = { emit: (name, detail) => events.push([name, detail.member?.id && name.startsWith('member') ? detail.member.id : detail.id]) };
    const roster = new Roster(/** @type {any} */ (emitter), /** @type {any} */ ({
        self: 'me', members: [member('ada'), member('me')], tracks: [wireTrack('v', 'ada')],
    }));
    return { roster, events };
}
const mediaA = /** @type {any} */ ({ kind: 'video', name: 'A' });
const mediaB = /** @type {any} */ ({ kind: 'video', name: 'B' });

test('a track is attached when its slot is filled and detached when it is emptied', () => {
    const { roster, events } = makeRoster();
    roster.fill({ mid: '1', kind: 'video', mediaTrack: mediaA, track: 'v' });
    assert.equal(roster.track('v')?.mediaTrack, mediaA);
    roster.fill({ mid: '1', kind: 'video', mediaTrack: mediaA, track: null });
    assert.equal(roster.track('v')?.mediaTrack, null);
    assert.deepEqual(events, [['track-attached', 'v'], ['track-detached', 'v']]);
});

test('a track that moves to another slot is never without picture', () => {
    const { roster, events } = makeRoster();
    roster.fill({ mid: '1', kind: 'video', mediaTrack: mediaA, track: 'v' });
    roster.fill({ mid: '3', kind: 'video', mediaTrack: mediaB, track: 'v' });
    roster.fill({ mid: '1', kind: 'video', mediaTrack: mediaA, track: null });
    assert.equal(roster.track('v')?.mediaTrack, mediaB);
    assert.ok(!events.some(([name]) => name === 'track-detached'));
});

test('a video says why it is not sent, until it is, or another slot shows it', () => {
    const { roster, events } = makeRoster();
    const paused = (pause) => roster.receive(/** @type {any} */ ({ type: 'track_paused', track: 'v', pause }));
    roster.fill({ mid: '1', kind: 'video', mediaTrack: mediaA, track: 'v' });
    assert.equal(roster.track('v')?.pause, 'none');
    events.length = 0;
    paused('server');
    paused('server');
    assert.equal(roster.track('v')?.pause, 'server');
    assert.deepEqual(events, [['track-updated', 'v']]);
    paused('none');
    assert.equal(roster.track('v')?.pause, 'none');
    paused('path');
    roster.fill({ mid: '3', kind: 'video', mediaTrack: mediaB, track: 'v' });
    assert.equal(roster.track('v')?.pause, 'none');
});

test('a slot may be filled before its track is announced', () => {
    const { roster, events } = makeRoster();
    roster.fill({ mid: '1', kind: 'video', mediaTrack: mediaA, track: 'new' });
    roster.receive(/** @type {any} */ ({ type: 'track_published', track: wireTrack('new', 'ada') }));
    assert.equal(roster.track('new')?.mediaTrack, mediaA);
    assert.deepEqual(events.map(([name]) => name), ['track-published', 'track-attached']);
});

test('who leaves takes the tracks along, first tracks then member', () => {
    const { roster, events } = makeRoster();
    roster.receive(/** @type {any} */ ({ type: 'member_left', member: 'ada', reason: 'left' }));
    assert.equal(roster.members.size, 1);
    assert.deepEqual(events, [['track-unpublished', 'v'], ['member-left', 'ada']]);
});

test('after a new join only differences are told, and objects keep their identity', () => {
    const { roster, events } = makeRoster();
    const ada = roster.members.get('ada');
    const { self } = roster;
    roster.replace(/** @type {any} */ ({ self: 'me2', members: [member('ada'), member('bob'), member('me2')], tracks: [wireTrack('v', 'ada')] }));
    assert.equal(roster.members.get('ada'), ada);
    assert.equal(roster.self, self);
    assert.equal(roster.self.id, 'me2');
    assert.ok(!roster.members.has('me'));
    assert.deepEqual(events.filter(([name]) => name === 'member-joined' || name === 'member-left'), [['member-joined', 'bob']]);
});

const iceServers = (endsInS = 3600) => [
    { urls: ['stun:a'] },
    {
        urls: ['turn:a:3478?transport=udp', 'turn:a:3478?transport=tcp', 'turns:a:5349?transport=tcp', 'turn:b', 'turns:[::1]:443'],
        username: `${Math.floor(Date.now() / 1000) + endsInS}:x`, credential: 'y',
    },
];

test('relays alone are used when nothing else is wanted, all or those of one transport', () => {
    const urls = (relay) => {
        const ice = new IceServers(relay);
        ice.take(iceServers());
        const { iceServers: servers, iceTransportPolicy } = ice.configuration;
        assert.equal(iceTransportPolicy, relay ? 'relay' : undefined);
        assert.ok(servers.every((server) => server.urls[0].startsWith('stun:') || server.credential === 'y'));
        return servers.flatMap((server) => server.urls);
    };
    assert.equal(urls(false).length, 6);
    assert.equal(urls(undefined).length, 6);
    assert.deepEqual(urls(true), iceServers()[1].urls);
    assert.deepEqual(urls('udp'), ['turn:a:3478?transport=udp', 'turn:b']);
    assert.deepEqual(urls('tcp'), ['turn:a:3478?transport=tcp']);
    assert.deepEqual(urls('tls'), ['turns:a:5349?transport=tcp', 'turns:[::1]:443']);
});

test('credentials are asked for anew at half of their time, and old ones stay when nobody answers', async () => {
    let asked = 0;
    let answer = async () => iceServers();
    const ice = new IceServers(false, () => {
        asked++;
        return answer();
    });
    const { now } = performance;
    let passedMs = 0;
    performance.now = () => now.call(performance) + passedMs;
    try {
        ice.take(iceServers(600));
        assert.equal(await ice.refresh(), false);
        assert.equal(asked, 0);
        passedMs = 301_000;
        assert.equal(await ice.refresh(), true);
        assert.equal(asked, 1);
        // an hour's worth: half an hour later
        passedMs += 1_700_000;
        assert.equal(await ice.refresh(), false);
        passedMs += 200_000;
        answer = async () => { throw new Error('gone'); };
        const before = ice.configuration;
        assert.equal(await ice.refresh(), false);
        assert.equal(asked, 2);
        assert.deepEqual(ice.configuration, before);
        // a clock that is wrong by days makes no storm
        answer = async () => iceServers(-100_000);
        await ice.refresh();
        assert.equal(asked, 3);
        await ice.refresh();
        assert.equal(asked, 3);
    } finally {
        performance.now = now;
    }
});

test('silence is told once, after packets kept coming, and again after they came back', async () => {
    mock.timers.enable({ apis: ['setInterval'] });
    let told = 0;
    let bytes = 0;
    const silence = new Silence(() => told++);
    silence.watch({ getStats: async () => new Map([['a', { type: 'candidate-pair', bytesReceived: bytes }], ['b', { type: 'transport', bytesReceived: 7 }]]) });
    /** So many looks, each with some packets or none. */
    const look = async (times, packets) => {
        for (let i = 0; i < times; i++) {
            bytes += packets * 100;
            mock.timers.tick(500);
            await new Promise(setImmediate);
        }
    };
    await look(5, 0);
    assert.equal(told, 0); // nothing ever came
    await look(1, 1);
    await look(3, 0);
    assert.equal(told, 0); // a packet alone
    await look(4, 1);
    await look(1, 0);
    assert.equal(told, 0);
    await look(5, 0);
    assert.equal(told, 1);
    await look(3, 1);
    await look(2, 0);
    assert.equal(told, 2);
    await look(3, 1);
    mock.timers.reset();
    assert.equal(await silence.hears(5), false);
    const soon = silence.hears(20);
    setTimeout(() => { bytes += 100; }, 5);
    assert.equal(await soon, true);
    silence.stop();
    assert.equal(await silence.hears(5), false); // there is nothing to hear
});

/** A sender with one encoding; `modes`: what its statistics say, one after the other, each as late as a promise. */
function fakeSender(encoding, modes) {
    let parameters = { encodings: [{ active: true, ...encoding }] };
    return {
        get encoding() {
            return parameters.encodings[0];
        },
        getParameters: () => structuredClone(parameters),
        setParameters: async (changed) => void (parameters = structuredClone(changed)),
        getStats: async () => {
            await modes.before;
            const scalabilityMode = modes.length > 1 ? modes.shift() : modes[0];
            return new Map([['a', { type: 'outbound-rtp', ...(scalabilityMode && { scalabilityMode }) }]]);
        },
    };
}

test('what is watched of a track is sent as it was told last, also when it changes at once', async () => {
    const encoding = { scalabilityMode: 'L3T3_KEY' };
    let go = () => {};
    const sender = fakeSender(encoding, Object.assign(['L3T3_KEY'], { before: new Promise((resolve) => (go = resolve)) }));
    const publication = { encodings: [encoding] };
    const done = [1, 0].map((layers) => sendLayers(sender, publication, layers));
    await new Promise(setImmediate);
    go();
    await Promise.all(done);
    assert.equal(sender.encoding.active, false);
    await sendLayers(sender, publication, 1);
    assert.deepEqual([sender.encoding.active, sender.encoding.scaleResolutionDownBy], [true, 4]);
});

test('layers rest when it is known how many there are, or not at all when it changes before', async () => {
    const encoding = { scalabilityMode: 'L3T3_KEY' };
    const small = fakeSender(encoding, [undefined, undefined, 'L2T3_KEY']);
    await sendLayers(small, { encodings: [encoding] }, 1);
    assert.deepEqual([small.encoding.scalabilityMode, small.encoding.scaleResolutionDownBy], ['L1T3', 2]);
    const none = fakeSender(encoding, [undefined]); // nothing is encoded yet
    const begun = performance.now();
    const publication = { encodings: [encoding] };
    await Promise.all([1, 0].map((layers) => sendLayers(none, publication, layers)));
    assert.equal(none.encoding.active, false);
    assert.ok(performance.now() - begun < 2000, 'what comes later is not waited with');
});

test('a camera is sent in as many sizes as it is large enough for, a small one at a low rate', () => {
    const sent = (width, height, options = {}, source = 'camera') => roomEncodings(source,
        { kind: 'video', contentHint: '', getSettings: () => ({ width, height }) }, options).map(({ maxBitrate }) => maxBitrate / 1000);
    assert.deepEqual(sent(1280, 720), [60, 450, 1500]);
    assert.deepEqual(sent(360, 640), [60, 700]);
    assert.deepEqual(sent(320, 240), [400]);
    assert.deepEqual(sent(320, 240, { codec: 'video/VP9' }), [400]);
    assert.deepEqual(sent(undefined, undefined), [1500], 'not known yet');
    assert.deepEqual(sent(600, 400, {}, 'screen'), [2500], 'letters are sharp in a small window, too');
});
