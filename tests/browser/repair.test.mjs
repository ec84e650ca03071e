// Fast starts and redundant sound with real browsers (docs/loss-repair.md).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, everyoneMeets, firefox, roomPage } from './helpers/browsers.mjs';
import { loseOneIn } from './helpers/network.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    roost = await startRoost({ workers: 2 });
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

const ann = { name: 'ann', colour: 'red', hertz: 440 };

const sum = (values) => Object.values(values).reduce((a, b) => a + b, 0);
const metric = async (name) => sum(await roost.metric(name));

async function leave(pages) {
    for (const page of pages) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        assert.deepEqual(page.problems, []);
        await page.close();
    }
}

/** Notes when the page had a peer connection and when its first picture. */
const timePicture = (page) => page.evaluateOnNewDocument(() => {
    const Native = globalThis.RTCPeerConnection;
    let made = 0;
    globalThis.RTCPeerConnection = class extends Native {
        constructor(...parameters) {
            super(...parameters);
            made ||= performance.now();
        }
    };
    document.addEventListener('loadeddata', (event) => {
        if (event.target instanceof HTMLVideoElement) globalThis.firstPictureMs ??= performance.now() - made;
    }, true);
});

/** Puts RED before Opus in what the page offers to send. */
const preferRed = (page) => page.evaluateOnNewDocument(() => {
    const add = RTCPeerConnection.prototype.addTransceiver;
    RTCPeerConnection.prototype.addTransceiver = function addTransceiver(kind, options) {
        const transceiver = add.call(this, kind, options);
        const { codecs } = RTCRtpSender.getCapabilities('audio');
        const red = codecs.filter(({ mimeType }) => mimeType === 'audio/red');
        if (kind === 'audio' || kind.kind === 'audio')
            transceiver.setCodecPreferences([...red, ...codecs.filter((codec) => !red.includes(codec))]);
        return transceiver;
    };
});

const inbound = (page, kind) => page.evaluate(async (wanted) => {
    const stats = await globalThis.test.room.peerConnection.getStats();
    const reports = [...stats.values()].filter(({ type, kind: of, packetsReceived }) => type === 'inbound-rtp' && of === wanted && packetsReceived > 0);
    return reports.map((report) => ({
        codec: stats.get(report.codecId)?.mimeType,
        delay: report.jitterBufferDelay,
        emitted: report.jitterBufferEmittedCount,
        lost: report.packetsLost,
        decoded: report.framesDecoded,
    }));
}, kind);

test('a joiner sees the cached picture at once, and its delay does not grow by it', async (t) => {
    const publisher = await roomPage(chrome, roost.url, { room: 'cached', ...ann });
    const first = await roomPage(chrome, roost.url, { room: 'cached', name: 'first', publish: false });
    await everyoneMeets([first], [ann]);
    const replays = await metric('media_gop_replays_total');
    // the first of these asks for a key frame when there is none that is young enough
    const times = [];
    const pages = [];
    for (let i = 0; i < 4; i++) {
        const page = await roomPage(chrome, roost.url, { room: 'cached', name: `joiner-${i}`, publish: false, prepare: timePicture });
        pages.push(page);
        await until('a picture', () => page.evaluate(() => globalThis.firstPictureMs > 0));
        times.push(Math.round(await page.evaluate(() => globalThis.firstPictureMs)));
    }
    t.diagnostic(`first pictures after ${times} ms`);
    assert.ok(await metric('media_gop_replays_total') > replays, 'somebody began with the cached pictures');
    await everyoneMeets(pages, [ann]);
    for (const page of pages) {
        await until('pictures hardly wait', async () => {
            const delay = await held(page);
            return delay < 0.4 || Promise.reject(`pictures wait for ${delay} s`);
        });
        const [{ lost }] = await inbound(page, 'video');
        assert.equal(lost, 0);
    }
    await leave([publisher, first, ...pages]);
});

