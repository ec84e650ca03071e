// End-to-end encryption with real browsers: who has the key sees and hears, nobody else does.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, colours, everyoneMeets, firefox, roomPage, sameColour } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';
import { deriveFrameKey, readHeader, unprotectFrame } from '../../web/sdk/sframe.js';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    roost = await startRoost();
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

const ann = { name: 'ann', colour: 'red', hertz: 440 };
const ben = { name: 'ben', colour: 'green', hertz: 880 };
const cleo = { name: 'cleo', colour: 'blue', hertz: 1760 };
const key = 'correct horse battery staple';

async function leave(pages) {
    for (const page of pages) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        assert.deepEqual(page.problems, []);
        await page.close();
    }
}

const join = (browser, room, person, options = {}) => roomPage(browser, roost.url, { room, key, ...person, ...options });
/** What each other member is to a page: `{ ann: 'secure' }`. */
const security = (page) => page.evaluate(() => {
    const { room } = globalThis.test;
    return Object.fromEntries([...room.members.values()].filter(({ self }) => !self).map((member) => [member.name, room.e2ee.security(member)]));
});

for (const codec of ['video/VP8', 'video/VP9', 'video/H264', 'video/AV1']) {
    test(`${codec}: Chromium and Firefox see and hear each other, encrypted`, async () => {
        const room = codec.replace('video/', 'e2ee-');
        const pages = [await join(chrome, room, ann, { codec }), await join(chrome, room, cleo, { publish: false })];
        // Firefox has no H.264 without a download
        if (codec !== 'video/H264') pages.push(await join(fox, room, ben, { codec: codec === 'video/AV1' ? 'video/VP8' : codec }));
        await everyoneMeets(pages, codec === 'video/H264' ? [ann] : [ann, ben]);
        const words = new Set(await Promise.all(pages.map((page) => page.evaluate(() => globalThis.test.room.e2ee.words))));
        assert.equal(words.size, 1, 'all read the same words');
        const decoded = await pages[1].evaluate(async () => {
            const stats = [...(await globalThis.test.room.peerConnection.getStats()).values()];
            return stats.filter((report) => report.type === 'inbound-rtp' && report.kind === 'video' && report.framesDecoded > 0)
                .map((report) => stats.find((other) => other.id === report.codecId)?.mimeType);
        });
        assert.ok(decoded.includes(codec), `${codec} is what was decoded: ${decoded}`);
        await leave(pages);
    });
}

test('with another key there is nothing to see or to hear, and it is said', async () => {
    const pages = [await join(chrome, 'wrong', ann), await join(chrome, 'wrong', ben), await join(chrome, 'wrong', cleo, { key: 'another', publish: false })];
    await everyoneMeets(pages.slice(0, 2), [ann, ben]);
    const [first, , stranger] = pages;
    await until('all know who has another key', async () => {
        const seen = [await security(first), await security(stranger)];
        return (seen[0].cleo === 'wrong-key' && seen[0].ben === 'secure' && seen[1].ann === 'wrong-key' && seen[1].ben === 'wrong-key') || Promise.reject(JSON.stringify(seen));
    });
    assert.equal(await first.evaluate(() => globalThis.test.room.e2ee.secure), false);
    // it receives: a second's worth of packets are with its decoder's doorstep
    await until('packets reach the stranger', () => stranger.evaluate(async () => {
        const stats = [...(await globalThis.test.room.peerConnection.getStats()).values()].filter(({ type }) => type === 'inbound-rtp');
        return ['audio', 'video'].every((kind) => stats.some((report) => report.kind === kind && report.packetsReceived > 60));
    }));
    const [seen, heard] = await stranger.evaluate(async () => [await globalThis.test.look(), await globalThis.test.listen()]);
    assert.deepEqual(seen.map((tile) => tile.frames), [0, 0], JSON.stringify(seen));
    for (const tone of heard) assert.ok(!((tone.db ?? -Infinity) > -90), `silence, not ${tone.db} dB`);
    // the right key at last
    await stranger.evaluate((right) => globalThis.test.room.e2ee.setKey(right), key);
    await everyoneMeets([stranger], [ann, ben]);
    await leave(pages);
});

test('who joins without encryption gets no track, and those who encrypt take none of it', async () => {
    const pages = [await join(chrome, 'plain', ann), await join(chrome, 'plain', ben, { key: undefined }), await join(chrome, 'plain', cleo)];
    await everyoneMeets([pages[0]], [cleo]);
    await everyoneMeets([pages[2]], [ann]);
    await until('it is known to have no key', async () => (await security(pages[0])).ben === 'no-key');
    assert.deepEqual(await pages[1].evaluate(() => globalThis.test.look()), []);
    assert.deepEqual(await pages[1].evaluate(() => globalThis.test.listen()), []);
    assert.ok(!(await pages[0].evaluate(() => globalThis.test.look())).some(({ from }) => from === 'ben'));
    assert.ok(await pages[1].evaluate(() => [...globalThis.test.room.members.values()].some((member) => [...member.tracks.values()].some(({ encrypted }) => encrypted))));
    await leave(pages);
});

