// Simulcast by somebody who was in the room for a while: Chromium offers the ids of streams in a new
// section only where earlier ones, slots among them, have agreed on them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, roomPage, wish } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

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

/** Which encodings of the page's camera are to be sent. */
const active = (page) => page.evaluate(() => globalThis.test.share.publication.transceiver.sender.getParameters().encodings.map((encoding) => encoding.active));

test('three sizes are sent by who comes late, and rest while nobody watches them', async () => {
    const viewer = await roomPage(chrome, roost.url, { room: 'late', name: 'ben', publish: false });
    const publisher = await roomPage(chrome, roost.url, { room: 'late', name: 'ann', publish: false });
    await until('slots are there', () => publisher.evaluate(() => globalThis.test.room.peerConnection.signalingState === 'stable'
        && globalThis.test.room.peerConnection.getTransceivers().length > 0));
    await publisher.evaluate(async () => {
        const picture = globalThis.movingPicture({ fill: 'green', size: [640, 360], fps: 10 });
        globalThis.test.share = await globalThis.test.room.publish(picture, { source: 'camera', simulcast: true });
    });
    assert.deepEqual(await active(publisher), [true, true, true]);
    await until('pictures', async () => (await viewer.evaluate(() => globalThis.test.look())).some(({ frames }) => frames > 5));
    await wish(viewer, { width: 160, height: 90 });
    await until('the larger sizes rest', async () => String(await active(publisher)) === 'true,false,false');
    await wish(viewer, null);
    await until('all are sent again', async () => String(await active(publisher)) === 'true,true,true');
    for (const page of [publisher, viewer]) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        await page.close();
    }
});
