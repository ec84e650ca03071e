// WHIP and WHEP: who may, from where, under which name, how often; and what does not belong there.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { NativeClient } from '../support/native_client.mjs';
import { Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';
import { call, fragment, offer, ownAddress, patch, post, postTo } from '../support/whip.mjs';

/** A server that ends with its test. */
async function withServer(context, set = {}) {
    const server = await Server.start({ sanitized: true, set });
    context.after(async () => assert.deepEqual(await server.stop(), { status: 0, signal: null }));
    return server;
}

const preflight = (server, path, origin) => call(server, path, 'OPTIONS', { fields: { Origin: origin, 'Access-Control-Request-Method': 'POST' } });
const exposed = (response) => response.headers.get('access-control-expose-headers')?.split(', ') ?? [];

test('pages of every origin may read all that they need', async (context) => {
    const server = await withServer(context);
    const created = await post(server, '/whip/cors/ann', offer(), { fields: { Origin: 'https://example.com' } });
    assert.equal(created.status, 201);
    assert.equal(created.headers.get('access-control-allow-origin'), '*');
    assert.deepEqual(exposed(created), ['Location', 'Link', 'ETag', 'Accept-Post', 'Accept-Patch', 'Retry-After']);
    assert.equal(created.headers.get('accept-patch'), 'application/trickle-ice-sdpfrag');
    const ofSession = await preflight(server, created.headers.get('location'), 'https://example.com');
    assert.equal(ofSession.status, 204);
    assert.match(ofSession.headers.get('access-control-allow-methods'), /PATCH.*DELETE/);
    assert.match(ofSession.headers.get('access-control-allow-headers'), /If-Match/);
    const refused = await post(server, '/whep/nobody', undefined, { fields: { Origin: 'https://example.com' } });
    assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [409, '*']);
});

test('whip.allowed_origins keeps pages of other sites out', async (context) => {
    const server = await withServer(context, { 'whip.allowed_origins': 'https://www.example.com, https://tv.example.com' });
    for (const [origin, allowed] of [['https://www.example.com', true], ['https://TV.example.com', true], ['https://example.com', false],
        ['https://www.example.com.evil.example', false], ['null', false]]) {
        for (const path of ['/whip/cors', '/whep/cors', '/whip-session/none']) {
            const answer = await preflight(server, path, origin);
            assert.equal(answer.headers.get('access-control-allow-origin'), allowed ? origin : null, `${origin} ${path}`);
            assert.equal(answer.headers.get('vary'), 'Origin');
        }
    }
    // what is no page has no origin
    assert.equal((await post(server, '/whip/cors')).status, 201);
});

test('a name has one publisher: a live one stays, one without a path makes room', async (context) => {
    const server = await withServer(context, { 'whip.path_timeout': '1h' });
    const first = await post(server, '/whip/stage/ann');
    const second = await post(server, '/whip/stage/ann', offer('sendonly', { ufrag: 'other' }));
    assert.deepEqual([first.status, second.status], [201, 201]);
    assert.equal((await patch(server, first.headers.get('location'), fragment('abcd'), { 'If-Match': '*' })).status, 404);
    assert.equal((await patch(server, second.headers.get('location'), fragment('other'), { 'If-Match': '*' })).status, 204);
    assert.equal((await post(server, '/whip/stage/ben')).status, 201);
    assert.equal((await post(server, '/whip/other/ann')).status, 201);
    const metrics = await server.metrics();
    assert.equal(metrics.get('whip_replaced_total'), 1);
    assert.equal(metrics.get('whip_sessions{kind="whip"}'), 3);
});

test('whip.same_name = refuse answers 409, replace ends the other one', async (context) => {
    const strict = await withServer(context, { 'whip.same_name': 'refuse' });
    assert.equal((await post(strict, '/whip/stage')).status, 201);
    const refused = await post(strict, '/whip/stage');
    assert.equal(refused.status, 409);
    assert.ok(refused.headers.get('retry-after'));
    assert.match(await refused.text(), /name/);
    assert.equal((await strict.metrics()).get('whip_refused_total{reason="name"}'), 1);
    // two users: the default would refuse the second
    const lenient = await withServer(context, {
        'whip.same_name': 'replace', ...await operator(context, ({ token }) => ({ allow: true, user: token })),
    });
    const as = (user) => ({ fields: { Authorization: `Bearer ${user}` } });
    const first = await post(lenient, '/whip/stage/desk', offer(), as('ann'));
    assert.equal((await post(lenient, '/whip/stage/desk', offer(), as('ben'))).status, 201);
    assert.equal((await call(lenient, first.headers.get('location'), 'DELETE')).status, 404);
});

