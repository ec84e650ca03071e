// Private calls in the application that are held, and handed on to somebody else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { joinByKeyboard, playing } from './helpers/app_pages.mjs';
import { chromium } from './helpers/browsers.mjs';
import { callPage, talks } from './helpers/peer_to_peer.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
    roost = await startRoost({ workers: 1 });
    browser = await chromium({ extra: ['--use-fake-device-for-media-stream=fps=5'] });
});

after(async () => {
    await browser?.close();
    await roost?.stop();
});

/** A new person's page, who joins. */
const join = (path, name) => joinByKeyboard(browser, roost.url + path, name);

/** Chooses an entry of the menu behind the dots. */
async function choose(page, label) {
    await page.click('[aria-label="More"]');
    await page.waitForSelector('[role="menu"] button');
    await page.evaluate((wanted) => [...document.querySelectorAll('[role="menu"] button')].find(({ textContent }) => textContent.includes(wanted)).click(), label);
}

const banner = (page, subject) => page.evaluate((wanted) => document.querySelector(`[data-subject="${wanted}"]`)?.textContent ?? '', subject);
const talking = (page) => page.evaluate(() => globalThis.roostApp.call?.state === 'connected');

test('a private call is held, and handed on to somebody else', async () => {
    const one = await join('/call/a-busy-meeting-place', 'Caller');
    const two = await join('/call/a-busy-meeting-place', 'Callee');
    await Promise.all([one, two].map((page) => until('the call is up', () => talking(page))));
    await choose(one, 'Put on hold');
    await until('who holds reads it', async () => (await banner(one, 'held')).includes('on hold'));
    await until('who is held reads by whom', async () => (await banner(two, 'held')).includes('Caller put the call on hold'));
    await one.click('[data-subject="held"] button');
    await until('it goes on', async () => (await banner(two, 'held')) === '');
    // nobody there first, then somebody
    await choose(one, 'Transfer');
    await one.type('#transfer-user', 'nobody-there');
    await one.keyboard.press('Enter');
    await one.waitForFunction(() => document.body.textContent.includes('Nobody can be reached under this name'));
    const third = await callPage(browser, roost.url, 'Third');
    await third.evaluate(async () => {
        const { client, use, picture } = globalThis.test;
        await client.register('third-one');
        client.on('incoming-call', (call) => {
            use(call);
            void call.accept({ tracks: [picture()] });
        });
    });
    await choose(one, 'Transfer');
    await one.type('#transfer-user', 'third-one');
    await one.keyboard.press('Enter');
    await until('who handed the call on is out of it', async () => (await one.evaluate(() => document.querySelector('h1')?.textContent ?? '')).includes('handed the call on'));
    await until('the two others talk', async () => (await talking(two)) && (await two.evaluate(() => globalThis.roostApp.call.peer)) === 'third-one');
    await talks(third, 'the third sees who was handed on');
    await playing(two, 2);
    assert.equal(await two.evaluate(() => document.querySelector('h1').textContent), 'Third');
    assert.deepEqual([...one.problems, ...two.problems], []);
    await Promise.all([one.context.close(), two.context.close(), third.close()]);
});
