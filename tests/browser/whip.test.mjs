// WHIP publishers and WHEP viewers in real browsers, beside members who use the native protocol.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, colours, firefox, roomPage, sameColour } from './helpers/browsers.mjs';
import { addMovingPicture, css } from './helpers/moving_picture.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    roost = await startRoost();
    [browser, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.all([browser?.close(), fox?.close()]);
    await roost?.stop();
});

async function blankPage(by = browser) {
    const page = await by.newPage();
    await page.goto(`${roost.url}/healthz`);
    return page;
}

/** Publishes a picture of one colour. @param {keyof typeof colours} colour */
async function publisher(path, colour, { width = 640, height = 360, by = browser, ...options } = {}) {
    const page = await blankPage(by);
    await page.bringToFront();
    await addMovingPicture(page);
    await page.evaluate(async (endpoint, fill, chosen, size) => {
        const { publish } = await import('/sdk/whip.js');
        const stream = new MediaStream([globalThis.movingPicture({ fill, size })]);
        const tone = new AudioContext();
        const out = tone.createMediaStreamDestination();
        const oscillator = tone.createOscillator();
        oscillator.connect(out);
        oscillator.start();
        stream.addTrack(out.stream.getAudioTracks()[0]);
        globalThis.session = await publish(endpoint, stream, chosen);
    }, path, css(colours[colour]), options, [width, height]);
    return page;
}

async function viewer(path, { by = browser, options = {} } = {}) {
    const page = await blankPage(by);
    await page.evaluate(async (endpoint, chosen) => {
        const { watch } = await import('/sdk/whep.js');
        globalThis.waits = 0;
        const video = document.createElement('video');
        Object.assign(video, { muted: true, autoplay: true, playsInline: true });
        document.body.append(video);
        globalThis.look = () => {
            const context = new OffscreenCanvas(16, 16).getContext('2d', { willReadFrequently: true });
            context.drawImage(video, 0, 0, 16, 16);
            return [...context.getImageData(4, 4, 1, 1).data].slice(0, 3);
        };
        globalThis.count = async (kind) => [...(await globalThis.session.peerConnection.getStats()).values()]
            .filter((report) => report.type === 'inbound-rtp' && report.kind === kind)
            .reduce((sum, report) => sum + (report.kind === 'video' ? report.framesDecoded ?? 0 : report.packetsReceived ?? 0), 0);
        globalThis.watching = watch(endpoint, { ...chosen, onWaiting: () => { globalThis.waits++; } }).then((session) => {
            globalThis.session = session;
            video.srcObject = session.stream;
            void video.play().catch(() => {});
        });
        globalThis.watching.catch((error) => { globalThis.refused = { status: error.status, message: error.message }; });
    }, path, options);
    return page;
}

async function sees(page, colour, what) {
    await until(what, async () => {
        const rgb = await page.evaluate(() => (globalThis.session ? globalThis.look() : null));
        return (rgb && sameColour(rgb, colours[colour])) || Promise.reject(JSON.stringify([rgb, await page.evaluate(() => globalThis.refused)]));
    }, 30000);
}