test('a kick keeps a publisher without a token out, by address and name', async (context) => {
    const server = await withServer(context);
    const moderator = await NativeClient.join(server, 'stage', 'Mo');
    context.after(() => moderator.goodbye());
    assert.equal((await post(server, '/whip/stage/mallory')).status, 201);
    const { member } = await moderator.event('member_joined');
    await moderator.request('kick', { member: member.id });
    await until('the session is gone', async () => (await server.metrics()).get('whip_sessions{kind="whip"}') === 0);
    const refused = await post(server, '/whip/stage/mallory');
    assert.equal(refused.status, 403);
    assert.match(await refused.text(), /removed you/);
    assert.equal((await post(server, '/whip/stage/ann')).status, 201);
    assert.equal((await post(server, '/whip/elsewhere/mallory')).status, 201);
});

test('a server that is about to stop sends newcomers elsewhere, or tells them to come back', async (context) => {
    const alone = await withServer(context);
    alone.signal('SIGUSR1');
    await until('it drains', async () => (await post(alone, '/whip/stage')).status === 503);
    const refused = await post(alone, '/whep/stage');
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '10']);
    const paired = await withServer(context, { 'whip.redirect': 'https://live2.example.com' });
    paired.signal('SIGUSR1');
    await until('it drains', async () => (await post(paired, '/whip/stage')).status === 307);
    const sent = await post(paired, '/whep/stage/a%20b?wait=true');
    assert.deepEqual([sent.status, sent.headers.get('location')], [307, 'https://live2.example.com/whep/stage/a%20b?wait=true']);
});

test('viewers who find no place are sent to whip.redirect; publishers are not', async (context) => {
    const server = await withServer(context, { 'whip.redirect': 'https://live2.example.com', 'rooms.max_viewers': 2, 'rooms.max_members': 1 });
    for (let i = 0; i < 2; i++) assert.equal((await post(server, '/whep/stage?wait=true')).status, 201);
    const sent = await post(server, '/whep/stage?wait=true');
    assert.deepEqual([sent.status, sent.headers.get('location')], [307, 'https://live2.example.com/whep/stage?wait=true']);
    assert.equal((await post(server, '/whip/stage/ann')).status, 201); // viewers take no member's place
    assert.equal((await post(server, '/whip/stage/ben')).status, 503);
    assert.equal((await server.metrics()).get('whip_redirected_total'), 1);
});

test('?wait=true lets a viewer in before anything is live', async (context) => {
    const server = await withServer(context);
    assert.equal((await post(server, '/whep/later')).status, 409);
    assert.equal((await post(server, '/whep/later?wait=yes')).status, 409);
    const waiting = await post(server, '/whep/later/ann?wait=true');
    assert.equal(waiting.status, 201);
    assert.match(await waiting.text(), /a=sendonly/);
    assert.equal((await call(server, waiting.headers.get('location'), 'DELETE')).status, 200);
});

test('too many requests of one address are answered 429', async (context) => {
    const address = ownAddress();
    if (!address) {
        context.skip('this machine has loopback only');
        return;
    }
    const server = await withServer(context, { 'whip.max_rate_per_address': 1 });
    const begin = Date.now();
    const all = await Promise.all(Array.from({ length: 60 }, (_, i) => postTo(server, address, `/whip/crowd/p${i}`)));
    const refused = all.filter(({ status }) => status === 429);
    // eight at once, and one more each second
    const most = 60 - 8;
    assert.ok(refused.length >= most - 1 - (Date.now() - begin) / 1000 && refused.length <= most, `${refused.length} were refused`);
    assert.ok(refused.every(({ headers }) => headers['retry-after'] === '1' && headers['access-control-allow-origin'] === '*'));
    assert.equal((await server.metrics()).get('whip_refused_total{reason="rate"}'), refused.length);
    // others are not their affair
    assert.equal((await post(server, '/whip/calm')).status, 201);
});