/** What the server passes on, as it leaves the receiver's depacketizer. */
function captureFrames() {
    const worker = new Worker(URL.createObjectURL(new Blob([`onrtctransform = ({ transformer: { readable, writable, options } }) =>
        readable.pipeThrough(new TransformStream({ transform(frame, out) {
            postMessage([options, new Uint8Array(frame.data)]);
            out.enqueue(frame);
        } })).pipeTo(writable);`])));
    globalThis.captured = { audio: [], video: [] };
    worker.onmessage = ({ data: [kind, bytes] }) => globalThis.captured[kind].push([...bytes]);
    const add = RTCPeerConnection.prototype.addTransceiver;
    RTCPeerConnection.prototype.addTransceiver = function (...args) {
        const transceiver = add.apply(this, args);
        if (args[1]?.direction === 'recvonly') transceiver.receiver.transform = new RTCRtpScriptTransform(worker, transceiver.receiver.track.kind);
        return transceiver;
    };
}

test('the server passes on nothing that it could read', async () => {
    const publisher = await join(chrome, 'captured', ann);
    const viewer = await join(chrome, 'captured', cleo, { publish: false });
    await everyoneMeets([viewer], [ann]);
    const server = await join(chrome, 'captured', { name: 'server' }, { key: undefined, publish: false, prepare: (page) => page.evaluateOnNewDocument(captureFrames) });
    await until('frames are captured', () => server.evaluate(() => globalThis.captured.audio.length > 100 && globalThis.captured.video.length > 40));
    const { audio, video } = await server.evaluate(() => globalThis.captured);
    for (const [kind, frames] of [['audio', audio], ['video', video]]) {
        const counters = new Set();
        const counts = new Array(256).fill(0);
        let total = 0;
        for (const frame of frames) {
            const bytes = Uint8Array.from(frame);
            const clear = (bytes[bytes.length - 1] & 0x1f) - 1;
            const header = readHeader(bytes.subarray(clear));
            assert.ok(header && clear === (kind === 'audio' ? 0 : bytes[0] & 1 ? 1 : 10), `${kind}: an SFrame header behind what may be read`);
            counters.add(header.counter);
            for (const byte of bytes.subarray(clear + header.size, -1)) {
                counts[byte]++;
                total++;
            }
        }
        assert.equal(counters.size, frames.length, 'no counter twice');
        const chi = counts.reduce((sum, count) => sum + (count - total / 256) ** 2 / (total / 256), 0);
        assert.ok(chi < 400, `${kind}: ${total} bytes look random (chi-square ${chi} over 255)`);
        await assert.rejects(unprotectFrame(Uint8Array.from(frames[0]), async () => deriveFrameKey(new Uint8Array(32), new Uint8Array(8))));
    }
    await leave([publisher, viewer, server]);
});

test('keys change while people come and go, and pictures go on', async () => {
    const pages = [await join(chrome, 'rotate', ann), await join(fox, 'rotate', ben)];
    await everyoneMeets(pages, [ann, ben]);
    const id = (page) => page.evaluate(() => globalThis.test.room.e2ee.keyId);
    const before = await Promise.all(pages.map(id));
    const third = await join(chrome, 'rotate', cleo);
    await everyoneMeets([...pages, third], [ann, ben, cleo]);
    for (const [index, page] of pages.entries()) {
        const now = await id(page);
        assert.ok(now.generation === before[index].generation && now.step > before[index].step, 'ratcheted for the newcomer');
    }
    // a lost picture would have been mended by a key frame; a request alone is what a slow machine does, too
    const keyFrames = (page) => page.evaluate(async () => [...(await globalThis.test.room.peerConnection.getStats()).values()]
        .filter(({ type, kind, framesDecoded }) => type === 'inbound-rtp' && kind === 'video' && framesDecoded > 0)
        .map(({ keyFramesDecoded }) => keyFramesDecoded));
    const decoded = await keyFrames(pages[0]);
    await third.close();
    for (const [index, page] of pages.entries()) {
        await until('a new key is used', async () => (await id(page)).generation > before[index].generation);
    }
    for (let count = 0; count < 3; count++) {
        const { generation } = await id(pages[1]);
        await pages[1].evaluate(() => globalThis.test.room.e2ee.rotate());
        await until('the next key is used', async () => (await id(pages[1])).generation > generation);
    }
    const [frames] = (await pages[0].evaluate(() => globalThis.test.look())).map((tile) => tile.frames);
    await until('pictures move under the last key', async () => (await pages[0].evaluate(() => globalThis.test.look()))[0].frames > frames + 20);
    await everyoneMeets(pages, [ann, ben]);
    assert.equal((await keyFrames(pages[0]))[0], decoded[0], 'no picture was lost: no key frame was needed');
    assert.deepEqual([await security(pages[0]), await security(pages[1])], [{ ben: 'secure' }, { ann: 'secure' }]);
    await leave(pages);
});

test('encrypted simulcast: the server still changes layers', async () => {
    const publisher = await join(chrome, 'layers', ann, { simulcast: true, size: [1280, 720] });
    const viewer = await join(chrome, 'layers', ben, { publish: false });
    const width = async () => (await viewer.evaluate(() => globalThis.test.look()))[0]?.width;
    const send = (active) => publisher.evaluate(async (rids) => {
        const [{ publication }] = globalThis.test.local;
        const { sender } = publication.transceiver;
        const parameters = sender.getParameters();
        for (const encoding of parameters.encodings) encoding.active = rids.includes(encoding.rid);
        await sender.setParameters(parameters);
    }, active);
    await until('a large picture', async () => (await width()) >= 640);
    await send(['l']);
    await until('the small one', async () => (await width()) === 320);
    await send(['l', 'm']);
    await until('the middle one', async () => (await width()) === 640);
    const [tile] = await viewer.evaluate(() => globalThis.test.look());
    assert.ok(sameColour(tile.rgb, colours.red), JSON.stringify(tile));
    await leave([publisher, viewer]);
});
