// Every codec that passes through, and a slot whose codec changes with its track.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, colours, roomPage, sameColour } from './helpers/browsers.mjs';
import { css } from './helpers/moving_picture.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
    roost = await startRoost();
    browser = await chromium();
});

after(async () => {
    await browser?.close();
    await roost?.stop();
});

test('VP8, H.264, VP9 and AV1 follow each other in one slot', async () => {
    const publisher = await roomPage(browser, roost.url, { room: 'codecs', name: 'ann', publish: false });
    const viewer = await roomPage(browser, roost.url, { room: 'codecs', name: 'ben', publish: false });
    const codecs = [['video/VP8', 'red'], ['video/H264', 'green'], ['video/VP9', 'blue'], ['video/AV1', 'yellow']];
    for (const [codec, colour] of codecs) {
        await publisher.bringToFront();
        await publisher.evaluate(async (mime, fill) => {
            globalThis.test.share = await globalThis.test.room.publish(globalThis.movingPicture({ fill }), { source: 'camera', codec: mime });
        }, codec, css(colours[colour]));
        await until(`${codec} is seen`, async () => {
            const seen = await viewer.evaluate(() => globalThis.test.look());
            return seen.some((tile) => tile.from === 'ann' && sameColour(tile.rgb, colours[colour])) || Promise.reject(JSON.stringify(seen));
        });
        const decoded = await viewer.evaluate(async () => {
            const stats = [...(await globalThis.test.room.peerConnection.getStats()).values()];
            return stats.filter((report) => report.type === 'inbound-rtp' && report.kind === 'video' && report.framesDecoded > 0)
                .map((report) => stats.find((other) => other.id === report.codecId)?.mimeType);
        });
        assert.ok(decoded.includes(codec), `${codec} is what was decoded: ${decoded}`);
        await publisher.evaluate(() => globalThis.test.room.unpublish(globalThis.test.share));
        await until('it is gone', async () => (await viewer.evaluate(() => globalThis.test.look())).length === 0);
    }
});
