// The native protocol as docs/protocol.md tells it to those who write a client of their own.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import WebSocket from 'ws';

import { NativeClient, refuses } from '../support/native_client.mjs';
import { Server, root, runCommand } from '../support/server.mjs';
import { patienceMs, until } from '../support/until.mjs';

const document = readFileSync(join(root, 'docs/protocol.md'), 'utf8');
const secret = 'a secret of this test file alone';
const resumeWithinMs = 60000;
const hastyResumeMs = 3000;
const ringMs = 5000;
let server;
/** One that waits for nobody for long. */
let hasty;
let roomNumber = 0;
const newRoom = () => `room-${++roomNumber}`;

before(async () => {
    const set = { 'auth.token_secret': secret, 'signal.resume_buffer': '16k', 'rooms.max_members': 3, 'rooms.max_tracks': 2,
        'rooms.empty_timeout': '0s', 'calls.media': 'direct' };
    [server, hasty] = await Promise.all([{ 'signal.resume_window': `${resumeWithinMs}ms` }, { 'signal.resume_window': `${hastyResumeMs}ms`, 'signal.ring_timeout': `${ringMs}ms` }]
        .map((more) => Server.start({ sanitized: true, set: { ...set, ...more } })));
});
after(async () => {
    for (const one of [server, hasty]) assert.deepEqual(await one?.stop(), { status: 0, signal: null });
});

/** Runs with a server of other settings. */
async function withServer(set, run) {
    const other = await Server.start({ sanitized: true, set: { 'auth.token_secret': secret, ...set } });
    try {
        await run(other);
    } finally {
        assert.deepEqual(await other.stop(), { status: 0, signal: null });
    }
}

/** Those who leave at the end of a test, whatever happens in it. */
function people(context, at = server) {
    const all = [];
    context.after(() => Promise.all(all.map((client) => client.goodbye())));
    return {
        async start(...args) { return this.keep(await NativeClient.start(args[0] ?? at)); },
        async connect() { return this.keep(await NativeClient.connect(at)); },
        async join(room, name, fields) { return this.keep(await NativeClient.join(at, room, name, fields)); },
        keep(client) { all.push(client); return client; },
    };
}

/** A browser's offer in short: sections as "sendonly audio", "recvonly video". */
function makeOffer(sections, { ufrag = 'abcd', setup = 'actpass' } = {}) {
    const fingerprint = Array.from({ length: 32 }, (_, i) => (i + 16).toString(16).toUpperCase()).join(':');
    const lines = ['v=0', 'o=- 4611731400430051336 2 IN IP4 127.0.0.1', 's=-', 't=0 0',
        `a=group:BUNDLE ${sections.map((_, mid) => mid).join(' ')}`];
    sections.forEach((section, mid) => {
        const [direction, kind] = section.split(' ');
        const audio = kind === 'audio';
        lines.push(`m=${kind} 9 UDP/TLS/RTP/SAVPF ${audio ? 111 : '96 97'}`, 'c=IN IP4 0.0.0.0', `a=mid:${mid}`,
            `a=ice-ufrag:${ufrag}`, 'a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa', `a=fingerprint:sha-256 ${fingerprint}`,
            `a=setup:${setup}`, `a=${direction}`, 'a=rtcp-mux', 'a=rtcp-rsize');
        if (audio) lines.push('a=rtpmap:111 opus/48000/2', 'a=fmtp:111 minptime=10;useinbandfec=1');
        else lines.push('a=rtpmap:96 VP8/90000', 'a=rtcp-fb:96 nack', 'a=rtcp-fb:96 nack pli', 'a=rtpmap:97 rtx/90000', 'a=fmtp:97 apt=96');
        if (direction.startsWith('send')) lines.push(`a=ssrc:${1000 + mid} cname:x`);
    });
    return lines.join('\r\n') + '\r\n';
}

