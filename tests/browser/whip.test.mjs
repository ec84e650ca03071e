// WHIP publishers and WHEP viewers in real browsers, beside members who use the native protocol.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, colours, firefox, roomPage, sameColour } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';
import { picture, sees, whipPages } from './helpers/whip_pages.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;
/** @type {import('puppeteer-core').Browser} */
let fox;
/** @type {ReturnType<typeof whipPages>['publisher']} */
let publisher;
/** @type {ReturnType<typeof whipPages>['viewer']} */
let viewer;

before(async () => {
    roost = await startRoost();
    [browser, fox] = await Promise.all([chromium(), firefox()]);
    ({ publisher, viewer } = whipPages(browser, roost.url));
});

after(async () => {
    await Promise.all([browser?.close(), fox?.close()]);
    await roost?.stop();
});

test('a viewer may say for how long its pictures are held back', async () => {
    const ann = await publisher('/whip/delay/ann', 'blue');
    const [late, prompt] = [await viewer('/whep/delay?wait=true&playout_delay=500'), await viewer('/whep/delay?wait=true&playout_delay=0')];
    const held = async (page) => {
        const read = () => page.evaluate(async () => [...(await globalThis.session.peerConnection.getStats()).values()]
            .filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'video')
            .map(({ jitterBufferDelay, jitterBufferEmittedCount }) => [jitterBufferDelay, jitterBufferEmittedCount])[0]);
        await sees(page, 'blue', 'the picture');
        const before = await read();
        let now;
        await until('twenty more frames', async () => { now = await read(); return now[1] > before[1] + 20; });
        return (now[0] - before[0]) / (now[1] - before[1]);
    };
    await until('pictures are held back', async () => await held(late) > 0.4);
    await until('pictures are shown at once', async () => await held(prompt) < 0.1);
    const wrong = await fetch(`${roost.url}/whep/delay?playout_delay=soon`, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: 'v=0' });
    assert.equal(wrong.status, 400);
    assert.match(await wrong.text(), /playout_delay/);
    for (const page of [ann, late, prompt]) {
        await page.evaluate(() => globalThis.session.stop());
        await page.close();
    }
});

test('a WHIP publisher is seen by WHEP viewers in Chromium and Firefox, and by a member of the room', async () => {
    const ann = await publisher('/whip/stage/ann', 'green');
    const member = await roomPage(browser, roost.url, { room: 'stage', name: 'ben', publish: false });
    const [one, two] = [await viewer('/whep/stage'), await viewer('/whep/stage/ann', { by: fox })];
    await sees(one, 'green', 'Chromium sees the publisher');
    await sees(two, 'green', 'Firefox sees the publisher');
    await until('the member sees it', async () => (await member.evaluate(() => globalThis.test.look()))
        .some((tile) => tile.from === 'ann' && sameColour(tile.rgb, colours.green)));
    for (const page of [one, two]) {
        await until('sound arrives', async () => (await page.evaluate(() => globalThis.count('audio'))) > 20);
    }
    // viewers are nobody's members
    assert.deepEqual(await member.evaluate(() => globalThis.test.events.filter(({ event }) => event === 'member-joined')), []);

    // a restart keeps media going
    for (const page of [ann, one, two]) await page.evaluate(() => globalThis.session.restart());
    for (const page of [one, two]) {
        const before = await page.evaluate(() => globalThis.count('video'));
        await until('pictures go on after ICE restarts', async () => (await page.evaluate(() => globalThis.count('video'))) > before + 20);
    }
    assert.equal((await roost.metric('whip_ice_restarts_total'))[''], 3);

    await ann.evaluate(() => globalThis.session.stop());
    await until('the publisher is gone', async () => (await member.evaluate(() => globalThis.test.look())).length === 0);
    for (const page of [one, two]) await page.evaluate(() => globalThis.session.stop());
    await until('no session is left', async () => Object.values(await roost.metric('whip_sessions')).every((count) => count === 0));
    for (const page of [ann, member, one, two]) await page.close();
});

test('Firefox publishes', async () => {
    const fred = await publisher('/whip/fox', 'yellow', { by: fox });
    const watching = await viewer('/whep/fox', { options: { waitForStart: true } });
    await sees(watching, 'yellow', 'Chromium sees the picture');
    await until('sound arrives', async () => (await watching.evaluate(() => globalThis.count('audio'))) > 20);
    for (const page of [fred, watching]) await page.close();
});

