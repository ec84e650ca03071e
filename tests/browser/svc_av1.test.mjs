// Layers inside one stream of AV1, which receivers tell apart by the dependency descriptor alone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, roomPage } from './helpers/browsers.mjs';
import { startRoost } from './helpers/roost.mjs';
import { followsWishes, publish, rateIs, widthIs } from './helpers/scalable.mjs';

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

test('AV1 L1T3', () => followsWishes({ chrome, url: roost.url }, { room: 'l1', codec: 'video/AV1', mode: 'L1T3', fps: 12, width: 480, sizes: [], temporal: true }));

test('AV1 L2T3', () => followsWishes({ chrome, url: roost.url }, { room: 'l2', codec: 'video/AV1', mode: 'L2T3', fps: 12, width: 480, sizes: [240], temporal: true }));

test('AV1 L2T3_KEY', () => followsWishes({ chrome, url: roost.url }, { room: 'key', codec: 'video/AV1', mode: 'L2T3_KEY', fps: 12, width: 480, sizes: [240] }));

test('who does not take the descriptor gets the small size', async () => {
    const publisher = await roomPage(chrome, roost.url, { room: 'plain', name: 'ann', publish: false });
    const viewer = await roomPage(chrome, roost.url, {
        room: 'plain', name: 'ben', publish: false,
        prepare: (page) => page.evaluateOnNewDocument(() => { delete RTCRtpTransceiver.prototype.setHeaderExtensionsToNegotiate; }),
    });
    await publish(publisher, 'video/AV1', [{ scalabilityMode: 'L2T3', maxBitrate: 800_000 }], 12, 480);
    await widthIs(viewer, 240);
    await rateIs(viewer, 'frames', (seen) => seen > 3);
    assert.ok(!(await viewer.evaluate(() => globalThis.test.room.peerConnection.localDescription.sdp)).includes('dependency-descriptor'));
});
