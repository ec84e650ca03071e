// WHIP (RFC 9725) and WHEP, rule by rule, over plain HTTP; OBS's habits with libdatachannel.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { after, before, test } from 'node:test';

import nodeDataChannel from 'node-datachannel';

import { runCommand, Server } from '../support/server.mjs';
import { attribute, decode, encode, method } from '../support/stun_client.mjs';
import { until } from '../support/until.mjs';
import * as whip from '../support/whip.mjs';
import { WhipPublisher } from '../support/whip_publisher.mjs';

const { fragment, offer, PWD } = whip;
let server, guarded;
before(async () => {
    server = await Server.start({ sanitized: true, set: { 'server.workers': 2, 'whip.path_timeout': '5s', 'whip.max_sessions': 20 } });
    guarded = await Server.start({ sanitized: true, set: { 'auth.require_token': true } });
});
after(async () => {
    nodeDataChannel.cleanup();
    for (const one of [server, guarded]) assert.deepEqual(await one?.stop(), { status: 0, signal: null });
    setTimeout(() => process.exit(), 500).unref();
});

const call = (path, method, { at = server, ...rest } = {}) => whip.call(at, path, method, rest);
const post = (path, body = offer(), { at = server, ...rest } = {}) => whip.post(at, path, body, rest);
const patch = (path, ...rest) => whip.patch(server, path, ...rest);

test('POST answers 201 with answer, Location, ETag and ICE servers; DELETE ends it with 200', async () => {
    const created = await post('/whip/rules/ann');
    assert.equal(created.status, 201);
    assert.equal(created.headers.get('content-type'), 'application/sdp');
    const answer = await created.text();
    assert.match(answer, /a=recvonly/);
    assert.match(answer, /a=setup:passive/);
    const location = created.headers.get('location');
    assert.match(location, /^\/whip-session\/\w{32}$/);
    assert.match(created.headers.get('etag'), /^"[^"]+"$/);
    assert.match(created.headers.get('link'), /<(stun|turn):[^>]+>; rel="ice-server"/);
    assert.equal((await call(location, 'DELETE')).status, 200);
    assert.equal((await call(location, 'DELETE')).status, 404);
});

test('what is no offer is refused, and says why', async () => {
    assert.equal((await post('/whip/rules', offer(), { type: 'text/plain' })).status, 415);
    for (const [path, body] of [['/whip/rules', 'hello'], ['/whip/rules', ''], ['/whip/rules', offer('recvonly')]]) {
        const refused = await post(path, body);
        assert.equal(refused.status, 400, body);
        assert.ok((await refused.text()).length > 20);
    }
    assert.equal((await post(`/whip/${'x'.repeat(65)}`)).status, 404);
});

test('OPTIONS, HEAD and GET tell what the endpoint takes', async () => {
    const options = await call('/whip/rules', 'OPTIONS');
    assert.equal(options.status, 204);
    assert.equal(options.headers.get('accept-post'), 'application/sdp');
    assert.match(options.headers.get('link'), /rel="ice-server"/);
    const preflight = await call('/whip/rules', 'OPTIONS', { fields: { Origin: 'https://example.com', 'Access-Control-Request-Method': 'POST' } });
    assert.match(preflight.headers.get('access-control-allow-methods'), /POST.*PATCH.*DELETE/);
    assert.match(preflight.headers.get('access-control-allow-headers'), /Authorization.*Content-Type.*If-Match/);
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
    const head = await call('/whep/rules', 'HEAD');
    assert.deepEqual([head.status, head.headers.get('content-type')], [200, 'application/sdp']);
    const get = await call('/whip/rules', 'GET');
    assert.deepEqual([get.status, await get.text()], [204, '']);
});

test('PATCH: trickle 204, restart 200 with a new ETag, 428, 412, 415, 400', async () => {
    const created = await post('/whip/rules/patch');
    const [location, etag] = [created.headers.get('location'), created.headers.get('etag')];
    assert.equal((await patch(location, fragment('abcd'))).status, 428);
    assert.equal((await patch(location, fragment('abcd'), { 'If-Match': '"another"' })).status, 412);
    assert.equal((await patch(location, fragment('abcd'), { 'If-Match': etag }, 'application/json')).status, 415);
    assert.equal((await patch(location, 'no fragment', { 'If-Match': etag })).status, 400);
    assert.equal((await patch(location, 'a=ice-ufrag:half\r\n', { 'If-Match': etag })).status, 400);
    const trickle = await patch(location, fragment('abcd'), { 'If-Match': etag });
    assert.deepEqual([trickle.status, trickle.headers.get('etag')], [204, null]);

    const restart = await patch(location, fragment('efgh', `${PWD}2`), { 'If-Match': '*' });
    assert.equal(restart.status, 200);
    assert.equal(restart.headers.get('content-type'), 'application/trickle-ice-sdpfrag');
    const renewed = restart.headers.get('etag');
    assert.notEqual(renewed, etag);
    const ours = await restart.text();
    assert.equal(`"${/a=ice-ufrag:(.*)\r/.exec(ours)[1]}"`, renewed);
    assert.match(ours, /a=ice-pwd:/);
    // the credentials of before are another session's now
    assert.equal((await patch(location, fragment('efgh', `${PWD}2`), { 'If-Match': etag })).status, 412);
    assert.equal((await patch(location, fragment('efgh', `${PWD}2`), { 'If-Match': renewed })).status, 204);
    assert.equal((await call(location, 'DELETE')).status, 200);
    assert.equal((await patch(location, fragment('abcd'), { 'If-Match': '*' })).status, 404);
});

test('WHEP answers 409 with Retry-After while nothing is live', async () => {
    const refused = await post('/whep/empty', offer('recvonly'));
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [409, '2']);
});

