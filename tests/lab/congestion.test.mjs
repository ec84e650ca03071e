// A receiver whose link becomes thin: sound stays whole, pictures go on, small and slow in the end, and
// all comes back with the link. The times that it took are in the output.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Authority } from '../support/certificate.mjs';
import { patienceMs, until } from '../support/until.mjs';
import { roomPage } from '../browser/helpers/browsers.mjs';
import { Lab, hasProgram, server as address, whyNot } from './network.mjs';
import { openBrowser, openFirefox } from './peers.mjs';
import { comparing, startServer } from './server.mjs';

const skip = whyNot() ?? (comparing ? 'coturn has no media server' : false);
const url = `https://${address.name}`;
const room = 'congestion';
/** Sound is whole when no more of it than that is made up. */
const WHOLE = 0.05;
/** Looks in a row, two a second, that must be good. */
const LOOKS = 6;
/** Of a change for the worse, what had been sent for the wider link comes first: sound misses no more. */
const MISSING_MS = 3000;

/** @type {Lab} */
let lab;
let authority;
let server;
let publisher;
let sender;

/** Chromium drops what it loads when it hears of a network that has just been made (ERR_NETWORK_CHANGED). */
async function enter(browser, options, again = 2) {
    try {
        return await roomPage(browser, url, { room, ...options });
    } catch (error) {
        if (again === 0 || !/Failed to fetch|ERR_NETWORK_CHANGED/.test(String(error))) throw error;
        return enter(browser, options, again - 1);
    }
}

before(async () => {
    if (skip) return;
    authority = new Authority([address.name, address.ipv4, address.ipv6]);
    lab = new Lab();
    server = await startServer(lab, authority);
    publisher = await openBrowser(lab, { client: lab.server }, authority);
    sender = await enter(publisher.browser, { name: 'ann', simulcast: true, size: [960, 540], busy: true });
    // which sizes are sent is the server's to say, once somebody watches
    await until('pictures are sent', () => sender.evaluate(async () => {
        const reports = [...(await globalThis.test.room.peerConnection.getStats()).values()];
        return reports.some(({ type, kind, framesEncoded }) => type === 'outbound-rtp' && kind === 'video' && framesEncoded > 0);
    }), patienceMs, 200);
});

after(async () => {
    try {
        await publisher?.browser.close();
        await server?.stop();
    } finally {
        lab?.close();
        authority?.remove();
    }
});

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Runs in the viewer's page: what it has received until now. */
async function receivedInPage() {
    const reports = [...(await globalThis.test.room.peerConnection.getStats()).values()].filter(({ type }) => type === 'inbound-rtp');
    const of = (kind) => reports.filter((report) => report.kind === kind);
    const sum = (kind, name) => of(kind).reduce((total, report) => total + (report[name] ?? 0), 0);
    return {
        at: performance.now(),
        frames: sum('video', 'framesDecoded'),
        videoBytes: sum('video', 'bytesReceived'),
        audioBytes: sum('audio', 'bytesReceived') + sum('audio', 'headerBytesReceived'),
        width: Math.max(0, ...of('video').map(({ frameWidth }) => frameWidth ?? 0)),
        samples: sum('audio', 'totalSamplesReceived'),
        concealed: sum('audio', 'concealedSamples'),
    };
}

/** What came between two looks, per second. */
function between(early, late) {
    const seconds = (late.at - early.at) / 1000;
    return {
        framesPerSecond: Math.round(10 * (late.frames - early.frames) / seconds) / 10,
        width: late.width,
        kbps: Math.round((late.videoBytes - early.videoBytes) * 8 / 1000 / seconds),
        audioKbps: Math.round((late.audioBytes - early.audioBytes) * 8 / 1000 / seconds),
        concealed: Math.round(1000 * (late.concealed - early.concealed) / Math.max(1, late.samples - early.samples)) / 1000,
    };
}

async function watch(page, ms) {
    const early = await page.evaluate(receivedInPage);
    await pause(ms);
    return between(early, await page.evaluate(receivedInPage));
}

