// Takes docs/images/call.png: a real call through a real server, with drawn people as cameras.
//
//     ROOST_BINARY=build/release/roost node tests/browser/readme_picture.mjs [FILE]
import { chromium } from './helpers/browsers.mjs';
import { installFakeMedia } from './helpers/fake_media.js';
import { startRoost, until } from './helpers/roost.mjs';

const file = process.argv[2] ?? new URL('../../docs/images/call.png', import.meta.url).pathname;
const roost = await startRoost();
const browser = await chromium({ extra: ['--hide-scrollbars'] });
const names = ['You', 'Moderator', 'Second guest', 'Third guest'];
try {
    const pages = [];
    for (const [index, name] of names.entries()) {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        await page.setViewport({ width: index === 0 ? 1280 : 640, height: index === 0 ? 800 : 360 });
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
        await page.evaluateOnNewDocument(installFakeMedia, { camera: 'ok', seed: 4 + index * 3, real: true });
        await page.goto(`${roost.url}/r/monday-planning`);
        await page.type('#name', name);
        await page.click('button[type=submit]');
        await until(`${name} is in the room`, () => page.evaluate(() => globalThis.roostApp.room !== null));
        pages.push(page);
    }
    await until('all pictures are there', () => pages[0].evaluate(async () =>
        [...(await globalThis.roostApp.room.peerConnection.getStats()).values()]
            .filter((report) => report.type === 'inbound-rtp' && report.kind === 'video' && report.framesDecoded > 20).length >= 3));
    await pages[0].bringToFront();
    await until('it is drawn', () => pages[0].evaluate(() => [...document.querySelectorAll('video')].filter((video) => video.videoWidth > 200).length >= 4));
    await pages[0].screenshot({ path: file });
    console.log(file);
} finally {
    await browser.close();
    await roost.stop();
}
