// The extensions of WHEP: server-sent events, and the choice of a layer.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, test } from 'node:test';

import nodeDataChannel from 'node-datachannel';

import { Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';
import { call, offer, post } from '../support/whip.mjs';
import { WhipPublisher } from '../support/whip_publisher.mjs';

after(() => {
    nodeDataChannel.cleanup();
    setTimeout(() => process.exit(), 500).unref();
});

async function withServer(context, set = {}) {
    const server = await Server.start({ sanitized: true, set: { 'whip.path_timeout': '1h', ...set } });
    context.after(async () => assert.deepEqual(await server.stop(), { status: 0, signal: null }));
    return server;
}

/** Reads a stream of events. */
function listen(server, path) {
    const stream = { events: [], ended: false, headers: undefined, status: 0 };
    const outgoing = request({ host: '127.0.0.1', port: server.httpPort, path, agent: false }, (response) => {
        Object.assign(stream, { status: response.statusCode, headers: response.headers });
        let rest = '';
        response.setEncoding('utf8').on('data', (chunk) => {
            rest += chunk;
            const parts = rest.split('\n\n');
            rest = parts.pop();
            for (const part of parts) {
                const [, event] = /^event: (.*)$/m.exec(part) ?? [];
                if (event) stream.events.push([event, JSON.parse(/^data: (.*)$/m.exec(part)[1])]);
            }
        }).on('end', () => { stream.ended = true; }).on('error', () => { stream.ended = true; });
    });
    outgoing.on('error', () => { stream.ended = true; });
    outgoing.end();
    stream.close = () => outgoing.destroy();
    stream.names = () => stream.events.map(([name]) => name);
    return stream;
}

/** A viewer without a network path. */
async function viewer(server, path) {
    const created = await post(server, `${path}?wait=true`, offer('recvonly'));
    assert.equal(created.status, 201);
    const links = created.headers.get('link');
    return { location: created.headers.get('location'), layer: /<([^>]+)>; rel="urn:ietf:params:whep:ext:core:layer"/.exec(links)[1],
        events: /<([^>]+)>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="([^"]+)"/.exec(links) };
}

test('a stream can be made by POST with the events that are wanted, and ended by DELETE', async (context) => {
    const server = await withServer(context);
    const { events: [, address], location } = await viewer(server, '/whep/show');
    const made = await call(server, address, 'POST', { type: 'application/json', body: '["viewercount","tea-time"]' });
    assert.equal(made.status, 201);
    const stream = listen(server, made.headers.get('location'));
    await until('viewers are counted', () => stream.events.length > 0);
    assert.deepEqual(stream.events, [['viewercount', { viewercount: 1 }]]);
    // one each: the newer one
    const newer = listen(server, address);
    await until('the older one has ended', () => stream.ended && newer.events.length > 0);
    assert.equal((await call(server, address, 'DELETE')).status, 200);
    await until('the newer one, too', () => newer.ended);
    for (const [type, body] of [['application/json', '{"a":1}'], ['application/json', 'nonsense'], ['text/plain', '["layers"]']])
        assert.equal((await call(server, address, 'POST', { type, body })).status, 400, body);
    assert.equal((await call(server, address, 'POST')).status, 201);
    // who goes away leaves nothing behind
    for (let i = 0; i < 5; i++) {
        const short = listen(server, address);
        await until('it has begun', () => short.status === 200);
        short.close();
    }
    assert.equal((await call(server, location, 'DELETE')).status, 200);
});

test('a server that stops tells viewers to connect anew, and does not wait for them', async (context) => {
    const server = await withServer(context, { 'server.stop_timeout': '10m' });
    const { events: [, address] } = await viewer(server, '/whep/show');
    const stream = listen(server, address);
    await until('it has begun', () => stream.events.length > 0);
    assert.deepEqual(await server.stop(), { status: 0, signal: null });
    await until('the stream has ended', () => stream.ended);
    assert.deepEqual(stream.events.at(-1), ['reconnect', {}]);
});

test('layers: what can be chosen, and what is no choice', async (context) => {
    const server = await withServer(context);
    const { layer, location } = await viewer(server, '/whep/show');
    const choose = (body, type = 'application/json') => call(server, layer, 'POST', { type, body: typeof body === 'string' ? body : JSON.stringify(body) });
    const listed = await call(server, layer, 'GET');
    assert.deepEqual([listed.status, await listed.json()], [200, { 1: [] }]);
    for (const body of [{}, { mediaId: '1' }, { mediaId: 1, rid: '0' }, { encodingId: '2' }, { rid: null }, { maxWidth: 640, maxHeight: 360 }, { paused: true }, { later: 'draft' }])
        assert.equal((await choose(body)).status, 200, JSON.stringify(body));
    for (const body of ['', '[]', 'nonsense', '{"rid":"0","rid":"1"}', { rid: '9' }, { rid: -1 }, { rid: 'hd' }, { rid: 0.5 }, { maxWidth: 1e9 }, { maxHeight: [] },
        { mediaId: {} }, { paused: 'yes' }, `{"rid":"${'1'.repeat(70000)}"}`, `${'['.repeat(20000)}`])
        assert.equal((await choose(body)).status, 400, JSON.stringify(body).slice(0, 60));
    assert.equal((await choose({ mediaId: '0' })).status, 404); // sound
    assert.equal((await choose({ mediaId: '7' })).status, 404);
    assert.equal((await choose({}, 'text/plain')).status, 415);
    const preflight = await call(server, layer, 'OPTIONS', { fields: { Origin: 'https://example.com', 'Access-Control-Request-Method': 'POST' } });
    assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-origin')], [204, '*']);
    // publishers have none
    const publisher = await post(server, '/whip/show/ann');
    assert.doesNotMatch(publisher.headers.get('link') ?? '', /whep:ext/);
    const id = publisher.headers.get('location').split('/').at(-1);
    assert.equal((await call(server, `/whep-session/${id}/layer`, 'GET')).status, 404);
    assert.equal((await call(server, location, 'DELETE')).status, 200);
    assert.equal((await choose({})).status, 404);
});

test('events tell of the broadcast\'s beginning and end, and of viewers', async (context) => {
    const server = await withServer(context);
    const one = await viewer(server, '/whep/show');
    assert.match(one.events[2], /layers/);
    const stream = listen(server, one.events[1]);
    await until('it begins with what there is', () => stream.events.length > 0);
    assert.deepEqual(stream.events, [['viewercount', { viewercount: 1 }]]);
    assert.equal(stream.headers['content-type'], 'text/event-stream');
    assert.equal(stream.headers['cache-control'], 'no-store');
    const publisher = await WhipPublisher.start(server, '/whip/show');
    await until('active', () => stream.names().includes('active'));
    assert.ok(!stream.names().includes('inactive'));
    const two = await viewer(server, '/whep/show');
    await until('another viewer is counted', () => stream.events.some(([, data]) => data.viewercount === 2));
    assert.equal(await publisher.stop(), 200);
    await until('inactive', () => stream.names().includes('inactive'));
    // the session's end is the stream's
    assert.equal((await call(server, one.location, 'DELETE')).status, 200);
    await until('the stream has ended', () => stream.ended);
    assert.equal((await call(server, one.events[1], 'GET')).status, 404);
    assert.equal((await call(server, two.location, 'DELETE')).status, 200);
});