test('a WHIP publisher is seen by WHEP viewers in Chromium and Firefox, and by a member of the room', async () => {
    const ann = await publisher('/whip/stage/ann', 'green');
    const member = await roomPage(browser, roost.url, { room: 'stage', name: 'ben', publish: false });
    const [one, two] = [await viewer('/whep/stage'), await viewer('/whep/stage/ann', { by: fox })];
    await sees(one, 'green', 'Chromium sees the publisher');
    await sees(two, 'green', 'Firefox sees the publisher');
    await until('the member sees it', async () => (await member.evaluate(() => globalThis.test.look()))
        .some((tile) => tile.from === 'ann' && sameColour(tile.rgb, colours.green)), 30000);
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
    assert.deepEqual(await roost.metric('whip_sessions'), { 'kind="whip"': 0, 'kind="whep"': 0 });
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

test('a simulcast publisher is seen', async () => {
    const ann = await publisher('/whip/layers', 'green', { simulcast: true });
    const watching = await viewer('/whep/layers', { options: { waitForStart: true } });
    await sees(watching, 'green', 'a layer is seen');
    await ann.close();
    await watching.close();
});

const widthOf = (page) => page.$eval('video', (video) => video.videoWidth);

test('a viewer chooses among the layers, no picture, and the server\'s choice again', async () => {
    // three layers are what browsers make of no less than this
    const ann = await publisher('/whip/choice', 'green', { simulcast: true, width: 960, height: 540 });
    const watching = await viewer('/whep/choice', { options: { waitForStart: true } });
    await sees(watching, 'green', 'a layer is seen');
    await ann.bringToFront();
    const layers = await until('three layers are there to choose', async () => {
        const found = await watching.evaluate(() => globalThis.session.layers());
        return found.length === 3 ? found : Promise.reject(JSON.stringify(found));
    }, 30000);
    assert.deepEqual(layers.map(({ rid, width, height }) => [rid, width, height]), [['2', 960, 540], ['1', 480, 270], ['0', 240, 135]]);
    assert.ok(layers.every(({ bitrate }) => bitrate > 1000));
    const choose = (choice) => watching.evaluate((chosen) => globalThis.session.choose(chosen), choice);
    const shown = (width) => until(`${width} pixels are shown`, async () => (await widthOf(watching)) === width || Promise.reject(await widthOf(watching)), 20000);
    await choose({ rid: '0' });
    await shown(240);
    await choose({ maxWidth: 500, maxHeight: 500 });
    await shown(480);
    await choose({});
    await shown(960);
    await choose({ paused: true });
    await until('pictures stop', async () => {
        const before = await watching.evaluate(() => globalThis.count('video'));
        await watching.evaluate(() => new Promise((resolve) => setTimeout(resolve, 500)));
        return (await watching.evaluate(() => globalThis.count('video'))) === before;
    });
    const heard = await watching.evaluate(() => globalThis.count('audio'));
    await until('sound goes on', async () => (await watching.evaluate(() => globalThis.count('audio'))) > heard + 20);
    await choose({});
    const before = await watching.evaluate(() => globalThis.count('video'));
    await until('pictures come again', async () => (await watching.evaluate(() => globalThis.count('video'))) > before + 5);
    for (const page of [ann, watching]) await page.close();
});

test('a viewer chooses among the spatial layers of one VP9 stream', async () => {
    const ann = await publisher('/whip/svc', 'green', { codec: 'VP9', scalabilityMode: 'L2T1_KEY' });
    const watching = await viewer('/whep/svc', { options: { waitForStart: true } });
    await sees(watching, 'green', 'the picture is seen');
    await ann.bringToFront();
    const layers = await until('two layers are there to choose', async () => {
        const found = await watching.evaluate(() => globalThis.session.layers());
        return found.length === 2 ? found : Promise.reject(JSON.stringify(found));
    }, 30000);
    assert.deepEqual(layers.map(({ rid, width, height }) => [rid, width, height]), [['1', 640, 360], ['0', 320, 180]]);
    const shown = (width) => until(`${width} pixels are shown`, async () => (await widthOf(watching)) === width || Promise.reject(await widthOf(watching)), 20000);
    await watching.evaluate(() => globalThis.session.choose({ rid: '0' }));
    await shown(320);
    await watching.evaluate(() => globalThis.session.choose({}));
    await shown(640);
    for (const page of [ann, watching]) await page.close();
});

/** Leaves a picture where ROOST_SCREENSHOTS says. */
async function picture(page, name) {
    if (process.env.ROOST_SCREENSHOTS) await page.screenshot({ path: `${process.env.ROOST_SCREENSHOTS}/${name}.png` });
}

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
        && document.querySelector('video').videoWidth > 0 && !document.querySelector('.watch-header .live-badge').hidden), 30000);
    await picture(page, 'watch-live');
    assert.equal(await page.$eval('video', (video) => video.muted), true);
    await page.click('.watch-sound');
    assert.equal(await page.$eval('video', (video) => video.muted), false);
    await until('the button has gone', () => page.$eval('.watch-sound', (button) => button.hidden));
    await page.setViewport({ width: 390, height: 844 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    await picture(page, 'watch-live-phone-dark');
    await ann.evaluate(() => globalThis.session.stop());
    await until('it says that the broadcast has paused', async () => /paused/.test(await state()), 30000);
    const again = await publisher('/whip/evening/ann', 'blue');
    await page.bringToFront();
    await until('it goes on by itself', () => page.evaluate(() => document.querySelector('.watch-cover').hidden), 30000);
    assert.deepEqual(errors, []);
    for (const one of [page, ann, again]) await one.close();
});