function jwt(claims, { key = secret, header = { alg: 'HS256', typ: 'JWT' } } = {}) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part(header)}.${part(claims)}`;
    return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

async function mint(...args) {
    const { status, output } = await runCommand(['token', '--set', `auth.token_secret=${secret}`, ...args]);
    assert.equal(status, 0, output);
    return output.trim();
}

const nowS = () => Math.floor(Date.now() / 1000);

// --- sessions ---

test('hello opens a session and tells what the document says', async (context) => {
    const { welcome } = await people(context).start();
    assert.equal(welcome.version, 1);
    assert.match(welcome.server, /^roost \d/);
    assert.ok(welcome.session.length >= 16 && welcome.resume_token.length >= 22);
    assert.equal(welcome.resume_within_ms, resumeWithinMs);
    assert.equal(welcome.dead_after_ms, 10000);
    assert.ok(welcome.heartbeat_ms < welcome.dead_after_ms);
    // four: Firefox warns of five
    assert.equal(welcome.ice_servers.flatMap(({ urls }) => urls).length, 4);
    assert.match(welcome.ice_servers[0].urls[0], /^turn:127\.0\.0\.1:\d+\?transport=udp$/);
    assert.match(welcome.ice_servers[0].username, new RegExp(`^\\d+:${welcome.session}$`));
    assert.equal(welcome.limits.members, 3);
    assert.equal(welcome.limits.tracks, 2);
});

test('what comes at the wrong time is refused', async (context) => {
    const client = await people(context).connect();
    await refuses(client.request('join', { room: 'x', name: 'y' }), 'not_connected');
    await refuses(client.request('hello', { version: 2 }), 'version_unsupported');
    await client.settle(); // ping needs no session
    await client.hello();
    await refuses(client.request('hello', { version: 1 }), 'already_connected');
    await refuses(client.request('resume', { session: 'x', resume_token: 'y', last_seq: 0 }), 'already_connected');
    for (const [type, fields] of Object.entries({
        leave: {}, update: { name: 'x' }, chat: { text: 'x' }, offer: { sdp: 'v=0\r\n' }, candidate: {}, kick: { member: 'x' },
        lock: { locked: true }, mute: { track: 'x', muted: true }, subscribe: { tracks: ['x'] }, unsubscribe: { tracks: ['x'] },
        block: { track: 'x', blocked: true }, promote: { member: 'x' }, end: {},
    })) await refuses(client.request(type, fields), 'not_in_room');
});

test('what is no message of the protocol gets an error with code and sentence', async (context) => {
    const client = await people(context).start();
    const error = async (text) => {
        const before = client.messages.length;
        client.sendText(text);
        await client.settle();
        return client.messages[before];
    };
    const bad = ['', '{', '[]', '1', 'null', '"x"', '{}', '{"type":1}', '{"id":1}', '{"type":"chat","type":"chat","id":3}',
        `${'[1,'.repeat(100)}`, `{"type":"ping","x":${'['.repeat(20)}${']'.repeat(20)}}`, '{"type":"ping"} x', '{"type":"ping\u0000"}',
        `{"type":"ping","x":[${'1,'.repeat(100000)}1]}`];
    for (const text of bad) assert.equal((await error(text)).code, 'bad_message', text.slice(0, 40));
    assert.equal((await error('{"type":"chat","text":"x"}')).code, 'bad_request');
    for (const id of ['0', '-1', '1.5', '"1"', 'null', '9007199254740992', '1e400', '[]'])
        assert.ok(['bad_request', 'bad_message'].includes((await error(`{"type":"leave","id":${id}}`)).code), id);
    await refuses(client.request('fly', {}), 'unknown_type');
    await refuses(client.request('__proto__', {}), 'unknown_type');
    const fields = [
        ['join', { room: 'a' }], ['join', { name: 'a' }], ['join', { room: '', name: 'a' }], ['join', { room: 'a b', name: 'a' }],
        ['join', { room: 'a', name: 'two\nlines' }], ['join', { room: 'x'.repeat(65), name: 'a' }], ['join', { room: 7, name: 'a' }],
        ['join', { room: 'a', name: 'é'.repeat(33) }], ['join', { room: 'a/b', name: 'a' }], ['join', { room: 'a', name: 'b', auto_subscribe: 1 }],
        ['chat', { text: '' }], ['chat', { text: 'x'.repeat(4097) }], ['chat', { text: 'a\u0007b' }], ['lock', {}],
        ['offer', { sdp: 'x=0' }], ['offer', { sdp: 'v=0', tracks: {} }], ['offer', { sdp: 'v=0', tracks: [1] }],
        ['offer', { sdp: 'v=0', tracks: [{ mid: '0', source: 'kitchen' }] }], ['subscribe', { tracks: [] }],
        ['subscribe', { tracks: Array(65).fill('x') }], ['call_reject', { call: 'x', reason: 'tired' }],
    ];
    for (const [type, wrong] of fields) {
        const { sentence } = await refuses(client.request(type, wrong), 'bad_request');
        assert.match(sentence, /"\w+"/, 'which field it is');
    }
    // fields that are not known are ignored
    client.joined = await client.request('join', { room: newRoom(), name: 'Ann', colour: 'red', nested: { deep: [1] } });
    assert.equal(client.joined.members.length, 1);
});

test('requests are numbered upwards, and a repeated one gets its first reply', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben] = [await their.join(room, 'Ann'), await their.join(room, 'Ben')];
    const id = ann.send('chat', { text: 'once' });
    const first = await ann.reply(id);
    for (let i = 0; i < 3; i++) {
        ann.send('chat', { text: 'once' }, id);
        assert.equal((await ann.reply(id)).seq, first.seq);
    }
    await ben.event('chat');
    await ben.settle();
    assert.equal(ben.pending('chat').length, 0, 'a repeated request was carried out again');
    // an id that was passed over, and one whose reply is confirmed
    const late = id + 10;
    await ann.reply(ann.send('update', { status: 'here' }, late));
    ann.send('update', { status: 'gone' }, id + 5);
    await refuses(ann.reply(id + 5), 'request_repeated');
    ann.sendText(JSON.stringify({ type: 'ping', last_seq: ann.lastSeq }));
    await ann.event('pong');
    ann.send('update', { status: 'gone' }, late);
    await refuses(ann.reply(late), 'request_repeated');
});

// --- rooms ---

test('members see each other come, change and go', async (context) => {
    const their = people(context);
    const room = newRoom();
    const ann = await their.join(room, 'Ann');
    assert.equal(ann.joined.room, room);
    assert.deepEqual(ann.joined.members, [{ id: ann.member, name: 'Ann', moderator: true, away: false, media: 'none' }]);
    assert.deepEqual(ann.joined.tracks, []);
    assert.ok(ann.joined.slots.audio >= 1 && ann.joined.slots.video >= 1);
    const ben = await their.join(room, 'Ben 🐓');
    assert.deepEqual(ben.joined.members.map((member) => member.name), ['Ann', 'Ben 🐓']);
    assert.deepEqual((await ann.event('member_joined')).member,
        { id: ben.member, name: 'Ben 🐓', moderator: false, away: false, media: 'none' });
    await refuses(ben.request('join', { room: 'other', name: 'Ben' }), 'already_in_room');
    await ben.request('update', { name: 'Benjamin', status: 'hand_raised' });
    for (const client of [ann, ben]) {
        const { member } = await client.event('member_updated');
        assert.equal(member.name, 'Benjamin');
        assert.equal(member.status, 'hand_raised');
    }
    await ben.request('update', { status: '' });
    assert.equal((await ann.event('member_updated')).member.status, undefined);
    await ben.request('leave');
    assert.deepEqual({ ...await ann.event('member_left'), seq: 0 }, { seq: 0, type: 'member_left', member: ben.member, reason: 'left', again: false, taken: true });
    ben.joined = await ben.request('join', { room, name: 'Ben' });
    assert.notEqual(ben.joined.self, ben.member);
    await ann.event('member_joined');
    await ben.goodbye();
    assert.equal((await ann.event('member_left')).reason, 'left');
    const cleo = await their.join(room, 'Cleo');
    cleo.socket.close(1001); // as a browser does when a page closes
    await ann.event('member_left', ({ member }) => member === cleo.member);
});

test('chat reaches everybody, or one', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben, cleo] = [await their.join(room, 'Ann'), await their.join(room, 'Ben'), await their.join(room, 'Cleo')];
    const text = 'Hello "world"\n\té🐓 </script> \u2028';
    await ann.request('chat', { text });
    for (const client of [ann, ben, cleo]) {
        const chat = await client.event('chat');
        assert.equal(chat.text, text);
        assert.equal(chat.from, ann.member);
        assert.equal(chat.name, 'Ann');
        assert.equal(chat.to, undefined);
        assert.ok(Math.abs(chat.time_ms - Date.now()) < 10000);
    }
    await ann.request('chat', { text: 'secret', to: ben.member });
    assert.equal((await ben.event('chat')).to, ben.member);
    assert.equal((await ann.event('chat')).text, 'secret');
    await cleo.settle();
    assert.equal(cleo.pending('chat').length, 0);
    await refuses(ann.request('chat', { text: 'x', to: 'nobody' }), 'no_such_member');
    await ann.request('chat', { text: 'x'.repeat(4096) });
});

test('a moderator kicks, locks, promotes and ends', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben] = [await their.join(room, 'Ann'), await their.join(room, 'Ben')];
    for (const [type, fields] of [['kick', { member: ann.member }], ['lock', { locked: true }], ['promote', { member: ben.member }],
        ['block', { track: 'x', blocked: true }], ['end', {}]])
        await refuses(ben.request(type, fields), 'not_moderator');
    await refuses(ann.request('kick', { member: 'nobody' }), 'no_such_member');
    await refuses(ann.request('promote', { member: 'nobody' }), 'no_such_member');
    await refuses(ann.request('kick', { member: ann.member }), 'bad_request');
    await refuses(ann.request('block', { track: 'nothing', blocked: true }), 'no_such_track');

    await ann.request('lock', { locked: true });
    assert.equal((await ben.event('room_updated')).locked, true);
    const cleo = await their.start();
    await refuses(cleo.request('join', { room, name: 'Cleo' }), 'room_locked');
    await ann.request('lock', { locked: false });
    await cleo.request('join', { room, name: 'Cleo' });

    await ann.request('promote', { member: ben.member });
    await ben.event('member_updated', ({ member }) => member.id === ben.member && member.moderator);
    const cleoMember = (await ben.event('member_joined')).member.id;
    await ben.request('kick', { member: cleoMember, message: 'Please come back tomorrow.' });
    assert.deepEqual(((removed) => [removed.reason, removed.message])(await cleo.event('removed')), ['kicked', 'Please come back tomorrow.']);
    assert.equal((await ann.event('member_left')).reason, 'kicked');
    await refuses(cleo.request('chat', { text: 'x' }), 'not_in_room');
    await refuses(cleo.request('join', { room, name: 'Cleo' }), 'kicked');
    await cleo.request('join', { room: newRoom(), name: 'Cleo' });

    await ann.request('end');
    for (const client of [ann, ben]) assert.equal((await client.event('removed')).reason, 'ended');
    await refuses(ann.request('leave'), 'not_in_room');
});

test('who is there longest moderates when the last moderator leaves', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben, cleo] = [await their.join(room, 'Ann'), await their.join(room, 'Ben'), await their.join(room, 'Cleo')];
    await ann.request('leave');
    const { member } = await cleo.event('member_updated', (event) => event.member.moderator);
    assert.equal(member.id, ben.member);
    await ben.request('lock', { locked: true });
});

test('rooms and servers have their limits', async (context) => {
    const their = people(context);
    const room = newRoom();
    for (let i = 0; i < 3; i++) await their.join(room, `member ${i}`);
    await refuses((await their.start()).request('join', { room, name: 'Dan' }), 'room_full');
    await withServer({ 'rooms.max_rooms': 1, 'signal.max_sessions': 2, 'rooms.empty_timeout': '0s' }, async (small) => {
        const ann = await NativeClient.join(small, 'one', 'Ann');
        const ben = await NativeClient.start(small);
        await refuses(ben.request('join', { room: 'two', name: 'Ben' }), 'too_many_rooms');
        const cleo = await NativeClient.connect(small);
        await refuses(cleo.hello(), 'server_full');
        await ben.goodbye();
        await cleo.hello();
        await ann.request('leave');
        await cleo.request('join', { room: 'two', name: 'Cleo' });
        for (const client of [ann, cleo]) await client.goodbye();
    });
    await withServer({ 'rooms.auto_create': false, 'signal.max_sessions_per_address': 2 }, async (strict) => {
        const ann = await NativeClient.start(strict);
        await refuses(ann.request('join', { room: 'hall', name: 'Ann' }), 'no_such_room');
        const token = await mint('--room', 'hall', '--moderator', '--name', 'Mona');
        const mona = await NativeClient.join(strict, 'hall', 'ignored', { token });
        assert.equal(mona.joined.members[0].name, 'Mona');
        await ann.request('join', { room: 'hall', name: 'Ann' });
        await refuses((await NativeClient.connect(strict)).hello(), 'server_full');
        for (const client of [ann, mona]) await client.goodbye();
    });
});

// --- resume ---

test('a session that lost its TCP connection misses nothing and does nothing twice', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben] = [await their.join(room, 'Ann'), await their.join(room, 'Ben')];
    await ann.event('member_joined');
    await ann.cut();
    const away = await ben.event('member_updated', ({ member }) => member.id === ann.member);
    assert.equal(away.member.away, true);
    for (let i = 0; i < 20; i++) await ben.request('chat', { text: `while you were away ${i}` });
    const { replayed } = await ann.resume();
    assert.ok(replayed >= 20);
    const texts = ann.pending('chat').map((chat) => chat.text);
    assert.deepEqual(texts, Array.from({ length: 20 }, (_, i) => `while you were away ${i}`));
    assert.ok(ann.messages.every((message) => !message.again));
    await ben.event('member_updated', ({ member }) => member.id === ann.member && !member.away);
    await ann.request('chat', { text: 'I am back' });
});

test('requests without a reply are sent again and carried out once', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben] = [await their.join(room, 'Ann'), await their.join(room, 'Ben')];
    for (let round = 0; round < 10; round++) {
        await ann.settle();
        ann.socket.pause(); // what the server answers does not arrive
        const ids = Array.from({ length: 3 }, (_, i) => ann.send('chat', { text: `round ${round} ${i}` }));
        // now and then the server has read them all before the connection ends, now and then not
        if (round % 2) await ben.event('chat', ({ text }) => text === `round ${round} 2`);
        await ann.cut();
        await ann.resume();
        for (const [i, id] of ids.entries()) ann.send('chat', { text: `round ${round} ${i}` }, id);
        for (const id of ids) await ann.reply(id);
    }
    await ben.settle();
    const texts = ben.messages.filter(({ type }) => type === 'chat').map(({ text }) => text);
    assert.deepEqual(texts, Array.from({ length: 30 }, (_, i) => `round ${Math.floor(i / 3)} ${i % 3}`));
    assert.deepEqual(ann.messages.filter(({ type }) => type === 'chat' ).map(({ text }) => text), texts);
});

test('a join without a reply is not joined twice', async (context) => {
    const ann = await people(context).start();
    const fields = { room: newRoom(), name: 'Ann' };
    ann.socket.pause();
    const id = ann.send('join', fields);
    await ann.cut();
    await ann.resume();
    ann.send('join', fields, id);
    assert.equal((await ann.reply(id)).result.members.length, 1);
});

test('what a client says it has is believed, and what it confirmed is forgotten', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben] = [await their.join(room, 'Ann'), await their.join(room, 'Ben')];
    for (let i = 0; i < 5; i++) await ben.request('chat', { text: `${i}` });
    await ann.settle();
    const had = ann.lastSeq;
    await ann.cut();
    // the client lost what it had: all of it comes again
    const { replayed } = await ann.resume(had - 5);
    assert.ok(replayed >= 5);
    assert.ok(ann.messages.filter((message) => message.again).length >= 5);
    ann.sendText(JSON.stringify({ type: 'ping', last_seq: ann.lastSeq }));
    await ann.event('pong');
    await ann.cut();
    await refuses(ann.resume(had - 5), 'resume_lost');
    // and such a session is over
    await refuses(ann.request('resume', { session: ann.welcome.session, resume_token: ann.welcome.resume_token, last_seq: had }), 'resume_unknown');
    assert.equal((await ben.event('member_left')).reason, 'lost');
});

test('who stays away too long, or misses more than is kept, cannot resume', async (context) => {
    const their = people(context, hasty);
    const room = newRoom();
    const [ann, ben, cleo] = [await their.join(room, 'Ann'), await their.join(room, 'Ben'), await their.join(room, 'Cleo')];
    await cleo.cut();
    for (let i = 0; i < 8; i++) await ben.request('chat', { text: 'x'.repeat(4000) }); // 16 KiB are kept
    await refuses(cleo.resume(), 'resume_lost');
    const begin = Date.now();
    await ann.cut();
    const left = await ben.event('member_left', ({ member }) => member === ann.member);
    assert.equal(left.reason, 'lost');
    assert.ok(Date.now() - begin >= hastyResumeMs - 500);
    await refuses(ann.resume(), 'resume_unknown');
});

test('nobody resumes without the secret', async (context) => {
    const their = people(context);
    const ann = await their.join(newRoom(), 'Ann');
    const thief = await their.connect();
    for (const resume_token of ['x', ann.welcome.resume_token.slice(0, -1), `${ann.welcome.resume_token}x`])
        await refuses(thief.request('resume', { session: ann.welcome.session, resume_token, last_seq: 0 }), 'resume_unknown');
    await refuses(thief.request('resume', { session: 'nobody', resume_token: ann.welcome.resume_token, last_seq: 0 }), 'resume_unknown');
    await ann.settle();
    await refuses(thief.request('chat', { text: 'x' }), 'not_connected');
});

test('of two sockets for one session the newer one has it', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben] = [await their.join(room, 'Ann'), await their.join(room, 'Ben')];
    const oldClosed = ann.closed;
    await ann.resume(); // the server does not know yet that the former connection is lost
    assert.equal((await oldClosed).code, 4000);
    await ann.request('chat', { text: 'still me' });
    await ben.event('chat');
    assert.equal(ben.pending('member_left').length, 0);
    await refuses(ann.request('resume', { session: ann.welcome.session, resume_token: ann.welcome.resume_token, last_seq: 0 }), 'already_connected');
});

test('goodbye ends a session for good', async (context) => {
    const ann = await people(context).start();
    await ann.request('goodbye');
    assert.equal((await ann.closed).code, 1000);
    await refuses(ann.resume(), 'resume_unknown');
});

describe('time', { concurrency: true }, () => {
    test('a dead peer is found within ten seconds', async (context) => {
        const their = people(context, hasty);
        const room = newRoom();
        const [ann, ben] = [await their.join(room, 'Ann'), await their.join(room, 'Ben')];
        const heartbeat = setInterval(() => ann.sendText('{"type":"ping"}'), ann.welcome.heartbeat_ms);
        context.after(() => clearInterval(heartbeat));
        ben.socket._socket.pause(); // its machine is asleep: TCP is there, nobody answers
        const begin = Date.now();
        await ann.event('member_updated', ({ member }) => member.id === ben.member && member.away);
        const tookMs = Date.now() - begin;
        assert.ok(tookMs > 6000 && tookMs < 30000, `${tookMs} ms`); // 10 s on a machine that has time
        assert.equal((await ann.event('member_left')).reason, 'lost');
        await ann.settle();
    });

    test('a connection that never says hello is closed', async (context) => {
        const begin = Date.now();
        const client = await people(context).connect();
        assert.equal((await client.closed).code, 1008);
        assert.ok(Date.now() - begin > 8000);
    });

    test('a call that nobody takes ends', async (context) => {
        const their = people(context, hasty);
        const [ann, ben] = [await their.start(), await their.start()];
        await ben.request('register', { user: 'ben-who-sleeps' });
        const { timeout_ms } = await ann.request('call', { to: 'ben-who-sleeps', sdp: 'v=0\r\n' });
        assert.equal(timeout_ms, ringMs);
        for (const client of [ann, ben]) assert.equal((await client.event('call_ended')).reason, 'timeout');
    });
});

test('who sends too much is told to wait, and who does not listen is disconnected', async () => {
    const client = await NativeClient.start(server);
    for (let i = 0; i < 400; i++) client.send('update', { status: 'x' });
    await until('a refusal', () => client.messages.some(({ code }) => code === 'rate_limited'));
    await until('it may speak again', () => client.request('leave').then(() => false, ({ code }) => code === 'not_in_room'));
    // a flood that lasts: some of it passes all the time
    const flood = setInterval(() => {
        for (let i = 0; i < 20 && !client.closeResult; i++) client.send('update', { status: 'x' });
    }, 10);
    const timer = setTimeout(() => client.socket.terminate(), patienceMs);
    assert.equal((await client.closed).code, 1008);
    clearInterval(flood);
    clearTimeout(timer);
    assert.equal((await server.fetch('/healthz')).status, 200);
});

// --- tokens ---

test('tokens open doors, and only the right ones', async () => {
    await withServer({ 'auth.require_token': true, 'auth.clock_skew': '0s' }, async (closed) => {
        const client = await NativeClient.start(closed);
        const join = (token, room = 'hall') => client.request('join', { room, name: 'Ann', ...(token && { token }) });
        await refuses(join(), 'token_required');
        await refuses(client.request('register', { user: 'ann' }), 'token_required');
        await refuses(client.request('link', { link: 'x-y', name: 'Ann' }), 'token_required');
        await refuses(client.request('call', { to: 'ben', sdp: 'v=0' }), 'token_required');
        const claims = { room: 'hall', exp: nowS() + 60 };
        const wrong = {
            'no token': 'nonsense', 'an empty signature': `${jwt(claims).split('.').slice(0, 2).join('.')}.`,
            'another key': jwt(claims, { key: 'other' }),
            'no algorithm': jwt(claims, { header: { alg: 'none' } }),
            'another algorithm': jwt(claims, { header: { alg: 'HS512' } }),
            'another room': jwt({ ...claims, room: 'other' }), 'no room': jwt({ exp: nowS() + 60 }),
            'a changed claim': jwt(claims).replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ ...claims, moderator: true })).toString('base64url')}.`),
            'a room that is a number': jwt({ ...claims, room: 7 }), 'a time that is a text': jwt({ ...claims, exp: 'tomorrow' }),
            'not yet': jwt({ ...claims, nbf: nowS() + 60 }), 'a list': jwt([claims]),
        };
        for (const [what, token] of Object.entries(wrong))
            await refuses(join(token), 'token_invalid').catch((problem) => { throw new Error(`${what}: ${problem.message}`); });
        await refuses(join(jwt({ ...claims, exp: nowS() - 1 })), 'token_expired');
        await refuses(join(await mint('--room', 'other')), 'token_invalid');
        const short = await mint('--room', 'hall', '--valid', '1s');
        const { exp } = JSON.parse(Buffer.from(short.split('.')[1], 'base64url').toString());
        await until('its end', () => Date.now() / 1000 >= exp + 1);
        await refuses(join(short), 'token_expired');

        const moderated = await join(await mint('--room', 'hall', '--user', 'ann', '--name', 'Ann of the token', '--moderator'));
        assert.equal(moderated.members[0].name, 'Ann of the token');
        assert.equal(moderated.members[0].user, 'ann');
        await refuses(client.request('update', { name: 'Other' }), 'bad_request');
        const ben = await NativeClient.start(closed);
        const everywhere = await ben.request('join', { room: 'hall', name: 'Ben', token: await mint('--room', '*') });
        assert.deepEqual(everywhere.members.map(({ moderator }) => moderator), [true, false]);
        await client.request('lock', { locked: true });
        const cleo = await NativeClient.start(closed);
        await refuses(cleo.request('join', { room: 'hall', name: 'Cleo', token: jwt(claims) }), 'room_locked');
        await cleo.request('join', { room: 'hall', name: 'Cleo', token: jwt({ ...claims, moderator: true }) });
        for (const one of [client, ben, cleo]) await one.goodbye();
    });
});

