// The control API and tokens as an operator's own programs use them.
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { NativeClient, refuses } from '../support/native_client.mjs';
import { Server, runCommand } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const folder = mkdtempSync(join(tmpdir(), 'roost-control-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function withServer(context, set = {}, dataDir = undefined) {
    const server = await Server.start({ sanitized: true, set: { 'server.workers': 1, ...set }, dataDir });
    context.after(() => server.stop());
    const made = await runCommand(['token', '--admin', '--data', server.dataDir], { sanitized: true });
    server.admin = made.output.trim();
    return server;
}

/** A request of the control API; returns status and parsed body. */
async function ask(server, method, path, body, token = server.admin) {
    const response = await server.fetch(path, {
        method,
        headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), 'content-type': 'application/json' },
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = response.body;
    return { status: response.status, json: text.startsWith('{') ? JSON.parse(text) : undefined, text };
}

async function must(server, method, path, body) {
    const answer = await ask(server, method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.json;
}

const microphoneOffer = [
    'v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0', 'a=ice-ufrag:abcd', 'a=ice-pwd:abcdefghijklmnopqrstuvwx',
    `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`, 'a=setup:actpass',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'c=IN IP4 0.0.0.0', 'a=mid:0', 'a=sendonly', 'a=rtcp-mux', 'a=rtpmap:111 opus/48000/2', '',
].join('\r\n');
const offerOf = (source) => ({ sdp: microphoneOffer, tracks: [{ mid: '0', source }] });

describe('the control API', () => {
    test('moves a participant to another room with what it may do', async (context) => {
        const server = await withServer(context, { 'auth.require_token': true });
        const { token } = await must(server, 'POST', '/api/v1/tokens', { room: 'waiting', user: 'ada', publish: ['camera'] });
        const ada = await NativeClient.join(server, 'waiting', 'Ada', { token });
        context.after(() => ada.goodbye());
        const path = `/api/v1/rooms/waiting/participants/${ada.member}/move`;
        assert.equal((await ask(server, 'POST', path, { room: 'waiting' })).status, 400);
        await must(server, 'POST', path, { room: 'hall' });
        const moved = await ada.event('removed');
        assert.deepEqual([moved.reason, moved.room], ['moved', 'hall']);
        await refuses(ada.request('join', { room: 'elsewhere', name: 'Ada', token: moved.token }), 'token_invalid');
        const { self, members } = await ada.request('join', { room: 'hall', name: 'Ada', token: moved.token });
        assert.equal(members.find(({ id }) => id === self).user, 'ada');
        await refuses(ada.request('offer', offerOf('microphone')), 'not_permitted');
    });

    test('is for holders of an admin token only, but its document is for all', async (context) => {
        const server = await withServer(context);
        const document = await ask(server, 'GET', '/api/v1/openapi.json', undefined, null);
        assert.equal(document.status, 200);
        assert.equal(document.json.openapi, '3.1.0');
        const plain = (await runCommand(['token', '--room', '*', '--moderator', '--data', server.dataDir], { sanitized: true })).output.trim();
        for (const [path, item] of Object.entries(document.json.paths)) {
            for (const method of Object.keys(item).filter((key) => key !== 'parameters')) {
                if (path.endsWith('openapi.json')) continue;
                const filled = path.replace(/\{\w+\}/g, 'x');
                if (path.endsWith('/login')) { // it is how one comes by a token
                    assert.equal((await ask(server, 'POST', filled, {}, null)).status, 400);
                    assert.equal((await ask(server, 'POST', filled, { user: 'nobody', password: 'guessed' }, null)).status, 401);
                    continue;
                }
                assert.equal((await ask(server, method.toUpperCase(), filled, {}, null)).status, 401, `${method} ${path}`);
                assert.equal((await ask(server, method.toUpperCase(), filled, {}, 'a.b.c')).status, 401, `${method} ${path}`);
                assert.equal((await ask(server, method.toUpperCase(), filled, {}, plain)).status, 403, `${method} ${path}`);
            }
        }
    });

    test('makes, limits, shows and ends rooms', async (context) => {
        const server = await withServer(context, { 'rooms.auto_create': false });
        await refuses(NativeClient.join(server, 'demo', 'Ada'), 'no_such_room');
        const made = await must(server, 'POST', '/api/v1/rooms', { name: 'demo', max_participants: 1 });
        assert.deepEqual(made, { name: 'demo', participants: 0, hidden: 0, tracks: 0, max_participants: 1, max_hidden: 20000, locked: false, kept: true,
            loudest_audio: 5, playout_delay: null });
        assert.equal((await ask(server, 'POST', '/api/v1/rooms', { name: 'demo' })).status, 409);
        assert.equal((await ask(server, 'POST', '/api/v1/rooms', { name: 'a/b' })).status, 400);
        assert.equal((await ask(server, 'POST', '/api/v1/rooms', { name: 'b', colour: 'red' })).status, 400);
        const ada = await NativeClient.join(server, 'demo', 'Ada');
        context.after(() => ada.goodbye());
        await refuses(NativeClient.join(server, 'demo', 'Ben'), 'room_full');
        await must(server, 'PATCH', '/api/v1/rooms/demo', { max_participants: 2, locked: true });
        assert.ok((await ada.event('room_updated')).locked);
        await refuses(NativeClient.join(server, 'demo', 'Ben'), 'room_locked');
        const media = async (body) => {
            const { loudest_audio: voices, playout_delay: delay } = await must(server, 'PATCH', '/api/v1/rooms/demo', body);
            return [voices, delay];
        };
        assert.deepEqual(await media({ loudest_audio: 0, playout_delay: 250 }), [0, 250]);
        assert.deepEqual(await media({ locked: true }), [0, 250]);
        assert.deepEqual(await media({ loudest_audio: null, playout_delay: 0 }), [5, 0]);
        assert.deepEqual(await media({ playout_delay: null }), [5, null]);
        for (const wrong of [{ loudest_audio: -1 }, { loudest_audio: 257 }, { playout_delay: 10001 }, { playout_delay: 'none' }])
            assert.equal((await ask(server, 'PATCH', '/api/v1/rooms/demo', wrong)).status, 400);
        assert.equal((await must(server, 'GET', '/api/v1/rooms')).rooms[0].participants, 1);
        await must(server, 'DELETE', '/api/v1/rooms/demo?message=Bye.');
        assert.deepEqual({ ...(await ada.event('removed')), seq: 0, taken: 0, again: 0 }, { type: 'removed', reason: 'ended', message: 'Bye.', seq: 0, taken: 0, again: 0 });
        assert.equal((await ask(server, 'GET', '/api/v1/rooms/demo')).status, 404);
    });

    test('shows participants and tracks, mutes, changes grants, writes and removes', async (context) => {
        const server = await withServer(context);
        const ada = await NativeClient.join(server, 'demo', 'Ada');
        const ben = await NativeClient.join(server, 'demo', 'Ben');
        context.after(() => Promise.all([ada.goodbye(), ben.goodbye()]));
        const { publications: [{ track }] } = await ada.request('offer', offerOf('microphone'));
        const path = '/api/v1/rooms/demo';
        const [shown] = (await must(server, 'GET', `${path}/participants`)).participants;
        assert.equal(shown.id, ada.member);
        assert.equal(shown.tracks[0].source, 'microphone');
        assert.ok((await must(server, 'PATCH', `${path}/tracks/${track}`, { blocked: true })).blocked);
        assert.ok((await ben.event('track_updated')).track.blocked);
        assert.equal((await must(server, 'PATCH', `${path}/tracks/${track}`, { blocked: false })).blocked, false);
        await ben.event('track_updated', (event) => !event.track.blocked);
        // a grant that is taken away while she speaks
        await must(server, 'PATCH', `${path}/participants/${ada.member}`, { publish: ['camera'], data: false, name: 'Ada L.' });
        assert.ok((await ben.event('track_updated')).track.blocked);
        await refuses(ada.request('chat', { text: 'Hi' }), 'not_permitted');
        await must(server, 'PATCH', `${path}/participants/${ada.member}`, { publish: true, data: true });
        assert.ok(!(await ben.event('track_updated')).track.blocked);
        await must(server, 'POST', `${path}/messages`, { text: 'Five minutes left.', name: 'Host' });
        const chat = await ben.event('chat');
        assert.deepEqual([chat.from, chat.name, chat.text], ['server', 'Host', 'Five minutes left.']);
        assert.equal((await ask(server, 'POST', `${path}/messages`, { text: 'x', to: 'nobody' })).status, 404);
        await must(server, 'DELETE', `${path}/participants/${ben.member}?message=Enough.`);
        assert.equal((await ben.event('removed')).message, 'Enough.');
        assert.equal((await ask(server, 'GET', `${path}/participants/${ben.member}`)).status, 404);
    });
});

/** A server of the operator's: `handle(request, body)` says with which status it answers. */
async function listen(context, handle, port = 0) {
    const server = createServer((request, response) => {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => {
            const answer = handle(request, Buffer.concat(chunks).toString());
            const { status, body } = typeof answer === 'number' ? { status: answer, body: '' } : answer;
            if (status) response.writeHead(status, { 'content-type': 'application/json' }).end(body);
            else request.socket.destroy();
        });
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    context.after(() => { server.closeAllConnections(); server.close(); });
    return `http://127.0.0.1:${server.address().port}`;
}

describe('webhooks', () => {
    const secret = `whsec_${Buffer.from('a secret of the operator').toString('base64')}`;

    function check(request, body) {
        const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = request.headers;
        assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 60);
        const code = createHmac('sha256', Buffer.from(secret.slice(6), 'base64')).update(`${id}.${time}.${body}`).digest('base64');
        assert.equal(signature, `v1,${code}`);
        return { ...JSON.parse(body), header: id };
    }

    test('tell in order what happens, signed, and again when nobody listens', async (context) => {
        const events = [];
        let attempts = 0;
        const url = await listen(context, (request, body) => {
            const event = check(request, body);
            assert.equal(event.header, event.id);
            // the first ones fail: by status, and by a connection that breaks
            if (++attempts <= 2) return attempts === 1 ? 503 : 0;
            events.push(event);
            return 204;
        });
        const server = await withServer(context, { 'webhooks.urls': url, 'webhooks.secret': secret });
        const ada = await NativeClient.join(server, 'demo', 'Ada');
        await ada.request('offer', offerOf('microphone'));
        await ada.request('leave');
        await until('five events', () => events.length >= 5);
        assert.deepEqual(events.map(({ event }) => event), ['room_started', 'participant_joined', 'track_published', 'track_unpublished', 'participant_left']);
        assert.equal(events[1].participant.name, 'Ada');
        assert.equal(events[2].track.source, 'microphone');
        assert.equal(events[4].reason, 'left');
        assert.equal(events[4].room.name, 'demo');
        assert.equal(new Set(events.map(({ id }) => id)).size, 5);
        // our last answer may be on its way
        await until('the count of them', async () => (await server.metrics()).get('webhook_events_delivered_total') === 5);
        const metrics = await server.metrics();
        assert.equal(metrics.get('webhook_attempts_failed_total'), 2);
        assert.equal(metrics.get('webhook_events_waiting'), 0);
        await must(server, 'DELETE', '/api/v1/rooms/demo');
        await until('the sixth event', () => events.length >= 6);
        assert.equal(events[5].event, 'room_ended');
        await ada.goodbye();
    });

    test('are bounded: what does not fit is dropped and counted, a refusal is final', async (context) => {
        let refused = 0;
        const url = await listen(context, () => { refused++; return 410; });
        const server = await withServer(context, { 'webhooks.urls': url, 'webhooks.secret': secret });
        await must(server, 'POST', '/api/v1/rooms', { name: 'demo' });
        await until('the event', () => refused === 1);
        await until('the count', async () => (await server.metrics()).get('webhook_events_dropped_total{reason="refused"}') === 1);
        const deaf = await listen(context, () => 500);
        const full = await withServer(context, { 'webhooks.urls': deaf, 'webhooks.secret': secret, 'webhooks.max_queue': 3 });
        for (let i = 0; i < 5; i++) await must(full, 'POST', '/api/v1/rooms', { name: `room-${i}` });
        const metrics = await full.metrics();
        assert.equal(metrics.get('webhook_events_waiting'), 3);
        assert.equal(metrics.get('webhook_events_dropped_total{reason="queue_full"}'), 2);
        const small = await withServer(context, { 'webhooks.urls': deaf, 'webhooks.secret': secret, 'webhooks.max_queue_size': '64k' });
        for (let i = 0; i < 600; i++) await must(small, 'POST', '/api/v1/rooms', { name: `room-${i}` });
        const sizes = await small.metrics();
        assert.ok(sizes.get('webhook_events_dropped_total{reason="queue_full"}') > 0);
        assert.ok(sizes.get('webhook_events_waiting_bytes') <= 65536);
    });

    /** A server that wrote all its `count` events down, with nobody to give them to. */
    async function withUndelivered(context, settings, dataDir) {
        const server = await withServer(context, settings, dataDir);
        const ada = await NativeClient.join(server, 'demo', 'Ada');
        await ada.request('offer', offerOf('microphone'));
        await ada.request('leave');
        await ada.goodbye();
        await until('the events on the disk', async () => (await server.metrics()).get('webhook_events_stored') === 5);
        return server;
    }

    test('survive kill -9: the next process delivers them in order, then its own', async (context) => {
        const dataDir = mkdtempSync(join(folder, 'data-'));
        // an address where nobody listens yet
        const placeholder = createServer().listen(0, '127.0.0.1');
        await once(placeholder, 'listening');
        const { port } = placeholder.address();
        await new Promise((resolve) => placeholder.close(resolve));
        const settings = { 'webhooks.urls': `http://127.0.0.1:${port}`, 'webhooks.secret': secret };
        const killed = await withUndelivered(context, settings, dataDir);
        assert.equal(statSync(join(dataDir, 'webhooks.db')).mode & 0o777, 0o600);
        killed.signal('SIGKILL');
        await until('its end', () => killed.exit);
        const events = [];
        await listen(context, (request, body) => { events.push(check(request, body)); return 204; }, port);
        const next = await withServer(context, settings, dataDir);
        const ben = await NativeClient.join(next, 'demo', 'Ben');
        await until('all events', () => events.length >= 7);
        assert.deepEqual(events.map(({ event }) => event), ['room_started', 'participant_joined', 'track_published', 'track_unpublished',
            'participant_left', 'room_started', 'participant_joined']);
        assert.equal(events[1].participant.name, 'Ada');
        assert.equal(events[6].participant.name, 'Ben');
        assert.equal(new Set(events.map(({ id }) => id)).size, 7);
        for (const { header, id } of events) assert.equal(header, id);
        await until('an empty file', async () => (await next.metrics()).get('webhook_events_stored') === 0);
        assert.equal((await next.metrics()).get('webhook_events_waiting_bytes'), 0);
        await ben.goodbye();
    });

    test('are kept by an ordinary end too, and dropped when their address is no more', async (context) => {
        const dataDir = mkdtempSync(join(folder, 'data-'));
        const deaf = await listen(context, () => 503);
        const settings = { 'webhooks.urls': deaf, 'webhooks.secret': secret };
        const first = await withUndelivered(context, settings, dataDir);
        await NativeClient.join(first, 'demo', 'Ben');
        await first.stop();
        const second = await withServer(context, settings, dataDir);
        // with what its end made: Ben had to leave
        assert.equal((await second.metrics()).get('webhook_events_waiting'), 7);
        await second.stop();
        const other = await withServer(context, { ...settings, 'webhooks.urls': 'http://127.0.0.1:9/' }, dataDir);
        const metrics = await other.metrics();
        assert.equal(metrics.get('webhook_events_waiting'), 0);
        assert.equal(metrics.get('webhook_events_dropped_total{reason="no_address"}'), 7);
        await until('an empty file', async () => (await other.metrics()).get('webhook_events_stored') === 0);
    });

    test('need a secret', async () => {
        const { status, output } = await runCommand(['check', '--set', 'webhooks.urls=http://127.0.0.1:1/'], { sanitized: true });
        assert.equal(status, 3);
        assert.match(output, /webhooks\.secret is needed/);
    });
});

describe('tokens', () => {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const keys = {
        RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
        ES256: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
        EdDSA: generateKeyPairSync('ed25519'),
    };
    function signed(alg, claims, { key = keys[alg].privateKey, kid = alg } = {}) {
        const text = `${part({ alg, kid, typ: 'JWT' })}.${part({ exp: Math.floor(Date.now() / 1000) + 60, ...claims })}`;
        const signature = sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
        return `${text}.${signature.toString('base64url')}`;
    }
    const keySet = { keys: Object.entries(keys).map(([kid, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' })) };
    const keyFile = join(folder, 'keys.json');
    writeFileSync(keyFile, JSON.stringify(keySet));

    test('of another signer are good with its keys, issuer and audience', async (context) => {
        const server = await withServer(context, { 'auth.require_token': true, 'auth.keys': keyFile, 'auth.issuer': 'idp' });
        for (const alg of Object.keys(keys)) {
            const client = await NativeClient.join(server, 'demo', 'Me', { token: signed(alg, { iss: 'idp', room: 'de*', sub: 'ada' }) });
            assert.equal(client.joined.members.find(({ id }) => id === client.member).user, 'ada');
            await client.goodbye();
            await refuses(NativeClient.join(server, 'demo', 'Me', { token: signed(alg, { room: 'demo' }) }), 'token_invalid');
            await refuses(NativeClient.join(server, 'demo', 'Me', { token: signed(alg, { iss: 'idp', room: 'demo', exp: 1000 }) }), 'token_expired');
            const other = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'prime256v1' }) : keys[alg];
            if (other !== keys[alg])
                await refuses(NativeClient.join(server, 'demo', 'Me', { token: signed(alg, { iss: 'idp', room: 'demo' }, { key: other.privateKey }) }), 'token_invalid');
        }
    });

    test('of an identity provider are good with the keys of its address', async (context) => {
        let served = { keys: keySet.keys.slice(0, 1) };
        let asked = 0;
        const url = await listen(context, () => {
            asked++;
            return served ? { status: 200, body: JSON.stringify(served) } : 500;
        });
        const server = await withServer(context, { 'auth.require_token': true, 'auth.jwks_url': `${url}/jwks`, 'auth.audience': 'roost' });
        await until('the keys', async () => (await server.metrics()).get('jwks_keys') === 1);
        const claims = { aud: ['x', 'roost'], room: 'demo', admin: true };
        const join = async (token) => (await NativeClient.join(server, 'demo', 'Me', { token })).goodbye();
        await join(signed('RS256', claims));
        await refuses(join(signed('RS256', { room: 'demo' })), 'token_invalid');
        // nobody becomes an operator by the word of an identity provider
        assert.equal((await ask(server, 'GET', '/api/v1/rooms', undefined, signed('RS256', claims))).status, 403);
        // a key that is not known yet: not asked for again so soon, however many tokens name one
        for (let i = 0; i < 5; i++) await refuses(join(signed('ES256', claims, { kid: `new-${i}` })), 'token_invalid');
        assert.equal(asked, 1);
        assert.equal((await server.metrics()).get('jwks_fetches_limited_total'), 5);
        // the provider is down: what was fetched stays good
        served = null;
        await join(signed('RS256', claims));
    });

    test('wait for keys that are being fetched', async (context) => {
        let held = null;
        const server = createServer((request, response) => { held = response; }).listen(0, '127.0.0.1');
        await once(server, 'listening');
        context.after(() => { server.closeAllConnections(); server.close(); });
        const roost = await withServer(context, { 'auth.require_token': true, 'auth.jwks_url': `http://127.0.0.1:${server.address().port}/` });
        await until('the fetch', () => held);
        const client = await NativeClient.start(roost);
        context.after(() => client.goodbye());
        const id = client.send('join', { room: 'demo', name: 'Me', token: signed('EdDSA', { room: 'demo' }) });
        await client.settle();
        held.writeHead(200).end(JSON.stringify(keySet));
        assert.equal((await client.reply(id)).result.room, 'demo');
    });

    test('grant sources one by one', async (context) => {
        const server = await withServer(context, { 'auth.require_token': true });
        const { token } = await must(server, 'POST', '/api/v1/tokens', { room: 'demo', publish: ['camera'], data: false });
        const ada = await NativeClient.join(server, 'demo', 'Ada', { token });
        context.after(() => ada.goodbye());
        const refused = await refuses(ada.request('offer', offerOf('microphone')), 'not_permitted');
        assert.match(refused.sentence, /microphone/);
        await refuses(ada.request('chat', { text: 'Hi' }), 'not_permitted');
        const hidden = await must(server, 'POST', '/api/v1/tokens', { room: 'demo', hidden: true });
        const ghost = await NativeClient.join(server, 'demo', 'Ghost', { token: hidden.token });
        context.after(() => ghost.goodbye());
        await ada.settle();
        assert.equal(ada.pending('member_joined').length, 0);
        const { participants: visible, hidden: unseen } = await must(server, 'GET', '/api/v1/rooms/demo');
        assert.deepEqual([visible, unseen], [1, 1]);
        const names = async (query) => (await must(server, 'GET', `/api/v1/rooms/demo/participants${query}`)).participants.map(({ name }) => name);
        assert.deepEqual(await names(''), ['Ada', 'Ghost']);
        assert.deepEqual(await names('?hidden=false'), ['Ada']);
    });

    test('are revoked for those who are in, too, and after a restart', async (context) => {
        const dataDir = mkdtempSync(join(folder, 'data-'));
        const first = await withServer(context, { 'auth.require_token': true }, dataDir);
        const one = await must(first, 'POST', '/api/v1/tokens', { room: 'demo', user: 'ada', jti: 'one' });
        const two = await must(first, 'POST', '/api/v1/tokens', { room: 'demo', user: 'ben', jti: 'two' });
        const ada = await NativeClient.join(first, 'demo', 'Ada', { token: one.token });
        const ben = await NativeClient.join(first, 'demo', 'Ben', { token: two.token });
        await must(first, 'POST', '/api/v1/revocations', { jti: 'one' });
        assert.match((await ada.event('removed')).message, /revoked/);
        await refuses(NativeClient.join(first, 'demo', 'Ada', { token: one.token }), 'token_invalid');
        await ben.settle();
        assert.equal(ben.pending('removed').length, 0);
        await must(first, 'POST', '/api/v1/revocations', { user: 'ben' });
        await ben.event('removed');
        assert.equal((await ask(first, 'POST', '/api/v1/revocations', { jti: 'a', user: 'b' })).status, 400);
        await Promise.all([ada.goodbye(), ben.goodbye()]);
        await first.stop();
        const again = await withServer(context, { 'auth.require_token': true }, dataDir);
        await refuses(NativeClient.join(again, 'demo', 'Ada', { token: one.token }), 'token_invalid');
        await refuses(NativeClient.join(again, 'demo', 'Ben', { token: two.token }), 'token_invalid');
        await must(again, 'DELETE', '/api/v1/revocations?jti=one');
        const back = await NativeClient.join(again, 'demo', 'Ada', { token: one.token });
        await back.goodbye();
        assert.equal((await ask(again, 'DELETE', '/api/v1/revocations?jti=one')).status, 404);
    });
});

describe('admission by the operator\'s own server', () => {
    const secret = 'a secret between two';
    const settings = (url) => ({ 'auth.mode': 'webhook', 'auth.webhook_url': url, 'auth.webhook_secret': secret, 'auth.webhook_timeout': '1m' });

    test('is asked with a signature, and grants or refuses', async (context) => {
        const questions = [];
        const url = await listen(context, (request, body) => {
            const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = request.headers;
            assert.equal(signature, `v1,${createHmac('sha256', secret).update(`${id}.${time}.${body}`).digest('base64')}`);
            const question = JSON.parse(body);
            questions.push(question);
            if (question.name === 'Mallory') return { status: 200, body: JSON.stringify({ allow: false, message: 'Pay first.' }) };
            return { status: 200, body: JSON.stringify({ allow: true, user: 'ada', name: 'Ada L.', publish: ['camera'], admin: true }) };
        });
        const server = await withServer(context, settings(url));
        const ada = await NativeClient.join(server, 'demo', 'whoever', { token: 'a ticket' });
        context.after(() => ada.goodbye());
        assert.equal(questions[0].type, 'join');
        assert.equal(questions[0].room, 'demo');
        assert.equal(questions[0].token, 'a ticket');
        assert.equal(questions[0].address, '127.0.0.1');
        const self = ada.joined.members.find(({ id }) => id === ada.member);
        assert.deepEqual([self.name, self.user], ['Ada L.', 'ada']);
        await refuses(ada.request('offer', offerOf('microphone')), 'not_permitted');
        const refused = await refuses(NativeClient.join(server, 'demo', 'Mallory'), 'not_permitted');
        assert.equal(refused.sentence, 'Pay first.');
        assert.equal((await server.metrics()).get('admission_answers_total{answer="allowed"}'), 1);
    });

    test('lets nobody in while it fails', async (context) => {
        const answers = [500, 204, 0, { status: 200, body: '' }, { status: 200, body: '{}' }, { status: 200, body: '[true]' },
            { status: 200, body: '{"allow":"yes"}' }, { status: 200, body: '{"allow":true,"subscribe":"no"}' }, { status: 302, body: '' },
            { status: 200, body: `{"allow":true,"x":"${'x'.repeat(20000)}"}` }, { status: 200, body: '{"allow":true,"exp":1}' }];
        const url = await listen(context, () => answers[0]);
        const server = await withServer(context, settings(url));
        while (answers.length) {
            await refuses(NativeClient.join(server, 'demo', 'Ada'), 'server_full');
            answers.shift();
        }
        const nowhere = await withServer(context, settings('http://127.0.0.1:1/'));
        await refuses(NativeClient.join(nowhere, 'demo', 'Ada'), 'server_full');
        await refuses(NativeClient.start(nowhere).then((client) => client.request('register', { user: 'ada', name: 'Ada' })), 'server_full');
    });

    test('may take its time: one question at a time, and others go on', async (context) => {
        const waiting = [];
        const server = createServer((request, response) => {
            request.resume().on('end', () => waiting.push(response));
        }).listen(0, '127.0.0.1');
        await once(server, 'listening');
        context.after(() => { server.closeAllConnections(); server.close(); });
        const roost = await withServer(context, settings(`http://127.0.0.1:${server.address().port}/`));
        const ada = await NativeClient.start(roost);
        const first = ada.send('join', { room: 'demo', name: 'Ada' });
        await until('the question', () => waiting.length === 1);
        await refuses(ada.request('join', { room: 'demo', name: 'Ada' }), 'bad_request');
        await ada.settle();
        // the answer comes while she is away, and waits for her
        await ada.cut();
        waiting[0].writeHead(200).end('{"allow":true}');
        await until('the answer', async () => (await roost.metrics()).get('admission_answers_total{answer="allowed"}') === 1);
        await ada.resume();
        assert.equal((await ada.reply(first)).result.room, 'demo');
        // one who is gone is no longer let in
        const ben = await NativeClient.start(roost);
        ben.send('join', { room: 'demo', name: 'Ben' });
        await until('the second question', () => waiting.length === 2);
        await ben.goodbye();
        waiting[1].writeHead(200).end('{"allow":true}');
        await until('the second answer', async () => (await roost.metrics()).get('admission_answers_total{answer="allowed"}') === 2);
        assert.equal((await must(roost, 'GET', '/api/v1/rooms/demo')).participants, 1);
        await ada.goodbye();
    });
});
