// The layers of a broadcast in real browsers: what there is, what a viewer chooses, and what it then sees.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';
import { picture, sees, whipPages, widthOf } from './helpers/whip_pages.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;
/** @type {ReturnType<typeof whipPages>['publisher']} */
let publisher;
/** @type {ReturnType<typeof whipPages>['viewer']} */
let viewer;

before(async () => {
    roost = await startRoost();
    browser = await chromium();
    ({ publisher, viewer } = whipPages(browser, roost.url));
});

after(async () => {
    await browser?.close();
    await roost?.stop();
});

test('a simulcast publisher is seen', async () => {
    const ann = await publisher('/whip/layers', 'green', { simulcast: true });
    const watching = await viewer('/whep/layers', { options: { waitForStart: true } });
    await sees(watching, 'green', 'a layer is seen');
    await ann.close();
    await watching.close();
});

test('a viewer chooses among the layers, no picture, and the server\'s choice again', async () => {
    // three layers are what browsers make of no less than this
    const ann = await publisher('/whip/choice', 'green', { simulcast: true, width: 960, height: 540 });
    const watching = await viewer('/whep/choice', { options: { waitForStart: true } });
    await sees(watching, 'green', 'a layer is seen');
    await ann.bringToFront();
    const layers = await until('three layers are there to choose', async () => {
        const found = await watching.evaluate(() => globalThis.session.layers());
        return found.length === 3 && found.every(({ bitrate, width }) => bitrate > 1000 && width > 0) ? found : Promise.reject(JSON.stringify(found));
    });
    assert.deepEqual(layers.map(({ rid, width, height }) => [rid, width, height]), [['2', 960, 540], ['1', 480, 270], ['0', 240, 135]]);
    const choose = (choice) => watching.evaluate((chosen) => globalThis.session.choose(chosen), choice);
    const shown = (width) => until(`${width} pixels are shown`, async () => (await widthOf(watching)) === width || Promise.reject(await widthOf(watching)));
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

test('a page is told which layers there are, chooses one, and the picture changes its size', async () => {
    const ann = await publisher('/whip/told', 'green', { simulcast: true, width: 960, height: 540 });
    const watching = await viewer('/whep/told', { options: { waitForStart: true } });
    await sees(watching, 'green', 'a layer is seen');
    await watching.evaluate(() => {
        globalThis.told = { layers: [], active: 0, inactive: 0, viewers: 0 };
        globalThis.session.listen({
            layers: (layers) => globalThis.told.layers.push(layers.map(({ rid, width, height }) => ({ rid, width, height }))),
            active: () => { globalThis.told.active++; },
            inactive: () => { globalThis.told.inactive++; },
            viewers: (count) => { globalThis.told.viewers = count; },
        });
    });
    await ann.bringToFront();
    const told = () => watching.evaluate(() => globalThis.told);
    const heard = (what, fits) => until(what, async () => fits(await told()) || Promise.reject(JSON.stringify(await told())));
    await heard('three layers are told', ({ layers }) => `${layers.at(-1)?.map(({ width, height }) => `${width}x${height}`)}` === '960x540,480x270,240x135');
    const layers = (await told()).layers.at(-1);
    await heard('something comes, and one is watching', ({ active, viewers }) => active >= 1 && viewers === 1);
    for (const { rid, width } of [layers[2], layers[0], layers[1]]) {
        await watching.evaluate((chosen) => globalThis.session.choose({ rid: chosen }), rid);
        await until(`${width} pixels are shown`, async () => (await widthOf(watching)) === width || Promise.reject(await widthOf(watching)));
    }
    // the broadcast ends, and begins again with one size. A busy machine may have made it pause before
    const before = await told();
    await ann.evaluate(() => globalThis.session.stop());
    await heard('there is nothing to choose', ({ layers: [...all], inactive }) => all.at(-1).length === 0 && inactive > before.inactive);
    const ended = await told();
    const again = await publisher('/whip/told', 'blue', { width: 640, height: 360 });
    await heard('one layer is told', ({ layers: [...all], active }) => all.at(-1).length === 1 && all.at(-1)[0].width === 640 && active > ended.active);
    for (const page of [ann, again, watching]) await page.close();
});

test('a viewer chooses among the spatial layers of one VP9 stream', async () => {
    const ann = await publisher('/whip/svc', 'green', { codec: 'VP9', scalabilityMode: 'L2T1_KEY' });
    const watching = await viewer('/whep/svc', { options: { waitForStart: true } });
    await sees(watching, 'green', 'the picture is seen');
    await ann.bringToFront();
    const layers = await until('two layers are there to choose', async () => {
        const found = await watching.evaluate(() => globalThis.session.layers());
        return found.length === 2 ? found : Promise.reject(JSON.stringify(found));
    });
    assert.deepEqual(layers.map(({ rid, width, height }) => [rid, width, height]), [['1', 640, 360], ['0', 320, 180]]);
    const shown = (width) => until(`${width} pixels are shown`, async () => (await widthOf(watching)) === width || Promise.reject(await widthOf(watching)));
    await watching.evaluate(() => globalThis.session.choose({ rid: '0' }));
    await shown(320);
    await watching.evaluate(() => globalThis.session.choose({}));
    await shown(640);
    for (const page of [ann, watching]) await page.close();
});

test('the page /watch has a menu of qualities, for the keyboard too', async () => {
    const ann = await publisher('/whip/menu/ann', 'green', { simulcast: true, width: 960, height: 540 });
    const page = await browser.newPage();
    await page.setViewport({ width: 1280, height: 800 });
    await page.goto(`${roost.url}/watch/menu`);
    await until('the picture is there', () => page.evaluate(() => document.querySelector('.watch-cover').hidden));
    await ann.bringToFront();
    const labels = () => page.$$eval('.menu button', (buttons) => buttons.map((button) => button.textContent));
    await until('the layers are in the menu', async () => {
        await page.evaluate(() => document.querySelector('.watch-quality').click());
        await until('the menu is open', async () => (await labels()).length > 0);
        if ((await labels()).length === 5) return true;
        await page.evaluate(() => document.querySelector('.watch-quality').click());
        return Promise.reject(JSON.stringify(await labels()));
    });
    await page.bringToFront();
    const texts = await labels();
    assert.equal(texts[0], 'Auto');
    assert.match(texts[1], /^540p · [\d.]+ [kM]bit\/s$/);
    assert.match(texts[3], /^135p · /);
    assert.equal(texts[4], 'Sound only');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-checked')), 'true');
    await picture(page, 'watch-quality');
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
    await until('the smallest layer is shown', async () => (await widthOf(page)) === 240);
    assert.equal(await page.$eval('.watch-quality', (button) => button.textContent), '135p');
    assert.equal(await page.$eval('.watch-quality', (button) => button.getAttribute('aria-label')), 'Picture quality: 135p');
    // on a phone, dark
    await page.setViewport({ width: 390, height: 844 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    await page.click('.watch-quality');
    await until('the menu is open', async () => (await labels()).length === 5);
    await picture(page, 'watch-quality-phone-dark');
    await page.evaluate(() => [...document.querySelectorAll('.menu button')].at(-1).click());
    await until('it says why there is no picture', () => page.$eval('.watch-state', (state) => /as you chose/.test(state.textContent)));
    await picture(page, 'watch-sound-only-phone-dark');
    await page.focus('.watch-quality');
    await page.keyboard.press('Enter');
    await until('the menu is open', async () => (await labels()).length > 1);
    await page.keyboard.press('Escape');
    assert.deepEqual(await labels(), []);
    assert.ok(await page.evaluate(() => document.activeElement.classList.contains('watch-quality')));
    for (const one of [page, ann]) await one.close();
});