test('redundant sound of Chromium is passed to Chromium, and plain to Firefox', async () => {
    const publisher = await roomPage(chrome, roost.url, { room: 'red', ...ann, prepare: preferRed });
    const pages = [
        await roomPage(chrome, roost.url, { room: 'red', name: 'with', publish: false }),
        await roomPage(fox, roost.url, { room: 'red', name: 'without', publish: false }),
    ];
    await everyoneMeets(pages, [ann]);
    // statistics name Opus whatever is around it: what is repeated shows in the size
    const size = (page, direction) => page.evaluate(async (type) => {
        const stats = await globalThis.test.room.peerConnection.getStats();
        const report = [...stats.values()].find(({ type: of, kind, packetsSent, packetsReceived }) =>
            of === type && kind === 'audio' && (packetsSent ?? packetsReceived) > 0);
        return (report.bytesSent ?? report.bytesReceived) / (report.packetsSent ?? report.packetsReceived);
    }, direction);
    const sent = await size(publisher, 'outbound-rtp');
    const [took, plain] = [await size(pages[0], 'inbound-rtp'), await size(pages[1], 'inbound-rtp')];
    assert.ok(plain < sent * 0.75, `${plain} of ${sent} bytes go to who takes no redundancy`);
    assert.ok(took > sent * 0.9, `${took} of ${sent} bytes go to who takes it`);
    await leave([publisher, ...pages]);
});

/** For how many seconds the pictures were held back that a page shows from now on. */
async function held(page) {
    const [before] = await inbound(page, 'video');
    let now;
    await until('twenty more frames', async () => {
        [now] = await inbound(page, 'video');
        return now.emitted > before.emitted + 20;
    });
    return (now.delay - before.delay) / (now.emitted - before.emitted);
}

test('a member who wants no playout delay gets its pictures at once', async () => {
    const publisher = await roomPage(chrome, roost.url, { room: 'delay', ...ann });
    const page = await roomPage(chrome, roost.url, { room: 'delay', name: 'robot', publish: false, options: { playoutDelay: 0 } });
    await everyoneMeets([page], [ann]);
    await until('pictures are shown at once', async () => {
        const delay = await held(page);
        return delay < 0.1 || Promise.reject(`pictures wait for ${delay} s`);
    });
    await leave([publisher, page]);
});

test('a room has a playout delay of its own, and another while it runs; who chooses keeps the choice', async () => {
    const made = await roost.api('POST', '/rooms', { name: 'late', playout_delay: 500 });
    assert.equal(made.playout_delay, 500);
    const publisher = await roomPage(chrome, roost.url, { room: 'late', ...ann });
    const page = await roomPage(chrome, roost.url, { room: 'late', name: 'viewer', publish: false });
    const robot = await roomPage(chrome, roost.url, { room: 'late', name: 'robot', publish: false, options: { playoutDelay: 0 } });
    await everyoneMeets([page, robot], [ann]);
    await until('pictures are held back', async () => await held(page) > 0.4);
    await roost.api('PATCH', '/rooms/late', { playout_delay: 0 });
    await until('pictures are shown at once', async () => await held(page) < 0.1);
    await roost.api('PATCH', '/rooms/late', { playout_delay: 400 });
    await until('pictures are held back again', async () => await held(page) > 0.3);
    await until('who chose gets pictures at once', async () => await held(robot) < 0.1);
    // the browser may choose again, and a picture that comes evenly need not wait
    await roost.api('PATCH', '/rooms/late', { playout_delay: null });
    await until('the browser chooses', async () => await held(page) < 0.25);
    await leave([publisher, page, robot]);
});