test('a token vouches for a user, whose devices ring together', async (context) => {
    const their = people(context);
    const token = await mint('--user', 'dora');
    const [phone, laptop, ann] = [await their.start(), await their.start(), await their.start()];
    await refuses(phone.request('register', { user: 'someone', token }), 'token_invalid');
    await refuses(phone.request('register', { user: 'someone', password: 'no account has it' }), 'login_refused');
    for (const device of [phone, laptop]) await device.request('register', { user: 'dora', token });
    await refuses(ann.request('register', { user: 'dora' }), 'user_taken');
    const { call } = await ann.request('call', { to: 'dora', sdp: 'v=0\r\noffer' });
    for (const device of [phone, laptop]) assert.equal((await device.event('call_incoming')).call, call);
    await laptop.request('call_accept', { call, sdp: 'v=0\r\nanswer' });
    assert.equal((await phone.event('call_ended')).reason, 'elsewhere');
    const accepted = await ann.event('call_accepted');
    assert.deepEqual(accepted.by, { user: 'dora', name: 'dora', verified: true });
    await ann.request('call_hangup', { call });
    // one busy device takes itself out, a decline ends it everywhere
    const second = (await ann.request('call', { to: 'dora', sdp: 'v=0' })).call;
    await phone.request('call_reject', { call: second, reason: 'busy' });
    assert.equal(ann.pending('call_ended').length, 0);
    await laptop.request('call_reject', { call: second });
    assert.equal((await ann.event('call_ended')).reason, 'rejected');
});

