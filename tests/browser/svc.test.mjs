// Layers inside one stream, as a real browser encodes and decodes them: VP9 in sizes and frame rates, H.264
// in frame rates, VP8 simulcast with frame rates.
import { after, before, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { startRoost } from './helpers/roost.mjs';
import { followsWishes } from './helpers/scalable.mjs';

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

test('VP9 L3T3_KEY', () => followsWishes({ chrome, url: roost.url }, { room: 'vp9', codec: 'video/VP9', mode: 'L3T3_KEY', fps: 20, sizes: [480, 240], temporal: true }));

test('H.264 L1T3', () => followsWishes({ chrome, url: roost.url }, { room: 'h264', codec: 'video/H264', mode: 'L1T3', fps: 20, width: 480, sizes: [], temporal: true }));

test('VP8 simulcast with three frame rates each', () => followsWishes({ chrome, url: roost.url }, {
    room: 'vp8', codec: 'video/VP8', mode: 'L1T3', fps: 20, sizes: [480], temporal: true,
    encodings: [
        { rid: 'm', maxBitrate: 400_000, scaleResolutionDownBy: 2, scalabilityMode: 'L1T3' },
        { rid: 'h', maxBitrate: 1_200_000, scaleResolutionDownBy: 1, scalabilityMode: 'L1T3' },
    ],
}));
