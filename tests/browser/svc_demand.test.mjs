// Spatial layers of one stream that nobody watches are not encoded.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { smallestLayers } from '../../web/sdk/layers_sent.js';
import { chromium, roomPage, wish } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';
import { publish, rateIs, widthIs } from './helpers/scalable.mjs';

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

test('the smallest layers of an encoding keep their sizes', () => {
    const whole = { maxBitrate: 1_000_000, scalabilityMode: 'L3T3_KEY' };
    assert.equal(smallestLayers(whole, 'L3T3_KEY', 3), whole);
    assert.deepEqual(smallestLayers(whole, 'L3T3_KEY', 2), { maxBitrate: 460_189, scalabilityMode: 'L2T3_KEY', scaleResolutionDownBy: 2 });
    assert.deepEqual(smallestLayers(whole, 'L3T3_KEY', 1), { maxBitrate: 163_293, scalabilityMode: 'L1T3', scaleResolutionDownBy: 4 });
    // a picture that is too small for three
    assert.equal(smallestLayers(whole, 'L2T3_KEY', 2), whole);
    assert.equal(smallestLayers(whole, 'L2T3_KEY', 1).scaleResolutionDownBy, 2);
    assert.deepEqual(smallestLayers({ scaleResolutionDownBy: 2 }, 'L3T1h', 2), { scalabilityMode: 'L2T1h', scaleResolutionDownBy: 3 });
    assert.equal(smallestLayers(whole, 'L1T3', 1), whole);
});

/** What the publisher encodes. */
const encoded = (page) => page.evaluate(async () => {
    const report = [...(await globalThis.test.share.publication.transceiver.sender.getStats()).values()].find(({ type }) => type === 'outbound-rtp');
    return { mode: report.scalabilityMode, width: report.frameWidth };
});

const encodes = (page, mode, width) => until(`${mode} of ${width} is encoded`, async () => {
    const seen = await encoded(page);
    return (seen.mode === mode && seen.width === width) || Promise.reject(JSON.stringify(seen));
});

test('sizes of a VP9 stream rest while all viewers want small pictures', async () => {
    const publisher = await roomPage(chrome, roost.url, { room: 'rest', name: 'ann', publish: false });
    const viewer = await roomPage(chrome, roost.url, { room: 'rest', name: 'ben', publish: false });
    await publish(publisher, 'video/VP9', [{ scalabilityMode: 'L3T3_KEY', maxBitrate: 1_500_000 }], 15, 960);
    await widthIs(viewer, 960);
    await encodes(publisher, 'L3T3_KEY', 960);
    await wish(viewer, { width: 240, height: 135 });
    await encodes(publisher, 'L1T3', 240);
    await widthIs(viewer, 240);
    await rateIs(viewer, 'small pictures', (seen) => seen > 5);
    assert.deepEqual(await encoded(publisher), { mode: 'L1T3', width: 240 });
    await wish(viewer, null);
    await encodes(publisher, 'L3T3_KEY', 960);
    await widthIs(viewer, 960);
    await rateIs(viewer, 'large pictures', (seen) => seen > 5);
    for (const page of [publisher, viewer]) assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
});
