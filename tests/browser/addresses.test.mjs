// Which addresses media takes: IPv6, and clients that hide theirs behind mDNS names.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { chromium, everyoneMeets, roomPage } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {{close(): Promise<void>}[]} */
const open = [];
after(() => Promise.allSettled(open.map((one) => one.close())));

async function start(set) {
    const roost = await startRoost({ set });
    open.push({ close: () => roost.stop() });
    return roost;
}

async function launch(options) {
    const browser = await chromium(options);
    open.unshift(browser);
    return browser;
}

const ann = { name: 'ann', colour: 'red', hertz: 440 };

/** The remote address of the path in use, as the browser tells it. */
const remoteAddress = (page) => page.evaluate(async () => {
    const stats = [...(await globalThis.test.room.peerConnection.getStats()).values()];
    const pair = stats.find((report) => report.type === 'candidate-pair' && report.nominated && report.state === 'succeeded');
    return stats.find((report) => report.id === pair?.remoteCandidateId)?.address;
});

test('media flows over IPv6', async () => {
    const roost = await start({ 'media.addresses': '::1' });
    const browser = await launch();
    const publisher = await roomPage(browser, roost.url, { room: 'six', ...ann });
    const viewer = await roomPage(browser, roost.url, { room: 'six', name: 'viewer', publish: false });
    await everyoneMeets([viewer], [ann]);
    assert.equal(await until('a path', () => remoteAddress(viewer)), '::1');
    assert.equal(await remoteAddress(publisher), '::1');
});

test('a viewer without camera rights, whose candidates are mDNS names, sees the room', async () => {
    const roost = await start({});
    const publisherBrowser = await launch();
    // without the fake permission, Chromium gives names instead of addresses
    const viewerBrowser = await launch({ permissions: false });
    await roomPage(publisherBrowser, roost.url, { room: 'names', ...ann });
    const viewer = await roomPage(viewerBrowser, roost.url, { room: 'names', name: 'viewer', publish: false });
    await everyoneMeets([viewer], [ann]);
    const candidates = await viewer.evaluate(() => globalThis.test.room.peerConnection.localDescription.sdp
        .split('\r\n').filter((line) => line.startsWith('a=candidate') && line.includes(' typ host')));
    assert.ok(candidates.every((line) => line.includes('.local')), `no address is shown: ${candidates.join()}`);
});