// --- calls ---

/** Two registered users with names of their own. */
async function pair(context, at = server) {
    const their = people(context, at);
    const [ann, ben] = [await their.start(), await their.start()];
    const number = ++roomNumber;
    [ann.user, ben.user] = [`ann-${number}`, `ben-${number}`];
    for (const client of [ann, ben]) await client.request('register', { user: client.user, name: client.user.toUpperCase() });
    return [ann, ben, their];
}

/** An accepted call. */
async function talking(context, at = server) {
    const [ann, ben, their] = await pair(context, at);
    const { call } = await ann.request('call', { to: ben.user, sdp: 'v=0\r\noffer' });
    await ben.event('call_incoming');
    await ben.request('call_accept', { call, sdp: 'v=0\r\nanswer' });
    await ann.event('call_accepted');
    return [ann, ben, call, their];
}

test('a call rings, is accepted, carries candidates and offers, and ends', async (context) => {
    const [ann, ben] = await pair(context);
    const offer = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=é\r\n';
    const { call } = await ann.request('call', { to: ben.user, sdp: offer, media: 'audio' });
    const incoming = await ben.event('call_incoming');
    assert.deepEqual({ ...incoming, seq: 0 }, { seq: 0, type: 'call_incoming', call, from: { user: ann.user, name: ann.user.toUpperCase(), verified: false },
        to: ben.user, sdp: offer, media: 'audio', glare: false, timeout_ms: incoming.timeout_ms, again: false, taken: true });
    await ben.request('call_ringing', { call });
    assert.equal((await ann.event('call_ringing')).call, call);
    const candidate = { candidate: 'candidate:1 1 udp 2122260223 192.0.2.7 51000 typ host', sdpMid: '0', sdpMLineIndex: 0, usernameFragment: 'abcd' };
    await ann.request('call_candidate', { call, candidate });
    assert.deepEqual((await ben.event('call_candidate')).candidate, candidate);
    await ann.request('call_candidate', { call, candidate: null });
    assert.equal((await ben.event('call_candidate')).candidate, null);
    await ben.request('call_candidate', { call, candidate: { candidate: 'early', sdpMid: null, sdpMLineIndex: null } });
    await refuses(ann.request('call_accept', { call, sdp: 'v=0' }), 'call_state');
    await refuses(ann.request('call_offer', { call, sdp: 'v=0' }), 'call_state');
    await ben.request('call_accept', { call, sdp: 'v=0\r\nanswer' });
    const accepted = await ann.event('call_accepted');
    assert.equal(accepted.sdp, 'v=0\r\nanswer');
    const early = await ann.event('call_candidate');
    assert.equal(early.candidate.candidate, 'early');
    assert.ok(early.seq > accepted.seq);
    for (const [type, from, to] of [['call_offer', ann, ben], ['call_answer', ben, ann], ['call_offer', ben, ann], ['call_answer', ann, ben]]) {
        await from.request(type, { call, sdp: `v=0\r\n${type}` });
        assert.equal((await to.event(type)).sdp, `v=0\r\n${type}`);
    }
    await refuses(ann.request('call_answer', { call, sdp: 'v=0' }), 'call_state');
    await refuses(ben.request('call_ringing', { call }), 'call_state');
    await refuses(ben.request('call_reject', { call }), 'call_state');
    await ann.request('call_hangup', { call });
    assert.equal((await ben.event('call_ended')).reason, 'hangup');
    for (const [type, fields] of [['call_hangup', {}], ['call_candidate', { candidate: null }], ['call_offer', { sdp: 'v=0' }],
        ['call_answer', { sdp: 'v=0' }], ['call_accept', { sdp: 'v=0' }], ['call_reject', {}], ['call_cancel', {}], ['call_ringing', {}]])
        await refuses(ben.request(type, { call, ...fields }), 'no_such_call');
    assert.equal(ann.pending('call_ended').length, 0, 'who ends a call is not told of it');
});