/** Sets the link, waits until all is `good`, watches what comes then, and tells of it. */
async function change(t, page, network, rate, good) {
    lab.shapeDown(network, rate, '2k');
    const begin = await page.evaluate(receivedInPage);
    let late = begin;
    const seen = [];
    try {
        await until(`what ${rate} carries`, async () => {
            await pause(500);
            const early = late;
            late = await page.evaluate(receivedInPage);
            seen.push(between(early, late));
            return seen.length >= LOOKS && seen.slice(-LOOKS).every(good);
        }, patienceMs, 0);
    } catch (error) {
        throw new Error(seen.map((look) => JSON.stringify(look)).join('\n'), { cause: error });
    }
    const seconds = Math.max(0, (late.at - begin.at) / 1000 - LOOKS / 2);
    const concealedMs = Math.round((late.concealed - begin.concealed) / 48);
    const then = await watch(page, 5000);
    t.diagnostic(`${rate}: after ${seconds.toFixed(1)} s and ${concealedMs} ms of concealed sound: ${then.framesPerSecond} frames/s of width ${then.width}, ` +
        `${then.kbps} kbit/s of video, ${then.audioKbps} of sound, ${(100 * then.concealed).toFixed(1)} % of the sound concealed`);
    assert.ok(concealedMs < MISSING_MS, `${concealedMs} ms of sound are missing`);
    return then;
}

const whole = ({ concealed }) => concealed <= WHOLE;
// where others use the processor the publisher makes a few pictures a second, of which a part is sent
const moves = ({ framesPerSecond }) => framesPerSecond > 3;
const isLarge = (look) => look.width === 960 && moves(look) && whole(look);

test('behind 3 Mbit/s, 500 kbit/s, 100 kbit/s and back', { skip, timeout: 300000 }, async (t) => {
    const network = await lab.network({ wire: { delayMs: 20, lossPercent: 0 } });
    lab.shapeDown(network, '3mbit', '2k');
    const viewer = await openBrowser(lab, network, authority);
    try {
        const page = await enter(viewer.browser, { name: 'ben', publish: false });
        await until('pictures and sound', async () => {
            const { frames, samples } = await page.evaluate(receivedInPage);
            return frames > 10 && samples > 0;
        });
        const first = await change(t, page, network, '3mbit', isLarge);
        assert.ok(isLarge(first), JSON.stringify(first));
        const less = await change(t, page, network, '500kbit', (look) => look.kbps < 500 && whole(look) && moves(look));
        // a smaller picture, or fewer of the large ones
        assert.ok(less.kbps < 500 && whole(less) && moves(less), JSON.stringify(less));
        // beside the sound there is room for a part of the smallest layer's pictures
        const least = await change(t, page, network, '100kbit', (look) => look.kbps < 100 && whole(look));
        assert.ok(whole(least), JSON.stringify(least));
        await until('pictures move beside whole sound at 100 kbit/s', async () => {
            const look = await watch(page, 10000);
            t.diagnostic(`100kbit: ${JSON.stringify(look)}`);
            return look.framesPerSecond >= 2 && whole(look);
        }, 2 * patienceMs, 0);
        const back = await change(t, page, network, '3mbit', isLarge);
        assert.ok(isLarge(back), JSON.stringify(back));
        assert.deepEqual([...sender.problems, ...page.problems], []);
    } finally {
        await viewer.browser.close();
    }
});

// Firefox takes a while to start, and longer where other tests run: in make lab alone
const noFirefox = process.env.ROOST_LAB !== 'full' ? 'ROOST_LAB=full' : !hasProgram(process.env.FIREFOX ?? 'firefox-esr') && 'this needs Firefox';

test('Firefox behind 500 kbit/s', { skip: skip || noFirefox, timeout: 480000 }, async (t) => {
    const network = await lab.network({ wire: { delayMs: 20, lossPercent: 0 } });
    lab.shapeDown(network, '3mbit', '2k');
    const viewer = await openFirefox(lab, network, authority);
    try {
        const page = await enter(viewer.browser, { name: 'fay', publish: false });
        await until('sound, and pictures too large for what comes', async () => {
            const { frames, samples, width } = await page.evaluate(receivedInPage);
            return frames > 10 && samples > 0 && width === 960;
        });
        // its decoder shares this machine with three encoders: pictures move, however slowly
        const good = (look) => look.kbps < 500 && whole(look) && look.framesPerSecond > 2;
        const less = await change(t, page, network, '500kbit', good);
        assert.ok(good(less), JSON.stringify(less));
        assert.deepEqual(page.problems, []);
    } finally {
        await viewer.browser.close();
    }
});
