/** Pages that publish by WHIP and watch by WHEP. */

import { colours, sameColour } from './browsers.mjs';
import { addMovingPicture, css } from './moving_picture.mjs';
import { until } from './roost.mjs';

/** A page of the server's origin. */
async function blankPage(browser, url) {
    const page = await browser.newPage();
    await page.goto(`${url}/healthz`);
    return page;
}

/**
 * @param {import('puppeteer-core').Browser} browser makes the pages for which no other is named
 * @param {string} url of the server
 */
export function whipPages(browser, url) {
    /**
     * Publishes a picture of one colour and a tone. prepare: before it does.
     * @param {keyof typeof colours} colour
     */
    async function publisher(path, colour, { width = 640, height = 360, by = browser, prepare, ...options } = {}) {
        const page = await blankPage(by, url);
        await prepare?.(page);
        await page.bringToFront();
        await addMovingPicture(page);
        await page.evaluate(async (endpoint, fill, chosen, size) => {
            const { publish } = await import('/sdk/whip.js');
            const stream = new MediaStream([globalThis.movingPicture({ fill, size })]);
            const tone = new AudioContext();
            const out = tone.createMediaStreamDestination();
            const oscillator = tone.createOscillator();
            oscillator.connect(out);
            oscillator.start();
            stream.addTrack(out.stream.getAudioTracks()[0]);
            globalThis.session = await publish(endpoint, stream, chosen);
        }, path, css(colours[colour]), options, [width, height]);
        return page;
    }

    /** Watches; `refused` when it may not. */
    async function viewer(path, { by = browser, options = {}, prepare } = {}) {
        const page = await blankPage(by, url);
        await prepare?.(page);
        await page.evaluate(async (endpoint, chosen) => {
            const { watch } = await import('/sdk/whep.js');
            globalThis.waits = 0;
            const video = document.createElement('video');
            Object.assign(video, { muted: true, autoplay: true, playsInline: true });
            document.body.append(video);
            globalThis.look = () => {
                const context = new OffscreenCanvas(16, 16).getContext('2d', { willReadFrequently: true });
                context.drawImage(video, 0, 0, 16, 16);
                return [...context.getImageData(4, 4, 1, 1).data].slice(0, 3);
            };
            globalThis.count = async (kind) => [...(await globalThis.session.peerConnection.getStats()).values()]
                .filter((report) => report.type === 'inbound-rtp' && report.kind === kind)
                .reduce((sum, report) => sum + (report.kind === 'video' ? report.framesDecoded ?? 0 : report.packetsReceived ?? 0), 0);
            globalThis.watching = watch(endpoint, { ...chosen, onWaiting: () => { globalThis.waits++; } }).then((session) => {
                globalThis.session = session;
                video.srcObject = session.stream;
                void video.play().catch(() => {});
            });
            globalThis.watching.catch((error) => { globalThis.refused = { status: error.status, message: error.message }; });
        }, path, options);
        return page;
    }

    return { publisher, viewer };
}

/** Waits until a viewer's picture has this colour. */
export async function sees(page, colour, what) {
    await until(what, async () => {
        const rgb = await page.evaluate(() => (globalThis.session ? globalThis.look() : null));
        return (rgb && sameColour(rgb, colours[colour])) || Promise.reject(JSON.stringify([rgb, await page.evaluate(() => globalThis.refused)]));
    });
}

export const widthOf = (page) => page.$eval('video', (video) => video.videoWidth);

/** Leaves a picture where ROOST_SCREENSHOTS says. */
export async function picture(page, name) {
    if (process.env.ROOST_SCREENSHOTS) await page.screenshot({ path: `${process.env.ROOST_SCREENSHOTS}/${name}.png` });
}
