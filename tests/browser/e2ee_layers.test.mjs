// The server chooses layers of pictures that it cannot read: by descriptors and by what stands before each payload.
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

const key = 'correct horse battery staple';
const encrypted = (wanted) => followsWishes({ chrome, url: roost.url }, { key, ...wanted });

test('encrypted VP8 simulcast: a viewer gets the size and the frame rate that it wishes', () => encrypted({
    room: 'vp8', codec: 'video/VP8', mode: 'L1T3', fps: 12, width: 640, sizes: [320], temporal: true,
    encodings: [
        { rid: 'm', maxBitrate: 400_000, scaleResolutionDownBy: 2, scalabilityMode: 'L1T3' },
        { rid: 'h', maxBitrate: 1_200_000, scaleResolutionDownBy: 1, scalabilityMode: 'L1T3' },
    ],
}));

test('encrypted VP9 L2T3_KEY: the same within one stream', () => encrypted({ room: 'vp9', codec: 'video/VP9', mode: 'L2T3_KEY', fps: 12, width: 640, sizes: [320], temporal: true }));

test('encrypted AV1 L2T3: the same by the dependency descriptor alone', () => encrypted({ room: 'av1', codec: 'video/AV1', mode: 'L2T3', fps: 12, width: 480, sizes: [240], temporal: true }));
