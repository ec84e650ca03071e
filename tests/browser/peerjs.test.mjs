// Unmodified PeerJS clients (npm: peerjs) in Chromium: among themselves, and with the SDK's.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { bothEnd, bothSee, clients, reach } from './helpers/call_clients.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
let count = 0;

before(async () => {
    roost = await startRoost({ workers: 1, set: { 'peerjs.allow_discovery': 'true' } });
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

/** A client of its own name. */
async function enter(language, options) {
    const page = await clients[language].open(chrome, roost.url);
    return clients[language].register(page, `${language}-${++count}`, options);
}

async function close(...sides) {
    await Promise.all(sides.map(({ page }) => page.close()));
}

for (const [from, to] of [['peerjs', 'peerjs'], ['peerjs', 'native'], ['native', 'peerjs']]) {
    test(`${from} calls ${to}, and either hangs up`, async () => {
        const caller = await enter(from);
        const callee = await enter(to);
        for (const ends of [caller, callee]) {
            await reach(caller, callee);
            await callee.accept();
            await bothSee(caller, callee);
            await ends.hangup();
            await bothEnd(caller, callee);
        }
        await close(caller, callee);
    });
}

test('the page of docs/peerjs.md works as written', async () => {
    const document = readFileSync(new URL('../../docs/peerjs.md', import.meta.url), 'utf8');
    const html = /```html\n(.*?)```/s.exec(document)?.[1] ?? '';
    const page = await clients.peerjs.open(chrome, roost.url);
    await page.evaluate((text) => { document.body.innerHTML = text; }, html.replaceAll(/<script.*?<\/script>/gs, ''));
    await page.evaluate(/<script>\n(.*)<\/script>/s.exec(html)?.[1] ?? '');
    await until('the page is there', () => page.evaluate('peer.open'));
    const native = await enter('native');
    const shows = () => page.evaluate('theirs.videoWidth > 0 && theirs.currentTime > 0');
    await native.call('ada');
    await bothSee(native);
    await until('the page shows its caller', shows);
    await native.hangup();
    await page.evaluate('theirs.srcObject = null');
    await page.evaluate(`call('${native.user}')`);
    await native.accept();
    await bothSee(native);
    await until('the page shows whom it called', shows);
    await close(native, { page });
});

test('a refusal reaches the page of a PeerJS caller', async () => {
    const caller = await enter('peerjs');
    const callee = await enter('native');
    await caller.call(callee.user);
    await callee.reject();
    await until('the caller knows', async () => (await caller.state()) === 'ended');
    assert.equal(await caller.reason(), 'peer-unavailable');
    await close(caller, callee);
});

test('a peer that is not there is unavailable', async () => {
    const caller = await enter('peerjs');
    await caller.call('nobody');
    await until('the caller knows', async () => (await caller.state()) === 'ended', 30000);
    assert.equal(await caller.reason(), 'peer-unavailable');
    await close(caller);
});

test('data connections pass texts and files, and names come with calls', async () => {
    const one = await enter('peerjs');
    const other = await enter('peerjs', { path: '/peerjs' });
    await other.page.evaluate(() => {
        globalThis.test.got = [];
        globalThis.test.peer.on('connection', (connection) => {
            globalThis.test.incoming = { label: connection.label, metadata: connection.metadata, serialization: connection.serialization };
            connection.on('data', (data) => {
                globalThis.test.got.push(data.byteLength ?? data);
                connection.send('thanks');
            });
        });
    });
    const answer = await one.page.evaluate((to) => new Promise((resolve) => {
        const connection = globalThis.test.peer.connect(to, { label: 'chat', metadata: { room: 7 }, serialization: 'binary', reliable: true });
        connection.on('open', () => {
            connection.send({ text: 'hello' });
            connection.send(new ArrayBuffer(300000));
        });
        connection.on('data', resolve);
    }), other.user);
    assert.equal(answer, 'thanks');
    await until('both came', async () => (await other.page.evaluate(() => globalThis.test.got.length)) === 2);
    assert.deepEqual(await other.page.evaluate(() => globalThis.test.got), [{ text: 'hello' }, 300000]);
    assert.deepEqual(await other.page.evaluate(() => globalThis.test.incoming), { label: 'chat', metadata: { room: 7 }, serialization: 'binary' });
    // a call beside it ends without the data connection
    await one.call(other.user, { metadata: { name: 'Ada' } });
    await until('called', async () => (await other.state()) === 'incoming');
    assert.deepEqual(await other.page.evaluate(() => globalThis.test.current.metadata), { name: 'Ada' });
    await other.accept();
    await bothSee(one, other);
    await one.hangup();
    await bothEnd(one, other);
    await close(one, other);
});

test('three peers make a mesh', async () => {
    const peers = [await enter('peerjs'), await enter('peerjs'), await enter('native')];
    const [one, two, native] = peers;
    const seen = (peer) => peer.page.evaluate(async () => {
        const { test: own } = globalThis;
        own.all ??= new Set();
        for (const list of Object.values(own.peer.connections)) for (const connection of list) own.all.add(connection);
        let decoding = 0;
        for (const { peerConnection } of own.all) {
            const reports = peerConnection ? [...(await peerConnection.getStats()).values()] : [];
            if (reports.some((report) => report.type === 'inbound-rtp' && report.framesDecoded > 10)) decoding++;
        }
        return decoding;
    });
    await one.call(two.user);
    await two.accept();
    await one.call(native.user);
    await native.accept();
    await until('the first sees both', async () => (await seen(one)) === 2, 30000);
    await bothSee(native);
    await close(...peers);
});

test('the server gives ids and lists peers; an id is taken; a lost socket is taken up again', async () => {
    const one = await enter('peerjs');
    const page = await clients.peerjs.open(chrome, roost.url);
    const [id, all, taken] = await page.evaluate(async (name) => {
        const options = { host: location.hostname, port: Number(location.port), path: '/' };
        const peer = new globalThis.Peer(options);
        const own = await new Promise((resolve, reject) => peer.on('open', resolve).on('error', reject));
        const names = await new Promise((resolve) => peer.listAllPeers(resolve));
        const problem = await new Promise((resolve) => new globalThis.Peer(name, options).on('error', ({ type }) => resolve(type)));
        return [own, names, problem];
    }, one.user);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.ok(all.includes(id) && all.includes(one.user));
    assert.equal(taken, 'unavailable-id');
    await one.page.evaluate(() => new Promise((resolve) => {
        const { peer } = globalThis.test;
        peer.disconnect();
        peer.reconnect();
        peer.once('open', resolve);
    }));
    const native = await enter('native');
    await native.call(one.user);
    await one.accept();
    await bothSee(one, native);
    await close(one, native, { page });
});