test('what the other side cannot take within a call is refused, and the call goes on', async (context) => {
    const [ann] = await pair(context);
    const inbox = [];
    const peer = new WebSocket(`ws://127.0.0.1:${server.httpPort}/peerjs?key=peerjs&id=piet&token=own&version=1`);
    context.after(() => peer.terminate());
    peer.on('message', (data) => inbox.push(JSON.parse(data)));
    const hears = (wanted) => until(`it hears ${wanted}`, () => inbox.find(({ type }) => type === wanted));
    await hears('OPEN');
    const { call } = await ann.request('call', { to: 'piet', sdp: 'v=0\r\noffer' });
    const { src, payload: { connectionId } } = await hears('OFFER');
    peer.send(JSON.stringify({ type: 'ANSWER', dst: src, payload: { type: 'media', connectionId, sdp: { type: 'answer', sdp: 'v=0\r\nanswer' } } }));
    await ann.event('call_accepted');
    await refuses(ann.request('call_offer', { call, sdp: 'v=0\r\nmore' }), 'cannot_renegotiate');
    await ann.request('call_hangup', { call });
});

test('both offer within a call: one of them waits', async (context) => {
    const [ann, ben, call] = await talking(context);
    await ann.request('call_offer', { call, sdp: 'v=0\r\nann' });
    await refuses(ben.request('call_offer', { call, sdp: 'v=0\r\nben' }), 'negotiation_pending');
    await ben.event('call_offer');
    await ben.request('call_answer', { call, sdp: 'v=0' });
    await ben.request('call_offer', { call, sdp: 'v=0\r\nben' });
    assert.equal((await ann.event('call_offer')).sdp, 'v=0\r\nben');
});

