// Networks that let no UDP through: browsers reach the media server over TCP on the HTTPS port.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, everyoneMeets, firefox, roomPage } from './helpers/browsers.mjs';
import { cutUdp } from './helpers/network.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;

before(async () => {
    // without TURN nothing but ICE-TCP is left
    roost = await startRoost({ workers: 3, set: { 'http.bind': '0.0.0.0', 'turn.tcp': 'false', 'turn.tls': 'false', 'turn.https': 'false' } });
});
after(() => roost?.stop());

const people = [
    { name: 'ann', colour: 'red', hertz: 440 },
    { name: 'ben', colour: 'green', hertz: 880 },
];
const sum = (values) => Object.values(values).reduce((a, b) => a + b, 0);

for (const [name, start] of [['Chromium', chromium], ['Firefox', firefox]]) {
    test(`two ${name} pages see and hear each other over TCP where UDP is blocked`, async (t) => {
        let cut;
        try {
            cut = cutUdp(roost.mediaPort);
        } catch (problem) {
            t.skip(`this needs nftables and the right to use it: ${problem}`);
            return;
        }
        const browser = await start();
        try {
            const pages = await Promise.all(people.map((person) => roomPage(browser, roost.url, { room: `tcp-${name}`, ...person })));
            await everyoneMeets(pages, people);
            assert.ok(sum(await roost.metric('media_streams')) >= 2, 'each client has a connection');
            await Promise.all(pages.map((page) => page.close()));
            await until('connections end with their clients', async () => sum(await roost.metric('media_streams')) === 0);
        } finally {
            cut.restore();
            await browser.close();
        }
    });
}
