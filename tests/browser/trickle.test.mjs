// Calls with a device that takes candidates only within descriptions, as many small WebRTC libraries do:
// a page that speaks the native protocol itself, gathers first, and never adds a candidate.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { addMovingPicture } from './helpers/moving_picture.mjs';
import { callPage, talks } from './helpers/peer_to_peer.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;

before(async () => {
    roost = await startRoost({ workers: 1 });
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

/** Runs in the page: a client without trickle ICE, registered as `user`. */
async function speakWhole(user) {
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`, 'roost.v1');
    const test = { messages: [], failures: [], descriptions: [], call: null };
    globalThis.test = test;
    const replies = new Map();
    let lastId = 0;
    const request = (type, fields = {}) => new Promise((resolve, reject) => {
        replies.set(++lastId, { resolve, reject });
        socket.send(JSON.stringify({ type, id: lastId, ...fields }));
    });
    const connection = new RTCPeerConnection();
    test.call = { peerConnection: connection };
    connection.addTrack(globalThis.movingPicture({ fill: 'rgb(220,30,30)' }));
    /** Sets it, and waits until it holds all candidates. */
    const describe = async (description) => {
        await connection.setLocalDescription(description);
        while (connection.iceGatheringState !== 'complete')
            await new Promise((resolve) => connection.addEventListener('icegatheringstatechange', resolve, { once: true }));
        return connection.localDescription.sdp;
    };
    const take = async (type, sdp) => {
        test.descriptions.push(sdp);
        await connection.setRemoteDescription({ type, sdp });
    };
    const handlers = {
        call_incoming: async ({ call, sdp }) => {
            await take('offer', sdp);
            await request('call_accept', { call, sdp: await describe() });
        },
        call_offer: async ({ call, sdp }) => {
            await take('offer', sdp);
            await request('call_answer', { call, sdp: await describe() });
        },
        call_accepted: ({ sdp }) => take('answer', sdp),
        call_answer: ({ sdp }) => take('answer', sdp),
    };
    socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        test.messages.push(message.type);
        if (message.type === 'ok') replies.get(message.id)?.resolve(message.result);
        else if (message.type === 'error') replies.get(message.id)?.reject(new Error(message.code));
        else handlers[message.type]?.(message).catch((error) => test.failures.push(String(error)));
    };
    await new Promise((resolve) => (socket.onopen = resolve));
    await request('hello', { version: 1 });
    await request('register', { user, trickle: false });
    test.callUser = async (to) => request('call', { to, sdp: await describe() });
}

async function wholePage(user) {
    const page = await chrome.newPage();
    await page.goto(`${roost.url}/healthz`);
    await addMovingPicture(page);
    await page.evaluate(speakWhole, user);
    return page;
}

const look = (page) => page.evaluate(() => {
    const { messages, failures, descriptions } = globalThis.test;
    return { messages, failures, descriptions };
});

function checkWhole({ messages, failures, descriptions }, count) {
    assert.deepEqual(failures, []);
    assert.equal(descriptions.length, count);
    for (const sdp of descriptions) assert.match(sdp, /^a=candidate:.*\r\n(a=candidate:.*\r\n)*a=end-of-candidates\r$/m);
    assert.ok(!messages.includes('call_candidate'), 'no candidate comes apart');
}

test('a page that trickles calls one that does not, and later offers are whole too', async () => {
    const whole = await wholePage('whole-1');
    const page = await callPage(chrome, roost.url, 'pieces');
    await page.evaluate(async () => {
        const { client, use, picture } = globalThis.test;
        use(await client.call('whole-1', { tracks: [picture()] }));
    });
    await talks(page, 'the one that trickles sees the other');
    await talks(whole, 'the one that does not sees it as well');
    checkWhole(await look(whole), 1);
    // a restart of ICE
    await page.evaluate(() => globalThis.test.call.restartIce());
    await until('the new offer is there', async () => (await look(whole)).descriptions.length > 1);
    await until('its answer is applied', () => page.evaluate(() => globalThis.test.call.peerConnection.signalingState === 'stable'));
    const { descriptions } = await look(whole);
    const [first, second] = descriptions.map((sdp) => /a=ice-ufrag:(.*)\r/.exec(sdp)[1]);
    assert.notEqual(first, second);
    checkWhole(await look(whole), 2);
    await page.evaluate(() => globalThis.test.call.hangup());
    await until('the other hears of the end', async () => (await look(whole)).messages.includes('call_ended'));
    await Promise.all([page.close(), whole.close()]);
});

test('a page that does not trickle calls one that does', async () => {
    const whole = await wholePage('whole-2');
    const page = await callPage(chrome, roost.url, 'pieces');
    await page.evaluate(async () => {
        const { client, use, picture } = globalThis.test;
        await client.register('pieces');
        client.on('incoming-call', (call) => {
            use(call);
            call.accept({ tracks: [picture()] });
        });
    });
    await whole.evaluate(() => globalThis.test.callUser('pieces'));
    await until('it is accepted', () => page.evaluate(() => globalThis.test.call !== null));
    await talks(page, 'the one that trickles sees the other');
    await talks(whole, 'the one that does not sees it as well');
    checkWhole(await look(whole), 1);
    await Promise.all([page.close(), whole.close()]);
});
