// Which simulcast layer a real browser gets: by the size of its element, by visibility, by wish.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, roomPage } from './helpers/browsers.mjs';
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

/** A page that shows the one camera of the room in an element of the given size. */
async function watch(room, name, width, height) {
    const page = await roomPage(chrome, roost.url, { room, name, publish: false });
    await until('the camera is there', () => page.evaluate(() => [...globalThis.test.room.members.values()]
        .some((member) => [...member.tracks.values()].some((track) => track.kind === 'video' && track.mediaTrack))));
    await page.evaluate(async (size) => {
        const { attach } = await import('/sdk/roost.js');
        const track = [...globalThis.test.room.members.values()].flatMap((member) => [...member.tracks.values()]).find(({ kind }) => kind === 'video');
        for (const element of document.querySelectorAll('video')) element.remove();
        const video = document.createElement('video');
        video.muted = true;
        Object.assign(video.style, { position: 'fixed', left: '0', top: '0', width: `${size.width}px`, height: `${size.height}px` });
        document.body.append(video);
        await attach(video, track.mediaTrack);
        Object.assign(globalThis.test, { shown: video, camera: track });
    }, { width, height });
    return page;
}

const pictureWidth = (page) => page.evaluate(() => globalThis.test.shown.videoWidth);
const frames = (page) => page.evaluate(() => globalThis.test.shown.getVideoPlaybackQuality().totalVideoFrames);
/** Bytes of video that came in a second. */
async function bytesInASecond(page) {
    const bytes = () => page.evaluate(async () => [...(await globalThis.test.room.peerConnection.getStats()).values()]
        .filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'video')
        .reduce((sum, { bytesReceived }) => sum + bytesReceived, 0));
    const before = await bytes();
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
    return (await bytes()) - before;
}

test('a small element gets the small layer, a large one the large, and both change with it', async () => {
    const publisher = await roomPage(chrome, roost.url, { room: 'sizes', name: 'ann', colour: 'red', hertz: 440, simulcast: true, size: [1280, 720] });
    const small = await watch('sizes', 'ben', 160, 90);
    // pages in the background are not laid out, and elements without a size say nothing
    await small.bringToFront();
    await until('the small element shows the small picture', async () => (await pictureWidth(small)) === 320);
    const large = await watch('sizes', 'cleo', 1280, 720);
    await large.bringToFront();
    await until('the large element shows the large picture', async () => (await pictureWidth(large)) >= 640);
    assert.equal(await pictureWidth(small), 320);
    // grown by the user
    await small.bringToFront();
    await small.evaluate(() => Object.assign(globalThis.test.shown.style, { width: '640px', height: '360px' }));
    await until('a larger picture', async () => (await pictureWidth(small)) >= 640);
    for (const page of [publisher, small, large]) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        await page.close();
    }
});

test('what is scrolled away or paused costs nothing and comes back', async () => {
    const publisher = await roomPage(chrome, roost.url, { room: 'away', name: 'ann', colour: 'red', hertz: 440, simulcast: true, size: [1280, 720] });
    const viewer = await watch('away', 'ben', 320, 180);
    await until('pictures', async () => (await frames(viewer)) > 10);
    await viewer.evaluate(() => { globalThis.test.shown.style.left = '-5000px'; });
    await until('nothing comes', async () => (await bytesInASecond(viewer)) === 0);
    await viewer.evaluate(() => { globalThis.test.shown.style.left = '0'; });
    let before = await frames(viewer);
    await until('pictures again', async () => (await frames(viewer)) > before + 10);
    await viewer.evaluate(() => globalThis.test.room.setWish(globalThis.test.camera, { paused: true }));
    await until('nothing comes', async () => (await bytesInASecond(viewer)) === 0);
    await viewer.evaluate(() => globalThis.test.room.setWish(globalThis.test.camera, null));
    before = await frames(viewer);
    await until('pictures again', async () => (await frames(viewer)) > before + 10);
    for (const page of [publisher, viewer]) await page.close();
});

test('a page behind another one gets no pictures, and gets them again when it is seen', async () => {
    const publisher = await roomPage(chrome, roost.url, { room: 'hidden', name: 'ann', colour: 'red', hertz: 440 });
    const viewer = await watch('hidden', 'ben', 320, 180);
    await viewer.bringToFront();
    await until('pictures', async () => (await frames(viewer)) > 10);
    const front = await chrome.newPage();
    await front.bringToFront();
    await until('it is hidden', () => viewer.evaluate(() => document.visibilityState === 'hidden'));
    await until('nothing comes', async () => (await bytesInASecond(viewer)) === 0);
    await viewer.bringToFront();
    const before = await frames(viewer);
    await until('pictures again', async () => (await frames(viewer)) > before + 10);
    for (const page of [publisher, viewer, front]) await page.close();
});
