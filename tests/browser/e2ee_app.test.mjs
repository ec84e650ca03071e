// The application's encrypted rooms: the key is in the link, and the page says who has it.
// ROOST_PICTURES=FOLDER keeps pictures of each state to be looked at.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** Whatever left a browser for the server's HTTP side. */
const requested = [];

before(async () => {
    roost = await startRoost();
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

async function picture(page, name) {
    const folder = process.env.ROOST_PICTURES;
    if (!folder) return;
    await page.bringToFront();
    for (const scheme of ['light', 'dark']) {
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        for (const [size, width, height] of [['wide', 1280, 800], ['phone', 390, 844]]) {
            await page.setViewport({ width, height });
            await new Promise((resolve) => setTimeout(resolve, 400));
            await page.screenshot({ path: `${folder}/${name}-${size}-${scheme}.png` });
        }
    }
    await page.setViewport({ width: 1280, height: 800 });
}

async function open(path, name) {
    const page = await (await chrome.createBrowserContext()).newPage();
    page.on('request', (request) => requested.push(request.url().split('#')[0], request.postData() ?? ''));
    await page.setViewport({ width: 1280, height: 800 });
    await page.goto(new URL(path, roost.url).href);
    await page.waitForSelector('#name');
    await page.type('#name', name);
    return page;
}

const enter = async (page) => {
    await page.bringToFront();
    await page.click('.primary[type=submit]');
    await page.waitForSelector('.room');
};
const text = (page, selector) => page.evaluate((query) => [...document.querySelectorAll(query)].filter((element) => element.checkVisibility()).map((element) => element.textContent), selector);

test('an encrypted room: made, joined by its whole link, and not without its key', async () => {
    const ann = await open('/', 'Ann');
    await ann.click('label[for=encrypt]');
    await picture(ann, 'lobby-encrypt');
    await enter(ann);
    const link = ann.url();
    const { hash, pathname } = new URL(link);
    assert.match(hash, /^#key=[\w-]{22}$/);
    assert.deepEqual(await text(ann, '.chip.encrypted'), ['End-to-end encrypted']);
    assert.ok((await text(ann, '.alone output'))[0].endsWith(hash), 'the link to be sent has the key');

    const ben = await open(link, 'Ben');
    assert.equal((await text(ben, '.encrypted-link')).length, 1);
    await picture(ben, 'lobby-encrypted-link');
    await enter(ben);
    for (const page of [ann, ben]) {
        await page.bringToFront();
        await until('both are seen', async () => (await page.$$('.tile.has-picture')).length === 2);
        assert.deepEqual(await text(page, '.banner'), []);
    }
    const words = [];
    for (const page of [ann, ben]) {
        await page.bringToFront();
        await page.click('.chip.encrypted');
        words.push(...(await text(page, '.words')));
        assert.match((await text(page, '.encryption ul'))[0], /Has the key.*Has the key/);
        if (page === ann) await picture(page, 'dialog');
        await page.keyboard.press('Escape');
    }
    assert.equal(words[0], words[1]);

    const eve = await open(pathname, 'Eve');
    await enter(eve);
    await until('Eve is told to open the whole link', async () => (await text(eve, '.banner')).some((line) => /whole link/.test(line)));
    await until('Ann is told', async () => (await text(ann, '.banner')).some((line) => /^Eve joined without the key/.test(line)));
    await until('Eve sees herself', async () => (await eve.$$('.tile.has-picture')).length > 0);
    assert.equal((await eve.$$('.tile.has-picture')).length, 1, 'and nobody else');
    await picture(eve, 'without-key');
    const mallory = await open(`${pathname}#key=AAAAAAAAAAAAAAAAAAAAAA`, 'Mallory');
    await enter(mallory);
    await until('Mallory is told', async () => (await text(mallory, '.tile .note')).some((line) => /^Has another key/.test(line)));
    await until('Ann hears of both', async () => (await text(ann, '.banner')).some((line) => /^2 people/.test(line)));
    await picture(ann, 'two-without');
    await picture(mallory, 'wrong-key');
    assert.ok((await text(ann, '.chip.encrypted'))[0] === 'Not with everybody');

    const key = hash.slice(5);
    assert.ok(requested.length > 10 && !requested.some((sent) => sent.includes(key)), 'no request has the key');
    assert.ok(!roost.log.some((line) => line.includes(key)));
});