test('the page /watch has a menu of qualities, for the keyboard too', async () => {
    const ann = await publisher('/whip/menu/ann', 'green', { simulcast: true, width: 960, height: 540 });
    const page = await browser.newPage();
    await page.setViewport({ width: 1280, height: 800 });
    await page.goto(`${roost.url}/watch/menu`);
    await until('the picture is there', () => page.evaluate(() => document.querySelector('.watch-cover').hidden), 30000);
    await ann.bringToFront();
    const labels = () => page.$$eval('.menu button', (buttons) => buttons.map((button) => button.textContent));
    await until('the layers are in the menu', async () => {
        await page.evaluate(() => document.querySelector('.watch-quality').click());
        await until('the menu is open', async () => (await labels()).length > 0);
        if ((await labels()).length === 5) return true;
        await page.evaluate(() => document.querySelector('.watch-quality').click());
        return Promise.reject(JSON.stringify(await labels()));
    }, 30000);
    await page.bringToFront();
    const texts = await labels();
    assert.equal(texts[0], 'Auto');
    assert.match(texts[1], /^540p · [\d.]+ [kM]bit\/s$/);
    assert.match(texts[3], /^135p · /);
    assert.equal(texts[4], 'Sound only');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-checked')), 'true');
    await picture(page, 'watch-quality');
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
    await until('the smallest layer is shown', async () => (await widthOf(page)) === 240, 20000);
    assert.equal(await page.$eval('.watch-quality', (button) => button.textContent), '135p');
    assert.equal(await page.$eval('.watch-quality', (button) => button.getAttribute('aria-label')), 'Picture quality: 135p');
    // on a phone, dark
    await page.setViewport({ width: 390, height: 844 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    await page.click('.watch-quality');
    await until('the menu is open', async () => (await labels()).length === 5);
    await picture(page, 'watch-quality-phone-dark');
    await page.evaluate(() => [...document.querySelectorAll('.menu button')].at(-1).click());
    await until('it says why there is no picture', () => page.$eval('.watch-state', (state) => /as you chose/.test(state.textContent)), 20000);
    await picture(page, 'watch-sound-only-phone-dark');
    await page.focus('.watch-quality');
    await page.keyboard.press('Enter');
    await until('the menu is open', async () => (await labels()).length > 1);
    await page.keyboard.press('Escape');
    assert.deepEqual(await labels(), []);
    assert.ok(await page.evaluate(() => document.activeElement.classList.contains('watch-quality')));
    for (const one of [page, ann]) await one.close();
});

test('a page of another site embeds the viewer with one script tag', async () => {
    const open = await startRoost({ set: { 'app.frame_ancestors': '*' } });
    const { createServer } = await import('node:http');
    const site = createServer((request, response) => {
        response.setHeader('Content-Type', 'text/html');
        response.end(`<!doctype html><title>Site</title><p>Before</p><script src="${open.url}/sdk/embed.js" data-room="stage" data-token="a.b.c"></script>`);
    });
    await new Promise((resolve) => site.listen(0, '127.0.0.1', () => resolve(undefined)));
    try {
        const page = await browser.newPage();
        await page.goto(`http://localhost:${/** @type {import('node:net').AddressInfo} */ (site.address()).port}/`);
        const frame = await until('the frame has the viewer', async () => {
            const found = page.frames().find((one) => one.url().startsWith(`${open.url}/watch/stage`));
            return found && (await found.$('.watch-page.embedded')) ? found : null;
        });
        assert.equal(new URL(frame.url()).hash, '#token=a.b.c');
        await until('it waits for the broadcast', () => frame.$eval('.watch-state', (element) => /Nothing is live/.test(element.textContent ?? '')));
        await page.close();
    } finally {
        site.close();
        await open.stop();
    }
});