test('a call is held, and handed on to somebody else', async (context) => {
    const [ann, ben, call, their] = await talking(context);
    const cleo = await their.start();
    cleo.user = `cleo-${roomNumber}`;
    await cleo.request('register', { user: cleo.user });
    await refuses(ann.request('call', { to: cleo.user, sdp: 'v=0' }), 'already_in_call');
    await ann.request('call_hold', { call, held: true });
    const said = ({ seq, again, taken, ...message }) => message;
    assert.deepEqual(said(await ben.event('call_held')), { type: 'call_held', call, held: true });
    await refuses(ann.request('call_transfer', { call, to: cleo.user }), 'cannot_transfer');
    await ben.request('register', { user: ben.user, transfers: true });
    await refuses(ann.request('call_transfer', { call, to: ben.user }), 'bad_request');
    await ann.request('call_transfer', { call, to: 'nobody-of-that-name' });
    const told = await ben.event('call_transfer');
    assert.deepEqual(said(told), { type: 'call_transfer', call, to: 'nobody-of-that-name' });
    await refuses(ben.request('call', { to: told.to, sdp: 'v=0', transfer: call }), 'user_unavailable');
    assert.deepEqual(said(await ann.event('call_transfer_failed')), { type: 'call_transfer_failed', call, reason: 'unavailable' });
    await ann.request('call_transfer', { call, to: cleo.user });
    await ben.event('call_transfer', ({ to }) => to === cleo.user);
    const { call: next } = await ben.request('call', { to: cleo.user, sdp: 'v=0', transfer: call });
    assert.equal((await cleo.event('call_incoming')).replaces, undefined);
    await cleo.request('call_accept', { call: next, sdp: 'v=0' });
    await ben.event('call_accepted');
    for (const client of [ann, ben]) assert.equal((await client.event('call_ended')).reason, 'transferred');
    await refuses(ann.request('call_hold', { call, held: false }), 'no_such_call');
    await ben.request('call_hangup', { call: next });
});