/** The operator's server: `decide` gets each question. */
async function operator(context, decide) {
    const server = createServer((request, response) => {
        let text = '';
        request.on('data', (chunk) => { text += chunk; });
        request.on('end', async () => {
            const answer = await decide(JSON.parse(text));
            response.writeHead(answer ? 200 : 500, { 'Content-Type': 'application/json' });
            response.end(JSON.stringify(answer ?? {}));
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => server.close());
    return { 'auth.mode': 'webhook', 'auth.webhook_url': `http://127.0.0.1:${server.address().port}/`, 'auth.webhook_secret': 'a secret between two',
        'auth.webhook_timeout': '1m' };
}

test('the operator\'s own server is asked about publishers and viewers', async (context) => {
    const questions = [];
    const server = await withServer(context, await operator(context, (question) => {
        questions.push(question);
        if (question.token === 'key of ann') return { allow: true, user: 'ann', name: 'Ann A.', publish: ['camera', 'microphone'] };
        if (question.token === 'a viewer') return { allow: true, publish: false };
        return question.token === 'broken' ? undefined : { allow: false, message: 'Pay first.' };
    }));
    const bearer = (token) => ({ fields: { Authorization: `Bearer ${token}` } });
    const moderator = post(server, '/whip/stage/whoever', offer(), bearer('key of ann'));
    assert.equal((await moderator).status, 201);
    const { session, ...asked } = questions[0];
    assert.deepEqual(asked, { type: 'publish', room: 'stage', name: 'whoever', token: 'key of ann', address: '127.0.0.1' });
    assert.ok(!(await moderator).headers.get('location').includes(session), 'the session\'s secret is nobody else\'s');
    const refused = await post(server, '/whip/stage');
    assert.deepEqual([refused.status, await refused.json().catch(() => undefined)], [403, undefined]);
    assert.deepEqual(['publish', undefined], [questions[1].type, questions[1].token]);
    assert.equal((await post(server, '/whep/stage?wait=true', undefined, bearer('a viewer'))).status, 201);
    assert.equal(questions[2].type, 'watch');
    assert.equal((await post(server, '/whip/stage', offer(), bearer('a viewer'))).status, 403);
    const undecided = await post(server, '/whip/stage', offer(), bearer('broken'));
    assert.deepEqual([undecided.status, undecided.headers.get('retry-after')], [503, '5']);
    assert.equal((await post(server, '/whip/stage', offer(), bearer('x'.repeat(5000)))).status, 401);
    // the word of a token is nobody's here: the operator's server says who it is
    const again = await post(server, '/whip/stage', offer(), bearer('key of ann'));
    assert.equal(again.status, 201);
    assert.equal((await server.metrics()).get('whip_replaced_total'), 1);
});

test('a stop does not wait for what is being decided', async (context) => {
    let asked = 0;
    const never = new Promise(() => {});
    const server = await withServer(context, { ...await operator(context, () => { asked++; return never; }), 'server.stop_timeout': '1s' });
    const requests = Array.from({ length: 4 }, (_, i) => post(server, `/whip/stage/p${i}`).then(({ status }) => status, () => undefined));
    await until('all are asked about', () => asked === 4);
    assert.deepEqual(await server.stop(), { status: 0, signal: null });
    assert.ok((await Promise.all(requests)).every((status) => status !== 201));
});

test('PATCH and DELETE of strangers, and nonsense to sessions, change nothing', async (context) => {
    const server = await withServer(context);
    const created = await post(server, '/whip/hostile/ann');
    const location = created.headers.get('location');
    const id = location.split('/').pop();
    for (const path of ['/whip-session/', `/whip-session/${id}x`, `/whip-session/${id.slice(1)}`, `/whip-session/${id.toLowerCase()}A`, `/whep-session/${id}`,
        '/whip-session/%00', `/whip-session/${'A'.repeat(4000)}`, `/whip-session/${id}/more`, '/whip-session/..%2f']) {
        for (const method of ['PATCH', 'DELETE']) {
            const answer = await call(server, path, method, { type: 'application/trickle-ice-sdpfrag', body: fragment('abcd'), fields: { 'If-Match': '*' } });
            assert.ok([400, 404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`);
        }
    }
    for (const method of ['PUT', 'POST', 'GET']) assert.equal((await call(server, location, method, { body: method === 'GET' ? undefined : '{}' })).status, 405, method);
    const bodies = ['', '\0'.repeat(100), 'a=', 'a=ice-ufrag', 'a=ice-ufrag:\r\na=ice-pwd:\r\n', `a=ice-ufrag:${'u'.repeat(300)}\r\na=ice-pwd:${'p'.repeat(300)}\r\n`,
        'a=ice-ufrag:abc\r\na=ice-pwd:short\r\n', 'a=ice-ufrag:ab\u00e9d\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n',
        `${'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n'.repeat(2000)}`, `a=ice-ufrag:new1\r\na=ice-pwd:${'x'.repeat(24)}\r\n`.repeat(50)];
    for (const body of bodies) {
        const answer = await patch(server, location, body, { 'If-Match': '*' });
        assert.ok([200, 204, 400, 422].includes(answer.status), `${JSON.stringify(body.slice(0, 40))}: ${answer.status}`);
    }
    assert.equal((await patch(server, location, 'x'.repeat(200 << 10), { 'If-Match': '*' })).status, 413);
    for (const match of ['"', '""', 'W/"x"', '*, *', 'x'.repeat(3000)])
        assert.equal((await patch(server, location, fragment('abcd'), { 'If-Match': match })).status, 412, match);
    // it is still there and still its owner's
    assert.equal((await server.metrics()).get('whip_sessions{kind="whip"}'), 1);
    assert.equal((await call(server, location, 'DELETE', { fields: { 'If-Match': '"anything"' } })).status, 200);
});