test('the number of voices that are forwarded can be changed while people speak', async () => {
    await roost.api('POST', '/rooms', { name: 'voices', loudest_audio: 1 });
    const speakers = [ann, { name: 'ben', colour: 'blue', hertz: 660 }, { name: 'cid', colour: 'green', hertz: 880 }];
    const page = await roomPage(chrome, roost.url, { room: 'voices', name: 'listener', publish: false });
    const pages = [page];
    for (const speaker of speakers) pages.push(await roomPage(chrome, roost.url, { room: 'voices', ...speaker }));
    const heard = () => page.evaluate(async () => {
        const count = async () => [...(await globalThis.test.room.peerConnection.getStats()).values()]
            .filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio').map(({ packetsReceived }) => packetsReceived);
        const before = await count();
        await new Promise((resolve) => { setTimeout(resolve, 400); });
        return (await count()).filter((packets, i) => packets > (before[i] ?? 0) + 5).length;
    });
    await until('one is heard', async () => await heard() === 1);
    for (const places of [3, 2]) {
        assert.equal((await roost.api('PATCH', '/rooms/voices', { loudest_audio: places })).loudest_audio, places);
        await until(`${places} are heard`, async () => await heard() === places);
    }
    await leave(pages);
});

/** A page that never asks for a packet: only FEC can bring back what it lacks. */
const withoutNack = (page) => page.evaluateOnNewDocument(() => {
    const plain = ({ type, sdp }) => ({ type, sdp: sdp.replace(/^a=rtcp-fb:\d+ nack\r\n/gm, '') });
    const { createOffer, setRemoteDescription } = RTCPeerConnection.prototype;
    Object.assign(RTCPeerConnection.prototype, {
        async createOffer(...options) { return plain(await createOffer.apply(this, options)); },
        setRemoteDescription(description) { return setRemoteDescription.call(this, plain(description)); },
    });
});

/**
 * A viewer of VP8 who loses one packet in 25 and cannot ask for any of them: which share of the frames it does not see.
 * Evenly, and without runs of packets that are lost together: then no group of FEC lacks two.
 */
async function sufferLosses(fec, t) {
    const server = await startRoost({ workers: 1, set: { 'media.fec': fec, 'media.gso': 'false' } });
    try {
        const publisher = await roomPage(chrome, server.url, { room: 'fec', ...ann, codec: 'video/VP8', size: [640, 360], simulcast: false });
        const page = await roomPage(chrome, server.url, { room: 'fec', name: 'viewer', publish: false, prepare: withoutNack });
        await everyoneMeets([page], [ann]);
        const report = () => page.evaluate(async () => {
            const stats = await globalThis.test.room.peerConnection.getStats();
            return [...stats.values()].find(({ type, kind, packetsReceived }) =>
                type === 'inbound-rtp' && kind === 'video' && packetsReceived > 0);
        });
        const encoded = () => publisher.evaluate(async () => [...(await globalThis.test.room.peerConnection.getStats()).values()]
            .find(({ type, kind }) => type === 'outbound-rtp' && kind === 'video').framesSent);
        const packets = async () => sum(await server.metric('rtp_fec_packets_sent_total'));
        if (fec === 'always') await until('FEC packets go out', async () => await packets() > 20);
        const before = { ...await report(), encoded: await encoded() };
        assert.equal(before.packetsLost, 0, 'FEC packets leave no gap');
        const loss = loseOneIn(server.mediaPort, 25);
        try {
            await until('many frames', async () => await encoded() > before.encoded + 300);
        } finally {
            loss.restore();
        }
        const after = { ...await report(), encoded: await encoded() };
        const missed = 1 - (after.framesDecoded - before.framesDecoded) / (after.encoded - before.encoded);
        t.diagnostic(`media.fec=${fec}: ${await packets()} FEC packets, ${after.nackCount} NACKs, ${after.pliCount - before.pliCount} PLIs, `
            + `${(missed * 100).toFixed(1)} % of ${after.encoded - before.encoded} frames not seen`);
        await everyoneMeets([page], [ann]);
        await leave([publisher, page]);
        return { nacks: after.nackCount, packets: await packets(), missed };
    } finally {
        await server.stop();
    }
}

test('Chromium mends its picture by forward error correction, where nothing else can', async (t) => {
    const [mended, broken] = [await sufferLosses('always', t), await sufferLosses('never', t)];
    assert.deepEqual([mended.nacks, broken.nacks], [0, 0], 'nobody asked for a packet');
    assert.equal(broken.packets, 0);
    assert.ok(mended.missed * 2 < broken.missed, `${mended.missed} of the frames are not seen with it, ${broken.missed} without`);
});
