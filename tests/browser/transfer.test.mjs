// Calls on hold, and calls that are handed on: three people with real browsers and the SDK.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, firefox } from './helpers/browsers.mjs';
import { callPage, talks } from './helpers/peer_to_peer.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    roost = await startRoost({ workers: 1 });
    [chrome, fox] = await Promise.all([chromium({ extra: ['--use-fake-device-for-media-stream=fps=5'] }), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

/** A page registered as `user`, which takes every call and goes where it is handed on to. */
async function person(browser, user) {
    const page = await callPage(browser, roost.url, user);
    await page.evaluate(async (own) => {
        const { test } = globalThis;
        test.endings = {};
        test.held = [];
        test.failures = [];
        test.calls = [];
        /** The page talks in this call from now on. */
        test.follow = (call) => {
            test.calls.push(call);
            test.use(call);
            call.on('held', (held) => test.held.push(held));
            call.on('transfer', (next) => test.follow(next));
            call.on('transfer-failed', (reason) => test.failures.push(reason));
            call.on('ended', (reason) => {
                test.endings[call.peer] = reason;
                if (test.call === call) test.call = test.calls.findLast(({ state }) => state !== 'ended') ?? call;
            });
        };
        const tracks = async () => (await navigator.mediaDevices.getUserMedia({ video: true })).getTracks();
        test.client.on('incoming-call', async (call) => {
            test.follow(call);
            if (!test.refuses) void call.accept({ tracks: await tracks() });
            else void call.reject();
        });
        await test.client.register(own);
        test.callUser = async (to) => test.follow(await test.client.call(to, { tracks: await tracks() }));
    }, user);
    return page;
}

/** Video frames that the page's call has received. */
const received = (page) => page.evaluate(async () => [...(await globalThis.test.call.peerConnection.getStats()).values()]
    .filter((report) => report.type === 'inbound-rtp' && report.kind === 'video').reduce((sum, { framesReceived }) => sum + (framesReceived ?? 0), 0));

/** Waits until no more frames come: two counts in a row are the same. */
async function rests(page, what) {
    let last = -1;
    await until(what, async () => {
        const before = last;
        await new Promise((resolve) => setTimeout(resolve, 500));
        last = await received(page);
        return last === before;
    }, 30000);
}

async function flows(page, what) {
    const before = await received(page);
    await until(what, async () => (await received(page)) > before + 10, 30000);
}

const peerOf = (page) => page.evaluate(() => globalThis.test.call.peer);
const endings = (page) => page.evaluate(() => globalThis.test.endings);

/** Three people of one test; the first talks to the second. */
async function three(label, browsers = [chrome, chrome, chrome]) {
    const names = ['ann', 'ben', 'cleo'].map((name) => `${name}-${label}`);
    const pages = await Promise.all(names.map((name, i) => person(browsers[i], name)));
    await pages[0].evaluate((to) => globalThis.test.callUser(to), names[1]);
    await talks(pages[0], 'the caller sees the callee');
    await talks(pages[1], 'the callee sees the caller');
    return { pages, names };
}

const close = (pages) => Promise.all(pages.map((page) => page.close()));

test('a call on hold sends nothing in either direction, and goes on afterwards', async () => {
    const { pages } = await three('hold', [chrome, fox, chrome]);
    const [ann, ben] = pages;
    await ann.evaluate(() => globalThis.test.call.hold());
    await until('the other hears of it', async () => (await ben.evaluate(() => globalThis.test.held.length)) === 1);
    assert.deepEqual(await ben.evaluate(() => globalThis.test.call.held), { local: false, remote: true });
    await rests(ann, 'who holds gets no more frames');
    await rests(ben, 'who is held gets no more frames');
    await ann.evaluate(() => globalThis.test.call.resume());
    await Promise.all([flows(ann, 'frames come again'), flows(ben, 'there as well')]);
    assert.deepEqual(await ben.evaluate(() => globalThis.test.held), [{ local: false, remote: true }, { local: false, remote: false }]);
    // each side holds for itself
    await ben.evaluate(() => globalThis.test.call.hold());
    await until('that is told, too', () => ann.evaluate(() => globalThis.test.call.held.remote));
    await rests(ann, 'it works both ways');
    await close(pages);
});

test('a call is handed on to somebody else', async () => {
    const { pages, names } = await three('blind');
    const [ann, ben, cleo] = pages;
    await ann.evaluate((to) => globalThis.test.call.transfer(to), names[2]);
    await until('the first call is over', async () => (await endings(ann))[names[1]] === 'transferred');
    await until('the other talks to somebody else', async () => (await peerOf(ben)) === names[2]);
    await Promise.all([talks(ben, 'who was handed on sees the third'), talks(cleo, 'the third sees who was handed on')]);
    assert.equal(await peerOf(cleo), names[1]);
    assert.deepEqual(await endings(ben), { [names[0]]: 'transferred' });
    assert.deepEqual(await endings(cleo), {});
    await close(pages);
});

test('a third who refuses leaves the two talking', async () => {
    const { pages, names } = await three('refused');
    const [ann, ben, cleo] = pages;
    await cleo.evaluate(() => (globalThis.test.refuses = true));
    await ann.evaluate((to) => globalThis.test.call.transfer(to), names[2]);
    await until('it is told', async () => (await ann.evaluate(() => globalThis.test.failures))[0] === 'rejected');
    await until('the other is back', async () => (await peerOf(ben)) === names[0]);
    await Promise.all([flows(ann, 'frames come'), flows(ben, 'there as well')]);
    await ann.evaluate((to) => globalThis.test.call.transfer(to), `nobody-${names[2]}`);
    await until('it is told that nobody was there', async () => (await ann.evaluate(() => globalThis.test.failures))[1] === 'unavailable');
    await Promise.all([flows(ann, 'frames come'), flows(ben, 'there as well')]);
    await close(pages);
});

test('who asked the third first connects the two others', async () => {
    const { pages, names } = await three('asked');
    const [ann, ben, cleo] = pages;
    await ann.evaluate(() => globalThis.test.call.hold());
    await ann.evaluate((to) => globalThis.test.callUser(to), names[2]);
    await talks(cleo, 'the third sees who asks');
    await until('the first call waits', () => ben.evaluate(() => globalThis.test.call.held.remote));
    await ann.evaluate((to) => globalThis.test.calls[0].transfer(to), names[2]);
    await until('both calls are over', async () => JSON.stringify(await endings(ann)) ===
        JSON.stringify({ [names[1]]: 'transferred', [names[2]]: 'transferred' }));
    await Promise.all([
        until('the second has the third', async () => (await peerOf(ben)) === names[2]),
        until('the third has the second', async () => (await peerOf(cleo)) === names[1]),
    ]);
    await Promise.all([talks(ben, 'the second sees the third'), talks(cleo, 'the third sees the second')]);
    await flows(ben, 'frames go on');
    await close(pages);
});
