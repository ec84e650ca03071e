// Calls whose media goes through the server: each side negotiates with it, and hears and sees the other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, firefox } from './helpers/browsers.mjs';
import { callPage, meetByLink, talks } from './helpers/peer_to_peer.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    roost = await startRoost({ workers: 2, set: { 'calls.media': 'anchored' } });
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

/** @param {string} name */
const sum = async (name) => Object.values(await roost.metric(name)).reduce((a, b) => a + b, 0);

async function pair(one = chrome, other = chrome) {
    const first = await callPage(one, roost.url, 'first');
    const second = await callPage(other, roost.url, 'second');
    for (const page of [first, second]) await page.evaluate(() => (globalThis.test.held = []));
    return [first, second];
}

async function talk(one, other) {
    const [first, second] = await pair(one, other);
    await meetByLink(first, second);
    await Promise.all([talks(first, 'the first sees the second'), talks(second, 'the second sees the first')]);
    return [first, second];
}

/** Frames of the call that the page has decoded so far. */
const decoded = (page) =>
    page.evaluate(async () => [...(await globalThis.test.call.peerConnection.getStats()).values()]
        .filter((report) => report.type === 'inbound-rtp' && report.kind === 'video')
        .reduce((frames, report) => frames + (report.framesDecoded ?? 0), 0));

const ended = (page) => until('the page hears of the end', () => page.evaluate(() => globalThis.test.ended), 30000);

/** Whether pictures come: the number of those decoded grows, or stands still over many looks. */
async function moves(page, what) {
    const before = await decoded(page);
    await until(what, async () => (await decoded(page)) > before + 10, 30000);
}

async function close(...pages) {
    await Promise.all(pages.map((page) => page.close()));
    await until('no anchored call is left', async () => (await sum('anchored_calls')) === 0, 30000);
}

for (const [name, browsers] of [
    ['Chromium and Chromium', () => [chrome, chrome]],
    ['Chromium and Firefox', () => [chrome, fox]],
    ['Firefox and Chromium', () => [fox, chrome]],
]) {
    test(`${name} see each other through the server`, async () => {
        const adopted = await sum('media_sessions_adopted_total');
        const forwarded = await sum('media_packets_forwarded_total');
        const [first, second] = await talk(...browsers());
        assert.equal(await sum('media_sessions_adopted_total'), adopted + 2);
        assert.ok((await sum('media_packets_forwarded_total')) > forwarded);
        assert.equal(await sum('anchored_calls'), 1);
        // no room was made for it
        assert.deepEqual((await roost.api('GET', '/rooms')).rooms, []);
        for (const page of [first, second])
            assert.equal(
                await page.evaluate(async () => {
                    const stats = await globalThis.test.call.peerConnection.getStats();
                    const reports = [...stats.values()];
                    const chosen = reports.find((one) => one.type === 'candidate-pair' && one.nominated && one.state === 'succeeded');
                    return stats.get(chosen.remoteCandidateId).port;
                }),
                roost.mediaPort,
            );
        await second.evaluate(() => globalThis.test.call.hangup());
        assert.equal(await ended(first), 'hangup');
        await close(first, second);
    });
}

test('a page that closes its connection hangs up', async () => {
    const [first, second] = await talk();
    await first.evaluate(() => globalThis.test.call.peerConnection.close());
    assert.equal(await ended(second), 'hangup');
    await close(first, second);
});

test('a side that holds gets nothing, the other hears of it, and both go on afterwards', async () => {
    const [first, second] = await talk();
    await second.evaluate(() => globalThis.test.call.on('held', (held) => globalThis.test.held.push(held)));
    const hold = (direction) =>
        first.evaluate((wanted) => {
            for (const transceiver of globalThis.test.call.peerConnection.getTransceivers())
                transceiver.direction = wanted;
        }, direction);
    await hold('inactive');
    await until('the other hears of the hold', () => second.evaluate(() => globalThis.test.held.at(-1)?.remote === true), 30000);
    await until('nothing is under way', () => first.evaluate(() => globalThis.test.call.peerConnection.signalingState === 'stable'
        && globalThis.test.call.peerConnection.getTransceivers().every((one) => one.currentDirection === 'inactive')), 30000);
    await hold('sendrecv');
    await until('the other hears of its end', () => second.evaluate(() => globalThis.test.held.at(-1)?.remote === false), 30000);
    await moves(first, 'the first sees the second again');
    await moves(second, 'the second sees the first again');
    await close(first, second);
});

test('a picture is added to a call of sound alone, by either side', async () => {
    const [first, second] = await pair();
    for (const page of [first, second])
        await page.evaluate(() => {
            globalThis.test.sound = () => new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
        });
    await first.evaluate(async () => {
        const { client } = globalThis.test;
        await client.register('listener');
        client.on('incoming-call', (call) => {
            globalThis.test.use(call);
            void call.accept({ tracks: [globalThis.test.sound()] });
        });
    });
    await second.evaluate(async () => {
        const { client } = globalThis.test;
        globalThis.test.use(await client.call('listener', { tracks: [globalThis.test.sound()], media: 'audio' }));
    });
    const connected = (page) => until('they talk', () => page.evaluate(() => globalThis.test.call?.state === 'connected'), 30000);
    await Promise.all([connected(first), connected(second)]);
    // the callee's client is offered the picture by the server, and answers; then it adds its own
    await second.evaluate(() => globalThis.test.call.publish(globalThis.test.picture()));
    await talks(first, 'the first sees the second');
    await first.evaluate(() => globalThis.test.call.publish(globalThis.test.picture()));
    await talks(second, 'the second sees the first');
    await close(first, second);
});

test('the path may change: ICE restarts through the server', async () => {
    const [first, second] = await talk();
    await first.evaluate(() => globalThis.test.call.restartIce());
    await moves(first, 'the first sees the second again');
    await moves(second, 'the second sees the first again');
    await close(first, second);
});
