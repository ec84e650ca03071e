// Group calls through the media server with real browsers: who sees and hears whom.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, everyoneMeets, firefox, frames, roomPage } from './helpers/browsers.mjs';
import { cutUdp } from './helpers/network.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    // a relay over TCP would carry on where a test cuts UDP
    roost = await startRoost({ workers: 4, set: { 'media.ice_tcp': 'false', 'turn.tcp': 'false', 'turn.tls': 'false', 'turn.https': 'false' } });
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

const ann = { name: 'ann', colour: 'red', hertz: 440 };
const ben = { name: 'ben', colour: 'green', hertz: 880 };
const cleo = { name: 'cleo', colour: 'blue', hertz: 1760 };

const sum = (values) => Object.values(values).reduce((a, b) => a + b, 0);

async function leave(pages) {
    for (const page of pages) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        assert.deepEqual(page.problems, []);
        await page.close();
    }
}

test('three Chromium pages in a room see and hear each other', async () => {
    const people = [ann, ben, cleo];
    const pages = await Promise.all(people.map((person) => roomPage(chrome, roost.url, { room: 'three', ...person })));
    await everyoneMeets(pages, people);
    await leave(pages);
});

test('Chromium and Firefox see and hear each other', async () => {
    const pages = await Promise.all([
        roomPage(chrome, roost.url, { room: 'mixed', ...ann }),
        roomPage(fox, roost.url, { room: 'mixed', ...ben }),
        roomPage(chrome, roost.url, { room: 'mixed', ...cleo }),
    ]);
    await everyoneMeets(pages, [ann, ben, cleo]);
    await leave(pages);
});

test('a room spans workers: pictures cross to where their viewers are', async () => {
    const before = sum(await roost.metric('media_packets_mirrored_total'));
    const pages = await Promise.all([ann, ben].map((person) => roomPage(chrome, roost.url, { room: 'spread', ...person })));
    await everyoneMeets(pages, [ann, ben]);
    // the kernel spreads clients over workers by hash: more come until one is on another worker
    const used = async () => Object.values(await roost.metric('media_sessions')).filter((count) => count > 0).length;
    for (let count = 0; count < 10 && (await used()) < 2; count++) {
        const viewer = await roomPage(chrome, roost.url, { room: 'spread', name: `viewer-${count}`, publish: false });
        pages.push(viewer);
        await everyoneMeets([viewer], [ann, ben]);
    }
    assert.ok((await used()) > 1, 'sessions live on more than one worker');
    await until('packets cross between workers', async () => sum(await roost.metric('media_packets_mirrored_total')) > before + 50);
    await leave(pages);
});

test('who comes late gets a picture at once', async () => {
    const first = await roomPage(chrome, roost.url, { room: 'late', ...ann });
    await until('the publisher is past its first key frame', async () =>
        (await first.evaluate(async () => [...(await globalThis.test.room.peerConnection.getStats()).values()]
            .some((report) => report.type === 'outbound-rtp' && report.kind === 'video' && report.framesEncoded > 60))));
    const late = await roomPage(chrome, roost.url, { room: 'late', name: 'late', publish: false });
    await everyoneMeets([Object.assign(late, { label: 'late' })], [ann]);
    await leave([first, late]);
});

test('a publisher who reloads the page is seen again', async () => {
    const watcher = await roomPage(chrome, roost.url, { room: 'reload', ...ann });
    const publisher = await roomPage(chrome, roost.url, { room: 'reload', ...ben });
    await everyoneMeets([watcher], [ann, ben]);
    await publisher.close();
    await until('the old one is gone', async () => Object.keys(await frames(watcher)).length === 0);
    const again = await roomPage(chrome, roost.url, { room: 'reload', ...ben });
    await everyoneMeets([watcher, again], [ann, ben]);
    await leave([watcher, again]);
});

test('a dropped WebSocket resumes, and media does not notice', async () => {
    const pages = await Promise.all([ann, ben].map((person) => roomPage(chrome, roost.url, { room: 'resume', ...person })));
    await everyoneMeets(pages, [ann, ben]);
    const [one, other] = pages;
    const before = await frames(one);
    const heard = one.evaluate(() => new Promise((resolve) => globalThis.test.room.on('chat', (message) => resolve(message.text))));
    const told = one.evaluate(() => new Promise((resolve) => {
        const states = [];
        globalThis.test.room.on('state', (state) => {
            states.push(state);
            if (state === 'connected') resolve(states);
        });
        globalThis.test.client.interrupt();
    }));
    // said while the socket is down: must arrive after the resume
    await other.evaluate(() => globalThis.test.room.chat('while you were away'));
    assert.deepEqual(await told, ['reconnecting', 'connected']);
    assert.equal(await heard, 'while you were away');
    await until('frames go on', async () => (await frames(one))['ben/camera'] > before['ben/camera'] + 20);
    assert.equal(await one.evaluate(() => globalThis.test.events.filter((event) => event.event === 'media').length <= 2), true);
    await leave(pages);
});

test('ICE restarts after the path to the server was cut and restored', async (t) => {
    const pages = await Promise.all([ann, ben].map((person) => roomPage(chrome, roost.url, { room: 'cut', ...person })));
    await everyoneMeets(pages, [ann, ben]);
    let cut;
    try {
        cut = cutUdp(roost.mediaPort);
    } catch (problem) {
        t.skip(`this needs nftables and the right to use it: ${problem}`);
        await leave(pages);
        return;
    }
    try {
        await until('the clients notice', () => pages[0].evaluate(() => globalThis.test.room.mediaState !== 'connected'));
    } finally {
        cut.restore();
    }
    const before = await frames(pages[0]);
    await until('media is back', async () => (await frames(pages[0]))['ben/camera'] > before['ben/camera'] + 20);
    await leave(pages);
});

test('a screen is shared beside the camera', async () => {
    const pages = await Promise.all([ann, ben].map((person) => roomPage(chrome, roost.url, { room: 'screen', ...person })));
    await everyoneMeets(pages, [ann, ben]);
    await pages[0].bringToFront();
    // getDisplayMedia of the browser; its fake screen is a moving test picture
    await pages[0].evaluate(async () => {
        globalThis.test.share = [await globalThis.test.room.screen()].flat();
    });
    await until('ben sees both', async () => {
        const seen = await frames(pages[1]);
        return seen['ann/screen'] > 10 && seen['ann/camera'] > 10;
    });
    const both = await pages[1].evaluate(() => globalThis.test.look());
    assert.notDeepEqual(both.find((tile) => tile.source === 'screen').rgb, both.find((tile) => tile.source === 'camera').rgb);
    await pages[0].evaluate(() => Promise.all(globalThis.test.share.map((track) => globalThis.test.room.unpublish(track))));
    await until('the screen is gone', async () => !('ann/screen' in (await frames(pages[1]))));
    await leave(pages);
});

test('pages that are closed leave nothing behind', async () => {
    await until('all media sessions to end', async () => sum(await roost.metric('media_sessions')) === 0);
    assert.equal(sum(await roost.metric('media_tracks')), 0);
    assert.equal(sum(await roost.metric('media_mirrors')), 0);
});
