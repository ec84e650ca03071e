// Networks that let no UDP through: browsers reach the media server over TCP on the HTTPS port, or on TURN's port.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { freePort } from '../support/turn.mjs';
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

test("two Chromium pages meet over TCP on TURN's port, where it alone is open", async () => {
    const port = await freePort();
    // of what the server says, only this port is reached
    const prepare = (page) => page.evaluateOnNewDocument((number) => {
        const { setRemoteDescription } = RTCPeerConnection.prototype;
        RTCPeerConnection.prototype.setRemoteDescription = function setWithOnePort({ type, sdp }) {
            const reached = sdp.replace(/^a=candidate:.*\r\n/gm, (line) => (line.includes(` ${number} typ host tcptype passive`) ? line : ''));
            return setRemoteDescription.call(this, { type, sdp: reached });
        };
    }, port);
    const server = await startRoost({ set: { 'turn.bind': '0.0.0.0', 'media.udp_port': String(port), 'turn.port': String(port) } });
    const browser = await chromium();
    try {
        const pages = await Promise.all(people.map((person) => roomPage(browser, server.url, { room: 'turn-port', ...person, prepare })));
        await everyoneMeets(pages, people);
        for (const page of pages) {
            const path = await page.evaluate(async () => {
                const reports = [...(await globalThis.test.room.peerConnection.getStats()).values()];
                const pair = reports.find(({ id }) => id === reports.find(({ type }) => type === 'transport').selectedCandidatePairId);
                const remote = reports.find(({ id }) => id === pair.remoteCandidateId);
                return { protocol: remote.protocol, port: remote.port };
            });
            assert.deepEqual(path, { protocol: 'tcp', port });
        }
        assert.ok(sum(await server.metric('media_streams')) >= 2);
    } finally {
        await browser.close();
        await server.stop();
    }
});
