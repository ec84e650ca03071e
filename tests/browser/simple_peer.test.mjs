// Unmodified simple-peer objects (npm: simple-peer) in Chromium: among themselves, and with clients of other languages.
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
    roost = await startRoost({ workers: 1 });
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

for (const [from, to] of [['simple-peer', 'simple-peer'], ['simple-peer', 'native'], ['native', 'simple-peer'], ['simple-peer', 'peerjs'], ['peerjs', 'simple-peer']]) {
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

for (const [from, to] of [['simple-peer', 'simple-peer'], ['simple-peer', 'native'], ['native', 'simple-peer']]) {
    test(`${from} calls ${to} without trickling`, async () => {
        const options = { trickle: false };
        const caller = await enter(from, from === 'simple-peer' ? options : {});
        const callee = await enter(to, to === 'simple-peer' ? options : {});
        await caller.call(callee.user);
        await callee.accept();
        await bothSee(caller, callee);
        await close(caller, callee);
    });
}

test('two objects negotiate again, and talk by their data channel', async () => {
    const one = await enter('simple-peer');
    const other = await enter('simple-peer');
    await one.call(other.user);
    await other.accept();
    await bothSee(one, other);
    await one.page.evaluate(() => globalThis.test.peer.send('hello'));
    await until('the other hears', () => other.page.evaluate(() => globalThis.test.got?.[0] === 'hello'));
    // each side adds a second picture: one offers, the other one asks for an offer
    for (const [adds, sees] of [[one, other], [other, one]]) {
        await sees.page.evaluate(() => globalThis.test.peer.once('track', (track) => (globalThis.test.second = track.id)));
        const id = await adds.page.evaluate(() => {
            const track = globalThis.movingPicture();
            globalThis.test.peer.addTrack(track, new MediaStream([track]));
            return track.id;
        });
        assert.ok(id);
        await until('it arrives', () => sees.page.evaluate(() => globalThis.test.second));
    }
    await close(one, other);
});

test('a refusal is heard by both libraries', async () => {
    const object = await enter('simple-peer');
    const native = await enter('native');
    await object.call(native.user);
    await native.reject();
    await until('the caller knows', async () => (await object.state()) === 'ended');
    assert.equal(await object.reason(), 'rejected');
    await native.call(object.user);
    await object.reject();
    await until('the caller knows', async () => (await native.state()) === 'ended');
    assert.equal(await native.reason(), 'rejected');
    await object.call('nobody');
    await until('the caller knows', async () => (await object.reason()) === 'unavailable');
    await close(object, native);
});

test('the page of docs/simple-peer.md works as written', async () => {
    const document = readFileSync(new URL('../../docs/simple-peer.md', import.meta.url), 'utf8');
    const html = /```html\n(.*?)```/s.exec(document)?.[1] ?? '';
    const page = await clients['simple-peer'].open(chrome, roost.url);
    await page.evaluate((text) => { document.body.innerHTML = text; }, html.replaceAll(/<script.*?<\/script>/gs, ''));
    await page.evaluate(/<script>\n(.*)<\/script>/s.exec(html)?.[1] ?? '');
    const native = await enter('native');
    const shows = () => page.evaluate('theirs.videoWidth > 0 && theirs.currentTime > 0');
    await until('the page is there', () => native.call('ada').then(() => true, () => false));
    await bothSee(native);
    await until('the page shows its caller', shows);
    await native.hangup();
    await until('the page knows', () => page.evaluate('peers.size === 0'));
    await page.evaluate('theirs.srcObject = null');
    await page.evaluate(`call('${native.user}')`);
    await native.accept();
    await bothSee(native);
    await until('the page shows whom it called', shows);
    await page.evaluate(`hangUp('${native.user}')`);
    await bothEnd(native);
    await close(native, { page });
});
