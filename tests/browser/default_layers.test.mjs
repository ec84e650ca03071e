// What is sent when nobody says how: to rooms in as many sizes as a picture is worth, to one person in one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { inRoom, joinByKeyboard, playing } from './helpers/app_pages.mjs';
import { chromium, colours, firefox, roomPage, sameColour, wish } from './helpers/browsers.mjs';
import { css } from './helpers/moving_picture.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;

before(async () => {
    roost = await startRoost();
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

/** Lines of the pictures that a page of the application plays, its own left out. */
const received = (page) => page.evaluate(() => [...document.querySelectorAll('.tile:not(.own) video')]
    .filter((video) => video.srcObject).map((video) => video.videoHeight));

test('the application sends three sizes to a room, and each window gets what it has room for', async () => {
    const ann = await joinByKeyboard(chrome, `${roost.url}/r/sizes`, 'Ann');
    await inRoom(ann);
    const wide = await joinByKeyboard(chrome, `${roost.url}/r/sizes`, 'Wide');
    await inRoom(wide);
    await wide.setViewport({ width: 1280, height: 800 });
    await playing(wide, 2);
    const sent = await ann.evaluate(() => {
        const camera = globalThis.roostApp.room.localTracks.find(({ source }) => source === 'camera');
        return camera.publication.transceiver.sender.getParameters().encodings.map(({ rid }) => rid);
    });
    assert.deepEqual(sent, ['l', 'm', 'h']);
    await wide.bringToFront();
    const own = await ann.evaluate(() => globalThis.roostApp.room.localTracks.find(({ source }) => source === 'camera').mediaTrack.getSettings().height);
    await until('the large window gets all lines', async () => (await received(wide)).includes(own) || Promise.reject(await received(wide)));
    await wide.setViewport({ width: 360, height: 320 });
    await until('the small window gets fewer', async () => (await received(wide)).some((lines) => lines > 0 && lines <= own / 2) || Promise.reject(await received(wide)));
    for (const page of [ann, wide]) {
        assert.deepEqual(page.problems, []);
        await page.context.close();
    }
});

test('a private call is sent in one size', async () => {
    const pages = [await joinByKeyboard(chrome, `${roost.url}/call/a-place-of-our-own`, 'Caller'), await joinByKeyboard(chrome, `${roost.url}/call/a-place-of-our-own`, 'Callee')];
    for (const page of pages) await playing(page, 2);
    for (const page of pages) {
        const sent = await page.evaluate(() => globalThis.roostApp.call.localTracks.map(({ publication }) => publication.transceiver.sender.getParameters().encodings.length));
        assert.deepEqual(sent, [1, 1]);
    }
    for (const page of pages) await page.context.close();
});

test('the SDK goes by the size, the codec, and what a screen is for', async () => {
    const page = await roomPage(chrome, roost.url, { room: 'worth', name: 'ann', publish: false });
    const sent = (size, options) => page.evaluate(async (pixels, said) => {
        const { room } = globalThis.test;
        const local = await room.publish(globalThis.movingPicture({ size: pixels }), said);
        const { encodings } = local.publication.transceiver.sender.getParameters();
        await room.unpublish(local);
        return encodings.map(({ rid, scaleResolutionDownBy, scalabilityMode }) => [rid, scaleResolutionDownBy, scalabilityMode].filter(Boolean).join(' '));
    }, size, options);
    assert.deepEqual(await sent([320, 180], { source: 'camera' }), ['1']);
    assert.deepEqual(await sent([640, 360], { source: 'camera' }), ['l 2', 'h 1']);
    assert.deepEqual(await sent([1280, 720], { source: 'camera' }), ['l 4', 'm 2', 'h 1']);
    assert.deepEqual(await sent([720, 1280], { source: 'camera', codec: 'video/H264' }), ['l 4', 'm 2', 'h 1']);
    assert.deepEqual(await sent([1280, 720], { source: 'camera', codec: 'video/VP9' }), ['1']);
    assert.deepEqual(await sent([1280, 720], { source: 'camera', simulcast: false }), ['1']);
    assert.deepEqual(await sent([320, 180], { source: 'camera', simulcast: true }), ['l 4', 'm 2', 'h 1']);
    assert.deepEqual(await sent([1280, 720], { source: 'camera', codec: 'video/VP9', scalabilityMode: 'L3T3_KEY' }), ['1 L3T3_KEY']);
    assert.deepEqual(await sent([1280, 720], { source: 'screen' }), ['1 L1T3']);
    assert.deepEqual(await sent([1280, 720], { source: 'screen', content: 'motion' }), ['l 4', 'm 2', 'h 1']);
    // sections are used again for what they can send, and for nothing else
    assert.equal(await page.evaluate(() => globalThis.test.room.peerConnection.getTransceivers().filter(({ direction }) => direction === 'inactive').length), 5);
    assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
    await page.close();
});

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
    test(`${name}: a small place gets a small size, and a section that rested sends all sizes again`, async () => {
        const browser = await launch();
        try {
            const ann = await roomPage(browser, roost.url, { room: name, name: 'ann', colour: 'green', size: [1280, 720] });
            const ben = await roomPage(chrome, roost.url, { room: name, name: 'ben', publish: false });
            const sees = (colour, fits) => until(`${colour} in its size`, async () => {
                const seen = await ben.evaluate(() => globalThis.test.look());
                return seen.some(({ rgb, width }) => sameColour(rgb, colours[colour]) && fits(width)) || Promise.reject(JSON.stringify(seen));
            });
            await sees('green', (width) => width >= 640);
            await wish(ben, { width: 320, height: 180 });
            await sees('green', (width) => width === 320);
            await ann.evaluate(async (fill) => {
                const { room, local } = globalThis.test;
                await room.unpublish(local.find(({ kind }) => kind === 'video'));
                globalThis.test.again = await room.publish(globalThis.movingPicture({ fill, size: [1280, 720] }));
            }, css(colours.blue));
            await sees('blue', (width) => width >= 640);
            await wish(ben, { width: 320, height: 180 });
            await sees('blue', (width) => width === 320);
            for (const page of [ann, ben]) assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
            await ben.close();
        } finally {
            await browser.close();
        }
    });
}