test('a call is rejected, cancelled, or finds its callee busy or gone', async (context) => {
    const [ann, ben, call, their] = await talking(context);
    const cleo = await their.start();
    await refuses(cleo.request('call', { to: ben.user, sdp: 'v=0' }), 'user_busy');
    await refuses(cleo.request('call', { to: 'nobody-at-all', sdp: 'v=0' }), 'user_unavailable');
    await refuses(ann.request('call', { to: 'cleo', sdp: 'v=0' }), 'already_in_call');
    await refuses(cleo.request('call_hangup', { call }), 'no_such_call');
    await ben.request('call_hangup', { call });
    assert.equal((await ann.event('call_ended')).reason, 'hangup');
    await refuses(ann.request('call', { to: ann.user, sdp: 'v=0' }), 'bad_request');

    const declined = (await cleo.request('call', { to: ben.user, sdp: 'v=0', name: 'Cleo' })).call;
    assert.deepEqual((await ben.event('call_incoming', (event) => event.call === declined)).from, { name: 'Cleo', verified: false });
    await ben.request('call_reject', { call: declined });
    assert.equal((await cleo.event('call_ended')).reason, 'rejected');
    const busy = (await cleo.request('call', { to: ben.user, sdp: 'v=0' })).call;
    await ben.request('call_reject', { call: busy, reason: 'busy' });
    assert.equal((await cleo.event('call_ended')).reason, 'busy');
    const cancelled = (await cleo.request('call', { to: ben.user, sdp: 'v=0' })).call;
    await refuses(ben.request('call_cancel', { call: cancelled }), 'call_state');
    await cleo.request('call_cancel', { call: cancelled });
    assert.equal((await ben.event('call_ended')).reason, 'cancelled');

    await ben.request('unregister');
    await refuses(ben.request('unregister'), 'not_registered');
    await refuses(ben.request('unlink'), 'not_registered');
    await refuses(cleo.request('call', { to: ben.user, sdp: 'v=0' }), 'user_unavailable');
});

test('two who call each other end in one call', async (context) => {
    const [ann, ben] = await pair(context); // ann's name sorts first
    const annCall = (await ann.request('call', { to: ben.user, sdp: 'v=0\r\nann' })).call;
    await refuses(ben.request('call', { to: ann.user, sdp: 'v=0\r\nben' }), 'glare');
    await ben.event('call_incoming');
    await ben.request('call_accept', { call: annCall, sdp: 'v=0' });
    await ann.event('call_accepted');
    await ann.request('call_hangup', { call: annCall });
    await ben.event('call_ended');
    // the other way around the call that came first gives way
    const benCall = (await ben.request('call', { to: ann.user, sdp: 'v=0\r\nben' })).call;
    const second = (await ann.request('call', { to: ben.user, sdp: 'v=0\r\nann' })).call;
    assert.deepEqual([await ben.event('call_ended')].map(({ call, reason }) => [call, reason]), [[benCall, 'glare']]);
    const incoming = await ben.event('call_incoming', ({ call }) => call === second);
    assert.equal(incoming.glare, true);
    await ben.request('call_accept', { call: second, sdp: 'v=0' });
    await ann.event('call_accepted');
});

test('a call survives a lost connection, and ends when its owner does not come back', async (context) => {
    const [ann, ben, call] = await talking(context);
    await ann.cut();
    assert.equal((await ben.event('call_peer')).away, true);
    await ben.request('call_candidate', { call, candidate: { candidate: 'while away' } });
    await ann.resume();
    assert.equal((await ben.event('call_peer')).away, false);
    assert.equal((await ann.event('call_candidate')).candidate.candidate, 'while away');
    const [lost, left] = await talking(context, hasty);
    await lost.cut();
    assert.equal((await left.event('call_peer')).away, true);
    assert.equal((await left.event('call_ended')).reason, 'lost');
});

test('a link brings two together without names', async (context) => {
    const their = people(context);
    const [ann, ben, cleo] = [await their.start(), await their.start(), await their.start()];
    const link = `k3v-${++roomNumber}`;
    assert.equal((await ann.request('link', { link, name: 'Ann' })).role, 'wait');
    assert.equal((await ann.request('link', { link, name: 'Ann' })).role, 'wait');
    assert.equal((await ben.request('link', { link, name: 'Ben' })).role, 'call');
    const { call } = await ben.request('call', { to: link, sdp: 'v=0' });
    const incoming = await ann.event('call_incoming');
    assert.deepEqual(incoming.from, { name: 'Ben', verified: false });
    assert.equal(incoming.to, link);
    await refuses(cleo.request('link', { link, name: 'Cleo' }), 'user_busy');
    await ann.request('call_accept', { call, sdp: 'v=0' });
    await ben.event('call_accepted');
    await ben.request('call_hangup', { call });
    await ann.request('unlink');
    assert.equal((await cleo.request('link', { link, name: 'Cleo' })).role, 'wait');
    // the user of that name comes
    const user = `late-${roomNumber}`;
    assert.equal((await ben.request('link', { link: user, name: 'Ben' })).role, 'wait');
    await ann.request('register', { user });
    assert.equal((await ben.event('link_ready')).link, user);
    await ben.request('call', { to: user, sdp: 'v=0' });
    await ann.event('call_incoming');
});

// --- media, as far as it is signaling ---

test('offers are answered, publications and slots told', async (context) => {
    const their = people(context);
    const room = newRoom();
    const [ann, ben] = [await their.join(room, 'Ann'), await their.join(room, 'Ben')];
    const result = await ann.request('offer', { sdp: makeOffer(['sendonly audio', 'sendonly video', 'recvonly audio', 'recvonly video']),
        tracks: [{ mid: '0', source: 'microphone' }, { mid: '1', source: 'camera', name: 'front', muted: true }] });
    assert.match(result.sdp, /^v=0\r\n/);
    assert.match(result.sdp, /a=ice-lite/);
    assert.equal(result.sdp.match(/^a=setup:passive/gm).length >= 1, true);
    assert.ok(result.sdp.match(/^a=candidate:/gm).length >= 1);
    assert.deepEqual(result.sdp.match(/^a=(sendonly|recvonly|sendrecv|inactive)/gm), ['a=recvonly', 'a=recvonly', 'a=sendonly', 'a=sendonly']);
    assert.deepEqual(result.publications.map(({ mid }) => mid), ['0', '1']);
    assert.deepEqual(result.slots, [{ mid: '2', kind: 'audio', pair: 0, track: null, member: null },
        { mid: '3', kind: 'video', pair: 0, track: null, member: null }]);
    const published = [await ben.event('track_published'), await ben.event('track_published')].map(({ track }) => track);
    assert.deepEqual(published.map((track) => [track.kind, track.source, track.muted, track.name, track.blocked, track.live]),
        [['audio', 'microphone', false, undefined, false, false], ['video', 'camera', true, 'front', false, false]]);
    assert.deepEqual(published.map(({ id }) => id), result.publications.map(({ track }) => track));
    const [microphone, camera] = published.map(({ id }) => id);

    await ann.request('mute', { track: camera, muted: false });
    assert.equal((await ben.event('track_updated')).track.muted, false);
    await refuses(ben.request('mute', { track: camera, muted: true }), 'no_such_track');
    await ann.request('block', { track: microphone, blocked: true });
    assert.equal((await ben.event('track_updated')).track.blocked, true);
    await ann.event('track_updated', ({ track }) => track.id === microphone && track.blocked);
    await refuses(ben.request('subscribe', { tracks: [camera, 'nothing'] }), 'no_such_track');
    await refuses(ben.request('unsubscribe', { tracks: ['nothing'] }), 'no_such_track');
    await ben.request('unsubscribe', { tracks: [camera] });
    await ben.request('subscribe', { tracks: [camera] });

    // a newcomer sees it all, and its slots are filled without another offer
    const cleo = await their.join(room, 'Cleo');
    assert.deepEqual(cleo.joined.tracks.map(({ id }) => id), [microphone, camera]);
    const { slots } = await cleo.request('offer', { sdp: makeOffer(['recvonly audio', 'recvonly video'], { ufrag: 'cleo' }) });
    const filled = new Map(slots.map((slot) => [slot.mid, slot.track]));
    for (const event of await cleo.event('slots', () => true, 500).then((one) => [one], () => []))
        for (const change of event.changes) filled.set(change.mid, change.track);
    assert.deepEqual([...filled], [['0', microphone], ['1', camera]]);
    await cleo.request('candidate', { candidate: { candidate: '', sdpMid: '0' } });
    await cleo.request('candidate', { candidate: null });

    await ann.request('leave');
    assert.deepEqual([(await cleo.event('track_unpublished')).track, (await cleo.event('track_unpublished')).track].sort(), [microphone, camera].sort());
    const { changes } = await cleo.event('slots', (event) => event.changes.some(({ track }) => track === null));
    assert.ok(changes.every(({ track, member }) => track === null && member === null));
});

