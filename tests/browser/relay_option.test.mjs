// The SDK's and the application's wish for relays only, with the credentials that joining gives.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { addMovingPicture } from './helpers/moving_picture.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
    roost = await startRoost({ workers: 2, set: { 'turn.relay_addresses': '127.0.0.1' } });
    browser = await chromium();
});
after(async () => {
    await browser?.close();
    await roost?.stop();
});

for (const relay of ['udp', 'tcp'])
    test(`a room over ${relay} relays`, async () => {
        const page = await browser.newPage();
        await page.goto(`${roost.url}/healthz`);
        await addMovingPicture(page);
        await page.evaluate(async (relay) => {
            const { connect } = await import('/sdk/roost.js');
            const client = await connect({ name: 'Ann', relay });
            globalThis.room = await client.join(`relay-${relay}`);
            await globalThis.room.publish(globalThis.movingPicture());
        }, relay);
        assert.equal(await until('a path', () => page.evaluate(async () => (await globalThis.room.stats())?.localCandidate || null)), `relay ${relay}`);
        await until('something is sent', () => page.evaluate(async () => (await globalThis.room.stats()).tracks.some(({ bitrate }) => bitrate > 1000)));
        await page.close();
    });

test('the application takes the wish from its address', async () => {
    const page = await browser.newPage();
    await page.goto(`${roost.url}/r/relayed?relay=1`);
    await until('the lobby', () => page.evaluate(() => globalThis.roostApp?.page === 'lobby'));
    await page.type('#name', 'Ann');
    await page.keyboard.press('Enter');
    await until('the room', () => page.evaluate(() => globalThis.roostApp.page === 'room'));
    const path = await until('a path', () => page.evaluate(async () => (await globalThis.roostApp.stats())?.localCandidate || null));
    assert.match(path, /^relay /);
    await page.close();
});
