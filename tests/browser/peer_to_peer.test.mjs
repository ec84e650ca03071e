// One-to-one calls by link: media goes from browser to browser, the server only introduces them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, firefox } from './helpers/browsers.mjs';
import { callPage, meetByLink, talks } from './helpers/peer_to_peer.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    roost = await startRoost({ workers: 1 });
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

for (const [name, browsers] of [['Chromium and Chromium', () => [chrome, chrome]], ['Chromium and Firefox', () => [chrome, fox]]]) {
    test(`${name} talk directly after meeting at a link`, async () => {
        const [one, other] = browsers();
        const first = await callPage(one, roost.url, 'first');
        const second = await callPage(other, roost.url, 'second');
        await meetByLink(first, second);
        await talks(first, 'the first sees the second');
        await talks(second, 'the second sees the first');
        // the server has seen no media at all
        const sessions = await roost.metric('media_sessions_adopted_total');
        assert.equal(Object.values(sessions).reduce((a, b) => a + b, 0), 0);
        await first.evaluate(() => globalThis.test.call.hangup());
        await until('the other hears of the end', () => second.evaluate(() => globalThis.test.ended !== null));
        await Promise.all([first.close(), second.close()]);
    });
}
