/** Layers inside one stream: a page that encodes them, a page that looks at what comes of them. */

import assert from 'node:assert/strict';

import { roomPage, wish } from './browsers.mjs';
import { until } from './roost.mjs';

/** Publishes a moving picture. Returns the modes that the browser has taken, one per encoding. */
export function publish(page, codec, encodings, fps, width) {
    return page.evaluate(async (mime, sendEncodings, size, rate) => {
        globalThis.test.share = await globalThis.test.room.publish(globalThis.movingPicture({ size, fps: rate, boxes: 12 }),
            { source: 'camera', codec: mime, encodings: sendEncodings });
        const { sender } = globalThis.test.share.publication.transceiver;
        // a busy machine makes the encoder drop frames, not halve the picture
        const parameters = sender.getParameters();
        parameters.degradationPreference = 'maintain-resolution';
        await sender.setParameters(parameters);
        return sender.getParameters().encodings.map(({ scalabilityMode }) => scalabilityMode);
    }, codec, encodings, [width, (width * 9) / 16], fps);
}

/** What the viewer decodes. */
export const look = (page) => page.evaluate(async () => {
    const report = [...(await globalThis.test.room.peerConnection.getStats()).values()]
        .find(({ type, kind, framesDecoded }) => type === 'inbound-rtp' && kind === 'video' && framesDecoded > 0);
    return report ? { width: report.frameWidth, frames: report.framesDecoded, at: report.timestamp, freezes: report.freezeCount ?? 0,
        pli: report.pliCount, dropped: report.framesDropped, bytes: report.bytesReceived } : { width: 0, frames: 0, at: 0, freezes: 0 };
});

/** Frames and bits per second over some time. */
export async function rates(page, ms = 1500) {
    const before = await look(page);
    await new Promise((resolve) => { setTimeout(resolve, ms); });
    const now = await look(page);
    const seconds = (now.at - before.at) / 1000;
    return { fps: (now.frames - before.frames) / seconds, bps: ((now.bytes - before.bytes) * 8) / seconds };
}

/** Until so many frames come in a second: the machine may be busy, and the encoder slow at first. */
export const rateIs = (page, what, fits) => until(what, async () => {
    const seen = await rates(page);
    return fits(seen.fps) ? seen : Promise.reject(JSON.stringify(seen));
});

export const widthIs = (page, width) => until(`pictures of ${width}`, async () => {
    const seen = await look(page);
    return seen.width === width || Promise.reject(JSON.stringify(seen));
});

/**
 * A viewer gets smaller pictures when it wishes for them, slower ones too, and all of it again. key: of end-to-end
 * encryption
 */
export async function followsWishes({ chrome, url }, { room, codec, mode, fps, sizes, temporal, encodings, width = 960, key }) {
    const publisher = await roomPage(chrome, url, { room, name: 'ann', publish: false, key });
    const viewer = await roomPage(chrome, url, { room, name: 'ben', publish: false, key });
    const modes = await publish(publisher, codec, encodings ?? [{ scalabilityMode: mode, maxBitrate: 1_500_000 }], fps, width);
    assert.ok(modes.every((said) => said === mode), `${codec} ${mode} is encoded: ${modes}`);
    await widthIs(viewer, width);
    const full = await rateIs(viewer, 'the encoder is up to speed', (seen) => seen > fps * 0.5);
    for (const size of sizes) {
        await wish(viewer, { width: size, height: (size * 9) / 16 });
        await widthIs(viewer, size);
        await rateIs(viewer, `all frames at ${size}`, (seen) => seen > full.fps * 0.6);
    }
    if (temporal) {
        await wish(viewer, { width, height: (width * 9) / 16, frameRate: 1 });
        await widthIs(viewer, width);
        await rateIs(viewer, `a quarter of ${full.fps} frames`, (seen) => seen > 1 && seen < full.fps * 0.45);
    }
    if (key) {
        const encrypted = () => [...globalThis.test.room.members.values()].flatMap((member) => [...member.tracks.values()]).map((track) => track.encrypted);
        assert.deepEqual(await viewer.evaluate(encrypted), [true], 'what was decoded came encrypted');
    }
    await wish(viewer, null);
    await widthIs(viewer, width);
    await rateIs(viewer, `${full.fps} frames again`, (seen) => seen > full.fps * 0.6);
    for (const page of [publisher, viewer]) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        await page.close();
    }
}