test('more tracks than slots are told, and a second offer makes room', async (context) => {
    const their = people(context);
    const room = newRoom();
    const viewer = await their.join(room, 'viewer');
    await viewer.request('offer', { sdp: makeOffer(['recvonly video']) });
    for (const name of ['Ann', 'Ben']) {
        const client = await their.join(room, name);
        await client.request('offer', { sdp: makeOffer(['sendonly video', 'sendonly video'], { ufrag: name.padEnd(4, 'x') }), tracks: [{ mid: '0', source: 'camera' }, { mid: '1', source: 'screen' }] });
    }
    const { video } = await viewer.event('slots_needed', (event) => event.video >= 4);
    const { slots } = await viewer.request('offer', { sdp: makeOffer(Array(video).fill('recvonly video')) });
    assert.equal(slots.length, video);
    const tracks = new Map(slots.map(({ mid, track }) => [mid, track]));
    await viewer.settle();
    for (const event of viewer.pending('slots')) for (const change of event.changes) tracks.set(change.mid, change.track);
    assert.equal(new Set([...tracks.values()].filter(Boolean)).size, 4);
});

test('offers that cannot be answered are refused, and the next one is not', async (context) => {
    const ann = await people(context).join(newRoom(), 'Ann');
    const good = makeOffer(['sendonly audio']);
    const bad = ['v=0\r\n', 'v=0', good.replace(/a=fingerprint.*\r\n/, ''), good.replace(/a=ice-ufrag.*\r\n/, ''), good.replace('UDP/TLS/RTP/SAVPF', 'RTP/AVP'),
        good.replace('a=setup:actpass', 'a=setup:holdconn'), good.replace('a=rtcp-mux\r\n', ''), good.slice(0, 200), good.replace('m=audio', 'm=audio m')];
    for (const sdp of bad) await refuses(ann.request('offer', { sdp }), 'offer_invalid');
    await refuses(ann.request('offer', { sdp: makeOffer(['sendonly audio', 'sendonly video', 'sendonly video']) }), 'too_many_tracks');
    await ann.request('offer', { sdp: good });
    await ann.request('offer', { sdp: good, fresh: true });
});

test('what a token denies is refused', async (context) => {
    const room = newRoom();
    const token = await mint('--room', room, '--publish', 'camera', '--no-data', '--no-subscribe');
    const ann = await people(context).join(room, 'Ann', { token });
    await refuses(ann.request('offer', { sdp: makeOffer(['sendonly audio']), tracks: [{ mid: '0', source: 'microphone' }] }), 'not_permitted');
    await refuses(ann.request('chat', { text: 'Hi' }), 'not_permitted');
    await ann.request('offer', { sdp: makeOffer(['sendonly video']), tracks: [{ mid: '0', source: 'camera' }] });
});

test('who would disconnect a device that it has not is refused', async (context) => {
    const client = await people(context).start();
    await client.request('register', { user: 'lone' });
    await refuses(client.request('device_revoke', { device: 'none' }), 'no_such_device');
});

test('a full media server says so', async () => {
    await withServer({ 'media.max_sessions': 1 }, async (small) => {
        const [ann, ben] = [await NativeClient.join(small, 'a', 'Ann'), await NativeClient.join(small, 'a', 'Ben')];
        await ann.request('offer', { sdp: makeOffer(['sendonly audio']) });
        await refuses(ben.request('offer', { sdp: makeOffer(['sendonly audio']) }), 'media_full');
        await ann.request('leave');
        await until('what a member leaves is free for others', () => ben.request('offer', { sdp: makeOffer(['sendonly audio']) })
            .then(() => true, () => false));
        for (const client of [ann, ben]) await client.goodbye();
    });
});

test('a server that stops says so and closes with 1001', async () => {
    const stopping = await Server.start({ sanitized: true });
    const ann = await NativeClient.join(stopping, 'a', 'Ann');
    const stopped = stopping.stop();
    assert.match((await ann.event('server_closing')).message, /\.$/);
    assert.equal((await ann.closed).code, 1001);
    assert.deepEqual(await stopped, { status: 0, signal: null });
});

// --- the document ---

test('every request and every error code of the document was met', async () => {
    const codes = [...document.split('\n## Errors')[1].matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
    assert.ok(codes.length > 30);
    // a message beyond the limit does not reach the protocol: WebSocket closes with 1009
    const outOfReach = new Set(['too_large']);
    assert.deepEqual(codes.filter((code) => !NativeClient.codesSeen.has(code) && !outOfReach.has(code)), []);
    assert.deepEqual([...NativeClient.codesSeen].filter((code) => !codes.includes(code)), []);
});
