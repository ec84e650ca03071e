// End-to-end encryption with real browsers: who has the key sees and hears, nobody else does.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, colours, everyoneMeets, firefox, roomPage, sameColour } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    roost = await startRoost();
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

const ann = { name: 'ann', colour: 'red', hertz: 440 };
const ben = { name: 'ben', colour: 'green', hertz: 880 };
const cleo = { name: 'cleo', colour: 'blue', hertz: 1760 };
const key = 'correct horse battery staple';

async function leave(pages) {
    for (const page of pages) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        assert.deepEqual(page.problems, []);
        await page.close();
    }
}

const join = (browser, room, person, options = {}) => roomPage(browser, roost.url, { room, key, ...person, ...options });
/** What each other member is to a page: `{ ann: 'secure' }`. */
const security = (page) => page.evaluate(() => {
    const { room } = globalThis.test;
    return Object.fromEntries([...room.members.values()].filter(({ self }) => !self).map((member) => [member.name, room.e2ee.security(member)]));
});

for (const codec of ['video/VP8', 'video/VP9', 'video/H264', 'video/AV1']) {
    test(`${codec}: Chromium and Firefox see and hear each other, encrypted`, async () => {
        const room = codec.replace('video/', 'e2ee-');
        const pages = [await join(chrome, room, ann, { codec }), await join(chrome, room, cleo, { publish: false })];
        // Firefox has no H.264 without a download
        if (codec !== 'video/H264') pages.push(await join(fox, room, ben, { codec: codec === 'video/AV1' ? 'video/VP8' : codec }));
        await everyoneMeets(pages, codec === 'video/H264' ? [ann] : [ann, ben]);
        const words = new Set(await Promise.all(pages.map((page) => page.evaluate(() => globalThis.test.room.e2ee.words))));
        assert.equal(words.size, 1, 'all read the same words');
        const decoded = await pages[1].evaluate(async () => {
            const stats = [...(await globalThis.test.room.peerConnection.getStats()).values()];
            return stats.filter((report) => report.type === 'inbound-rtp' && report.kind === 'video' && report.framesDecoded > 0)
                .map((report) => stats.find((other) => other.id === report.codecId)?.mimeType);
        });
        assert.ok(decoded.includes(codec), `${codec} is what was decoded: ${decoded}`);
        await leave(pages);
    });
}
