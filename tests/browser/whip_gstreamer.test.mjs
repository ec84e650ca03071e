// GStreamer publishes H.264 and VP8 by WHIP to Chromium and to itself, and watches Chromium by WHEP.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { gstreamerMissing, GstPeer } from '../support/gstreamer.mjs';
import { chromium, colours, sameColour } from './helpers/browsers.mjs';
import { addMovingPicture } from './helpers/moving_picture.mjs';
import { startRoost, until } from './helpers/roost.mjs';

const missing = gstreamerMissing();
const skip = missing ? `not installed: ${missing}` : false;
/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
    if (skip) return;
    [roost, browser] = await Promise.all([startRoost(), chromium()]);
});
after(async () => {
    await browser?.close();
    await roost?.stop();
});

const argb = (/** @type {number[]} */ rgb) => `0xff${rgb.map((part) => part.toString(16).padStart(2, '0')).join('')}`;

async function blankPage() {
    const page = await browser.newPage();
    await page.goto(`${roost.url}/healthz`);
    return page;
}

async function chromiumSees(path, colour) {
    const page = await blankPage();
    await page.evaluate(async (endpoint) => {
        const { watch } = await import('/sdk/whep.js');
        const video = document.createElement('video');
        Object.assign(video, { muted: true, autoplay: true, playsInline: true });
        document.body.append(video);
        globalThis.look = () => {
            const context = new OffscreenCanvas(16, 16).getContext('2d');
            context.drawImage(video, 0, 0, 16, 16);
            return [...context.getImageData(8, 8, 1, 1).data].slice(0, 3);
        };
        globalThis.session = await watch(endpoint, { waitForStart: true });
        video.srcObject = globalThis.session.stream;
        void video.play().catch(() => {});
    }, path);
    await until(`Chromium sees ${colour}`, async () => {
        const rgb = await page.evaluate(() => globalThis.look());
        return sameColour(rgb, colours[colour]) || Promise.reject(JSON.stringify(rgb));
    });
    const received = await until('packets of both kinds', async () => {
        const found = await page.evaluate(inbound);
        return found.audio?.packets > 0 && found.video && found;
    });
    await page.close();
    return received;
}

/** Runs in the page. */
async function inbound() {
    const reports = [...(await globalThis.session.peerConnection.getStats()).values()];
    return Object.fromEntries(reports.filter(({ type }) => type === 'inbound-rtp')
        .map((report) => [report.kind, { codec: reports.find(({ id }) => id === report.codecId)?.mimeType, packets: report.packetsReceived }]));
}

for (const [codec, mimeType, colour] of [['h264', 'video/H264', 'green'], ['vp8', 'video/VP8', 'blue']]) {
    test(`GStreamer publishes ${codec}: Chromium shows it, and GStreamer decodes it`, { skip }, async () => {
        const publisher = GstPeer.start('publish', `${roost.url}/whip/${codec}/gst`, codec, argb(colours[colour]));
        await publisher.connected();
        const received = await chromiumSees(`/whep/${codec}/gst`, colour);
        assert.equal(received.video.codec, mimeType);
        const viewer = GstPeer.start('watch', `${roost.url}/whep/${codec}`);
        await viewer.said('pictures and sound are decoded', ({ audio, video }) => audio > 40 && video > 20);
        assert.equal(await viewer.stop(), 200);
        assert.equal(await publisher.stop(), 200);
    });
}

test('GStreamer watches what Chromium publishes', { skip }, async () => {
    const page = await blankPage();
    await page.bringToFront();
    await addMovingPicture(page);
    await page.evaluate(async () => {
        const { publish } = await import('/sdk/whip.js');
        globalThis.session = await publish('/whip/canvas/chromium', new MediaStream([globalThis.movingPicture()]));
    });
    await until('it is live', async () => (await fetch(`${roost.url}/whep/canvas`, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: '' })).status === 400);
    const viewer = GstPeer.start('watch', `${roost.url}/whep/canvas/chromium`);
    await viewer.said('pictures are decoded', ({ video }) => video >= 20);
    assert.equal(await viewer.stop(), 200);
    await page.close();
});