test('a viewer who comes early waits, and sees the picture when it begins', async () => {
    const early = await viewer('/whep/later', { options: { waitForStart: true } });
    await until('it was told to wait', () => early.evaluate(() => globalThis.waits > 0));
    const ann = await publisher('/whip/later', 'blue');
    await sees(early, 'blue', 'the picture begins');
    await early.close();
    await ann.close();
});

test('a viewer of one publisher is not shown another', async () => {
    const pages = [await publisher('/whip/two/ann', 'red'), await publisher('/whip/two/ben', 'yellow')];
    const watching = await viewer('/whep/two/ben', { options: { waitForStart: true } });
    await sees(watching, 'yellow', 'the named publisher is seen');
    const nobody = await viewer('/whep/two/zoe');
    await until('nobody of that name is live', () => nobody.evaluate(() => globalThis.refused?.status === 409));
    for (const page of [...pages, watching, nobody]) await page.close();
});

test('the page /watch asks for nothing, waits, shows the picture, and offers sound', async () => {
    const page = await browser.newPage();
    await page.setViewport({ width: 1280, height: 800 });
    await page.evaluateOnNewDocument(() => {
        navigator.mediaDevices.getUserMedia = () => { throw new Error('asked for a device'); };
    });
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(`${roost.url}/watch/evening`);
    const state = () => page.$eval('.watch-state', (element) => element.textContent);
    await until('it says that nothing is live', async () => /Nothing is live/.test(await state()));
    await picture(page, 'watch-waiting');
    const ann = await publisher('/whip/evening/ann', 'green');
    await page.bringToFront();
    await until('the picture is there', () => page.evaluate(() => document.querySelector('.watch-cover').hidden
        && document.querySelector('video').videoWidth > 0 && !document.querySelector('.watch-header .live-badge').hidden));
    await picture(page, 'watch-live');
    assert.equal(await page.$eval('video', (video) => video.muted), true);
    await page.click('.watch-sound');
    assert.equal(await page.$eval('video', (video) => video.muted), false);
    await until('the button has gone', () => page.$eval('.watch-sound', (button) => button.hidden));
    await page.setViewport({ width: 390, height: 844 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    await picture(page, 'watch-live-phone-dark');
    await ann.evaluate(() => globalThis.session.stop());
    await until('it says that the broadcast has paused', async () => /paused/.test(await state()));
    const again = await publisher('/whip/evening/ann', 'blue');
    await page.bringToFront();
    await until('it goes on by itself', () => page.evaluate(() => document.querySelector('.watch-cover').hidden));
    assert.deepEqual(errors, []);
    for (const one of [page, ann, again]) await one.close();
});

test('a page of another site embeds the viewer with one script tag', async () => {
    const open = await startRoost({ set: { 'app.frame_ancestors': '*' } });
    const { createServer } = await import('node:http');
    const site = createServer((request, response) => {
        response.setHeader('Content-Type', 'text/html');
        response.end(`<!doctype html><title>Site</title><p>Before</p><script src="${open.url}/sdk/embed.js" data-room="stage" data-token="a.b.c" data-playout-delay="0"></script>`);
    });
    await new Promise((resolve) => site.listen(0, '127.0.0.1', () => resolve(undefined)));
    try {
        const page = await browser.newPage();
        const asked = [];
        page.on('request', (request) => asked.push(request.url()));
        await page.goto(`http://localhost:${/** @type {import('node:net').AddressInfo} */ (site.address()).port}/`);
        const frame = await until('the frame has the viewer', async () => {
            const found = page.frames().find((one) => one.url().startsWith(`${open.url}/watch/stage`));
            return found && (await found.$('.watch-page.embedded')) ? found : null;
        });
        assert.equal(new URL(frame.url()).hash, '#token=a.b.c');
        await until('it waits for the broadcast', () => frame.$eval('.watch-state', (element) => /Nothing is live/.test(element.textContent ?? '')));
        assert.ok(asked.includes(`${open.url}/whep/stage?playout_delay=0`), asked.join());
        await page.close();
    } finally {
        site.close();
        await open.stop();
    }
});
