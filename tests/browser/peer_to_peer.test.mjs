// One-to-one calls by link: media goes from browser to browser, the server only introduces them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, firefox } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    roost = await startRoost({ workers: 1 });
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

async function callPage(browser, name) {
    const page = await browser.newPage();
    await page.goto(`${roost.url}/healthz`);
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
        test.picture = () => {
            const canvas = document.createElement('canvas');
            canvas.width = 320;
            canvas.height = 180;
            const context = canvas.getContext('2d');
            setInterval(() => {
                context.fillStyle = 'rgb(30,200,30)';
                context.fillRect(0, 0, 320, 180);
                context.fillStyle = 'black';
                context.fillRect(Math.random() * 300, 150, 20, 20);
            }, 50);
            return canvas.captureStream(20).getVideoTracks()[0];
        };
    }, name);
    return page;
}

async function talks(page, what) {
    await until(what, () => page.evaluate(() => (async () => [...(await globalThis.test.call.peerConnection.getStats()).values()]
        .some((report) => report.type === 'inbound-rtp' && report.kind === 'video' && report.framesDecoded > 10))()), 30000);
}

async function meetByLink(first, second) {
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

for (const [name, browsers] of [['Chromium and Chromium', () => [chrome, chrome]], ['Chromium and Firefox', () => [chrome, fox]]]) {
    test(`${name} talk directly after meeting at a link`, async () => {
        const [one, other] = browsers();
        const first = await callPage(one, 'first');
        const second = await callPage(other, 'second');
        await meetByLink(first, second);
        await talks(first, 'the first sees the second');
        await talks(second, 'the second sees the first');
        // the server has seen no media at all
        const sessions = await roost.metric('media_sessions_adopted_total');
        assert.equal(Object.values(sessions).reduce((a, b) => a + b, 0), 0);
        await first.evaluate(() => globalThis.test.call.hangup());
        await until('the other hears of the end', () => second.evaluate(() => globalThis.test.ended !== null));
        await Promise.all([first.close(), second.close()]);
    });
}