test('a session whose client never comes ends by itself', async () => {
    const created = await post('/whip/rules/ghost');
    assert.equal(created.status, 201);
    const location = created.headers.get('location');
    await until('it has ended', async () => (await patch(location, fragment('abcd'), { 'If-Match': '*' })).status === 404);
});

test('more sessions than whip.max_sessions are told to come back', async () => {
    const all = await Promise.all(Array.from({ length: 30 }, (_, i) => post(`/whip/crowd/p${i}`, offer('sendonly', { ufrag: `ufrag${i}` }))));
    const [made, refused] = [201, 503].map((wanted) => all.filter(({ status }) => status === wanted));
    assert.deepEqual([made.length, refused.length], [20, 10]);
    assert.ok(refused.every(({ headers }) => headers.get('retry-after')));
    for (const created of made) assert.equal((await call(created.headers.get('location'), 'DELETE')).status, 200);
});

test('tokens decide who publishes and who watches, and where', async () => {
    const token = async (...args) => {
        const { status, output } = await runCommand(['token', '--data', guarded.dataDir, ...args], { sanitized: true });
        assert.equal(status, 0, output);
        return output.split('\n').find((line) => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(line.trim())).trim();
    };
    const status = async (path, bearer) => (await post(path, offer(path.startsWith('/whip') ? 'sendonly' : 'recvonly'),
        { at: guarded, fields: bearer ? { Authorization: `Bearer ${bearer}` } : {} })).status;
    const good = await token('--room', 'stage', '--user', 'ann');
    assert.equal(await status('/whip/stage'), 401);
    assert.equal(await status('/whip/stage', 'no.good.token'), 401);
    assert.equal(await status('/whip/other', good), 403);
    assert.equal(await status('/whip/stage', good), 201);
    assert.equal(await status('/whep/stage'), 401);
    assert.equal(await status('/whep/stage', good), 409);
    const refused = await post('/whip/stage', offer(), { at: guarded });
    assert.equal(refused.headers.get('www-authenticate'), 'Bearer');
});

test('a publisher with the habits of OBS goes live: libdatachannel, no PATCH, candidates after the answer', async () => {
    const publisher = await WhipPublisher.start(server, '/whip/obs');
    await until('viewers are let in', async () => (await post('/whep/obs', offer('recvonly'))).status === 201);
    // nobody takes the place of who is live
    assert.equal((await post('/whip/obs')).status, 409);
    assert.equal((await post('/whip/obs/second')).status, 201);
    assert.equal(await publisher.stop(), 200);
});

const USE_CANDIDATE = 0x0025;

/** What the WHIP muxer of ffmpeg 8 sends (libavformat/whip.c): it waits for the server to begin DTLS. */
const FFMPEG_OFFER = `${['v=0', 'o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1', 's=FFmpegPublishSession', 't=0 0', 'a=group:BUNDLE 0 1', 'a=extmap-allow-mixed',
    'a=msid-semantic: WMS', ...[['audio', 0, 111, ['a=rtpmap:111 opus/48000/2']],
        ['video', 1, 106, ['a=rtcp-rsize', 'a=rtpmap:106 H264/90000', 'a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42c01f']]]
        .flatMap(([kind, mid, type, lines]) => [`m=${kind} 9 UDP/TLS/RTP/SAVPF ${type}`, 'c=IN IP4 0.0.0.0', 'a=ice-ufrag:1f2e3d4c',
            'a=ice-pwd:0123456789abcdef0123456789abcdef', `a=fingerprint:sha-256 ${Array(32).fill('EE').join(':')}`, 'a=setup:passive', `a=mid:${mid}`,
            'a=sendonly', `a=msid:FFmpeg ${kind}`, 'a=rtcp-mux', ...lines, `a=ssrc:${4267647086 + mid} cname:FFmpeg`,
            `a=ssrc:${4267647086 + mid} msid:FFmpeg ${kind}`])].join('\r\n')}\r\n`;

test('the offer of ffmpeg is answered in the form that ffmpeg reads', async () => {
    const created = await post('/whip/ffmpeg', FFMPEG_OFFER);
    assert.equal(created.status, 201);
    const lines = (await created.text()).split('\r\n');
    assert.equal(lines.filter((line) => line === 'a=setup:active').length, 2);
    assert.equal(lines.filter((line) => line === 'a=recvonly').length, 2);
    // it takes the first candidate, and reads no other than this form
    const [, port] = /^a=candidate:\S+ 1 udp \d+ \d+\.\d+\.\d+\.\d+ (\d+) typ host/.exec(lines.find((line) => line.startsWith('a=candidate:')));
    // its check has neither a priority nor a role, and it waits for the ClientHello that follows
    const value = (name) => lines.find((line) => line.startsWith(`a=${name}:`)).slice(name.length + 3);
    const socket = createSocket('udp4');
    const datagrams = [];
    socket.on('message', (datagram) => datagrams.push(datagram));
    const check = encode({ of: method.binding, attributes: [[attribute.username, Buffer.from(`${value('ice-ufrag')}:1f2e3d4c`)], [USE_CANDIDATE, Buffer.alloc(0)]],
        key: value('ice-pwd') });
    socket.send(check, Number(port), '127.0.0.1');
    const isAnswer = (datagram) => decode(datagram)?.kind === 'success';
    const isClientHello = (datagram) => datagram[0] === 22 && datagram[13] === 1;
    await until('the check is answered, and DTLS begun', () => datagrams.some(isAnswer) && datagrams.some(isClientHello));
    assert.ok(datagrams.findIndex(isAnswer) < datagrams.findIndex(isClientHello));
    socket.close();
    assert.equal((await call(created.headers.get('location'), 'DELETE')).status, 200);
});
