/** Pages of one-to-one calls through the SDK. */

import { addMovingPicture } from './moving_picture.mjs';
import { until } from './roost.mjs';

/**
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} url of the server
 * @param {string} name
 * @param {{prepare?: (page: import('puppeteer-core').Page) => Promise<unknown>}} [options] prepare: before it loads
 */
export async function callPage(browser, url, name, { prepare } = {}) {
    const page = await browser.newPage();
    await prepare?.(page);
    await page.goto(`${url}/healthz`);
    await addMovingPicture(page);
    await page.evaluate(async (own) => {
        const { connect } = await import('/sdk/roost.js');
        const client = await connect({ name: own });
        const test = { client, call: null, video: document.createElement('video'), ended: null };
        globalThis.test = test;
        test.video.muted = true;
        test.video.autoplay = true;
        document.body.append(test.video);
        test.use = (call) => {
            test.call = call;
            call.on('track', (track) => {
                if (track.kind === 'video') test.video.srcObject = new MediaStream([track]);
            });
            call.on('ended', (reason) => (test.ended = reason ?? 'ended'));
        };
        test.picture = () => globalThis.movingPicture({ fill: 'rgb(30,200,30)' });
    }, name);
    return page;
}

/** Waits until the page has decoded pictures of its call. */
export async function talks(page, what) {
    await until(what, () => page.evaluate(() => (async () => [...(await globalThis.test.call.peerConnection.getStats()).values()]
        .some((report) => report.type === 'inbound-rtp' && report.kind === 'video' && report.framesDecoded > 10))()));
}

/** Two pages of callPage in a call of their own. */
export async function meetByLink(first, second) {
    const link = `link-${Math.random().toString(36).slice(2)}-${Date.now()}`;
    const answered = first.evaluate(async (name) => {
        const { client } = globalThis.test;
        const incoming = new Promise((resolve) => client.on('incoming-call', resolve));
        if ((await client.link(name)) !== 'wait') throw new Error('the first at a link waits');
        globalThis.test.waiting = true;
        const call = await incoming;
        globalThis.test.use(call);
        await call.accept({ tracks: [globalThis.test.picture()] });
    }, link);
    await until('the first waits', () => first.evaluate(() => globalThis.test.waiting));
    await second.evaluate(async (name) => {
        const { client } = globalThis.test;
        if ((await client.link(name)) !== 'call') throw new Error('the second at a link calls');
        globalThis.test.use(await client.call(name, { tracks: [globalThis.test.picture()] }));
    }, link);
    await answered;
}
