/**
 * The SDK's media connection and calls in real browsers, against a stand-in for the server that
 * lives in the page or in the mock server: what is tested here is the client alone.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium, firefox } from './helpers/browsers.mjs';
import { addMovingPicture } from './helpers/moving_picture.mjs';
import { patienceMs } from '../support/until.mjs';
import { startMockServer } from './mock_server.mjs';

/** @type {Awaited<ReturnType<typeof startMockServer>>} */
let server;
before(async () => {
    server = await startMockServer({});
});
after(() => server.close());

/** Runs in the page: `connection` under test, `answerer` in the server's place. */
async function setUp() {
    const { MediaConnection } = await import('/sdk/media.js');
    const { IceServers } = await import('/sdk/ice.js');
    const test = { offers: [], errors: [], filled: [], fill: () => {}, answers: true, asked: 0, moves: 0 };
    globalThis.test = test;
    const source = (fill) => globalThis.movingPicture({ fill });
    const serverTrack = source('rgb(30,200,30)');
    let answerer = null;
    const gathered = (pc) => new Promise((resolve) => {
        if (pc.iceGatheringState === 'complete') return resolve();
        pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && resolve());
    });
    const sendOffer = async (offer) => {
        test.offers.push(offer);
        if (offer.fresh || !answerer) {
            answerer?.close();
            answerer = new RTCPeerConnection();
            test.answerer = answerer;
        }
        await answerer.setRemoteDescription({ type: 'offer', sdp: offer.sdp });
        const publications = [];
        const slots = [];
        for (const transceiver of answerer.getTransceivers()) {
            const section = offer.sdp.split(/^m=/m).find((part) => part.includes(`a=mid:${transceiver.mid}\r\n`)) ?? '';
            const kind = transceiver.receiver.track.kind;
            if (/a=recvonly/.test(section)) {
                transceiver.direction = 'sendonly';
                if (kind === 'video') await transceiver.sender.replaceTrack(serverTrack);
                slots.push({ mid: transceiver.mid, kind, pair: slots.length >> 1, track: kind === 'video' ? `t${transceiver.mid}` : null, member: null });
            } else if (/a=sendonly/.test(section)) {
                transceiver.direction = 'recvonly';
                publications.push({ mid: transceiver.mid, track: `p${transceiver.mid}` });
            }
        }
        await answerer.setLocalDescription(await answerer.createAnswer());
        await gathered(answerer);
        // candidates of the client come by peer-reflexive discovery, as with an ICE-lite server
        return { sdp: answerer.localDescription.sdp, publications, slots };
    };
    const serverAnswers = async (withinMs) => {
        if (withinMs) test.moves++; // asked because the browser took another path, as after a restart
        else test.asked++;
        return test.answers;
    };
    const connection = new MediaConnection(new IceServers(), sendOffer, serverAnswers);
    connection.on('error', (error) => test.errors.push(error.code));
    connection.on('slot', (slot) => test.filled.push(`${slot.mid}=${slot.track}`));
    const publication = (kind, track, wanted) => ({
        kind, source: wanted, muted: false, toldMuted: false, mediaTrack: track, encodings: [{ maxBitrate: 500_000 }],
        codec: kind === 'video' ? 'video/VP8' : 'audio/opus', id: null, transceiver: null,
    });
    const frames = async (pc, type, field) => {
        let sum = 0;
        for (const report of (await pc.getStats()).values()) if (report.type === type && report.kind === 'video') sum += report[field] ?? 0;
        return sum;
    };
    Object.assign(test, {
        connection, publication, source,
        received: () => frames(connection.peerConnection, 'inbound-rtp', 'framesDecoded'),
        arrived: () => frames(test.answerer, 'inbound-rtp', 'framesDecoded'),
    });
    const camera = publication('video', source('rgb(200,30,30)'), 'camera');
    test.camera = camera;
    void connection.setSlots({ audio: 2, video: 2 });
    await connection.publish(camera);
}

/** Polls in the page until an expression is true. */
const until = (page, expression, ...args) => page.waitForFunction(expression, { timeout: patienceMs, polling: 100 }, ...args);

for (const [name, launch] of [['Chromium', chromium], ['Firefox', firefox]]) {
    test(`${name}: slots, publications, ICE restart and renewal`, { timeout: 300000 }, async () => {
        const browser = await launch();
        try {
            const page = await browser.newPage();
            await page.goto(`${server.url}/app/texts.js`);
            await addMovingPicture(page);
            await page.evaluate(setUp);
            await until(page, () => globalThis.test.connection.state === 'connected');
            const first = await page.evaluate(() => {
                const { offers, camera, filled } = globalThis.test;
                return { offers: offers.length, fresh: offers[0].fresh, tracks: offers[0].tracks, id: camera.id, filled,
                    sections: offers[0].sdp.match(/^m=\w+/gm), vp8: /m=video \d+ \S+ (\d+)[^]*?a=rtpmap:\1 VP8/.test(offers[0].sdp) };
            });
            assert.equal(first.offers, 1, 'slots and publication go into one offer');
            assert.equal(first.fresh, true);
            assert.deepEqual(first.tracks.map(({ source }) => source), ['camera']);
            assert.equal(first.id, 'p0');
            assert.deepEqual(first.sections, ['m=video', 'm=audio', 'm=video', 'm=audio', 'm=video'], 'slots come in pairs');
            assert.deepEqual(first.filled, ['2=t2', '4=t4']);
            assert.ok(first.vp8, 'VP8 is offered first');
            await until(page, async () => (await globalThis.test.received()) > 10 && (await globalThis.test.arrived()) > 5);

            // more slots and a screen: the same connection grows
            await page.evaluate(async () => {
                const { connection, publication, source } = globalThis.test;
                globalThis.test.before = connection.peerConnection;
                globalThis.test.screen = publication('video', source('rgb(30,30,200)'), 'screen');
                const more = connection.setSlots({ audio: 3, video: 3 });
                await Promise.all([more, connection.publish(globalThis.test.screen)]);
            });
            const grown = await page.evaluate(() => {
                const { offers, connection, before, screen } = globalThis.test;
                return { offers: offers.length, same: connection.peerConnection === before, fresh: offers[1].fresh,
                    sections: offers[1].sdp.match(/^m=/gm).length, id: screen.id, slots: [...connection.slots].length };
            });
            assert.deepEqual(grown, { offers: 2, same: true, fresh: false, sections: 8, id: 'p5', slots: 6 });

            // unpublishing keeps the section, publishing again takes it
            await page.evaluate(async () => {
                const { connection, publication, source, screen } = globalThis.test;
                await connection.unpublish(screen);
                globalThis.test.screen = publication('video', source('rgb(30,30,200)'), 'screen');
                await connection.publish(globalThis.test.screen);
            });
            const again = await page.evaluate(() => ({ id: globalThis.test.screen.id, sections: globalThis.test.offers.at(-1).sdp.match(/^m=/gm).length }));
            assert.deepEqual(again, { id: 'p5', sections: 8 });

            // an ICE restart has new credentials, and the picture goes on
            const credentials = () => page.evaluate(() => /a=ice-ufrag:(\S+)/.exec(globalThis.test.offers.at(-1).sdp)[1]);
            const old = await credentials();
            const count = await page.evaluate(() => globalThis.test.offers.length);
            await page.evaluate(() => globalThis.test.connection.restartIce());
            await until(page, (n) => globalThis.test.offers.length > n, count);
            assert.notEqual(await credentials(), old);
            const seen = await page.evaluate(() => globalThis.test.received());
            await until(page, async (n) => (await globalThis.test.received()) > n + 10, seen);

            // a new connection takes publications and slots along
            await page.evaluate(() => globalThis.test.connection.renew());
            await until(page, () => globalThis.test.offers.at(-1).fresh && globalThis.test.connection.state === 'connected'
                && globalThis.test.connection.peerConnection !== globalThis.test.before);
            await until(page, async () => (await globalThis.test.received()) > 10 && (await globalThis.test.arrived()) > 10);
            assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        } finally {
            await browser.close();
        }
    });
}

/** Runs in the page: a connection whose statistics stand still on demand, as when nothing comes any more. */
function watchNetwork() {
    const { test } = globalThis;
    const { connection } = test;
    const pc = connection.peerConnection;
    const getStats = pc.getStats.bind(pc);
    test.quiet = async () => {
        const frozen = await getStats();
        pc.getStats = async () => frozen;
    };
    test.loud = () => {
        test.looks = 0;
        pc.getStats = () => {
            test.looks++;
            return getStats();
        };
    };
    test.restarts = () => new Set(test.offers.map(({ sdp }) => /a=ice-ufrag:(\S+)/.exec(sdp)[1])).size - 1;
    // the long wait for better paths is only noted
    test.waits = new Map();
    const [set, clear] = [globalThis.setTimeout.bind(globalThis), globalThis.clearTimeout.bind(globalThis)];
    globalThis.setTimeout = (callback, ms, ...rest) => {
        const id = set(ms === 8000 ? () => {} : callback, ms, ...rest);
        if (ms === 8000) test.waits.set(id, callback);
        return id;
    };
    globalThis.clearTimeout = (id) => {
        test.waits.delete(id);
        clear(id);
    };
    test.loud();
}

test('when nothing comes any more, or the network changes, ICE is restarted once, unless the server still answers', { timeout: 300000 }, async () => {
    const browser = await chromium();
    try {
        const page = await browser.newPage();
        await page.goto(`${server.url}/app/texts.js`);
        await addMovingPicture(page);
        await page.evaluate(setUp);
        await until(page, async () => globalThis.test.connection.state === 'connected' && (await globalThis.test.received()) > 10);
        await page.evaluate(watchNetwork);
        const heard = () => until(page, () => globalThis.test.looks > 6);
        // an offer of its own comes behind every one that is under way
        const restarts = () => page.evaluate(async () => {
            await globalThis.test.connection.negotiate();
            return globalThis.test.restarts();
        });
        const restarted = (times) => until(page, (wanted) => globalThis.test.restarts() === wanted, times);

        // the others have only stopped sending
        await heard();
        await page.evaluate(() => globalThis.test.quiet());
        await until(page, () => globalThis.test.asked === 1);
        assert.equal(await restarts(), 0);
        // the network is gone
        await page.evaluate(() => { globalThis.test.answers = false; globalThis.test.loud(); });
        await heard();
        await page.evaluate(() => globalThis.test.quiet());
        await restarted(1);
        assert.equal(await page.evaluate(() => globalThis.test.asked), 2);

        // the browser says that it has changed: at once when nothing answers, once for two words of it
        await page.evaluate(() => [0, 1].forEach(() => dispatchEvent(new Event('online'))));
        await restarted(2);
        assert.equal(await restarts(), 2);
        assert.equal(await page.evaluate(() => globalThis.test.asked), 3);
        // later when something is heard, or when the server answers; not at all when it has been restarted meanwhile
        for (const how of ['loud', 'quiet']) {
            await page.evaluate(async (what) => {
                globalThis.test.answers = true;
                await globalThis.test[what]();
                dispatchEvent(new Event('online'));
            }, how);
            await until(page, () => globalThis.test.waits.size === 1);
            await page.evaluate(() => globalThis.test.connection.restartIce());
            assert.equal(await page.evaluate(() => globalThis.test.waits.size), 0);
        }
        const before = await restarts();
        await page.evaluate(() => dispatchEvent(new Event('online')));
        await until(page, () => globalThis.test.waits.size === 1);
        await page.evaluate(() => [...globalThis.test.waits.values()][0]());
        await restarted(before + 1);
        // what a browser thinks of the network's speed is no change of networks
        assert.deepEqual(await page.evaluate(() => {
            const { test } = globalThis;
            test.loud();
            const told = () => {
                const looks = test.looks;
                navigator.connection.dispatchEvent(new Event('change'));
                return test.looks > looks;
            };
            const guess = told();
            Object.defineProperty(navigator.connection, 'type', { value: 'cellular', configurable: true });
            return [guess, told()];
        }), [false, true]);
        await until(page, () => globalThis.test.waits.size === 1);

        // signaling was resumed: media that goes on is left alone
        await page.evaluate(() => globalThis.test.connection.lookAgain());
        assert.equal(await restarts(), before + 1);
        await page.evaluate(async () => {
            await globalThis.test.quiet();
            await globalThis.test.connection.lookAgain();
        });
        await restarted(before + 2);
        // the browser takes another path: is signaling still there?
        assert.ok(await page.evaluate(() => {
            const { test } = globalThis;
            const { moves } = test;
            const [transceiver] = test.connection.peerConnection.getTransceivers();
            transceiver.sender.transport.iceTransport.dispatchEvent(new Event('selectedcandidatepairchange'));
            return test.moves > moves;
        }));

        // nothing is waited for any more once it is closed
        await page.evaluate(() => dispatchEvent(new Event('online')));
        await until(page, () => globalThis.test.waits.size === 1);
        await page.evaluate(() => globalThis.test.connection.close());
        assert.equal(await page.evaluate(() => globalThis.test.waits.size), 0);
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
    } finally {
        await browser.close();
    }
});

/** Runs in the page: joins the link and talks. */
async function talk(name) {
    const { connect } = await import('/sdk/roost.js');
    const client = await connect({ name });
    const test = { client, call: null, states: [], chat: [], errors: [] };
    globalThis.test = test;
    const tracks = () => [globalThis.movingPicture(), new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0]];
    const begin = (call) => {
        test.call = call;
        call.on('state', (state) => test.states.push(state));
        call.on('chat', ({ text, own }) => own || test.chat.push(text));
        call.on('error', (error) => test.errors.push(String(error.cause ?? error)));
        call.on('remote-muted', (muted) => (test.muted = muted));
        call.on('ended', (reason) => (test.ended = reason));
    };
    client.on('incoming-call', (call) => {
        begin(call);
        void call.accept({ tracks: tracks() });
    });
    test.frames = async () => {
        let sum = 0;
        for (const report of (await test.call.peerConnection.getStats()).values()) if (report.type === 'inbound-rtp' && report.kind === 'video') sum += report.framesDecoded ?? 0;
        return sum;
    };
    const role = await client.link('relay-1', { name });
    test.dial = async () => begin(await client.call('relay-1', { tracks: tracks() }));
    if (role === 'call') await test.dial();
    return role;
}

test('a private call between Chromium and Firefox: picture, mute, chat, new offers from both sides, ICE restart, hang up', { timeout: 300000 }, async () => {
    const browsers = await Promise.all([chromium(), firefox()]);
    try {
        const pages = await Promise.all(browsers.map((browser) => browser.newPage()));
        for (const page of pages) {
            await page.goto(`${server.url}/app/texts.js`);
            await addMovingPicture(page);
        }
        assert.equal(await pages[0].evaluate(talk, 'Ada'), 'wait');
        assert.equal(await pages[1].evaluate(talk, 'Grace'), 'call');
        const both = (expression, ...args) => Promise.all(pages.map((page) => until(page, expression, ...args)));
        await both(() => globalThis.test.call?.state === 'connected');
        await both(async () => (await globalThis.test.frames()) > 10);

        await pages[0].evaluate(() => globalThis.test.call.chat('hello'));
        await until(pages[1], () => globalThis.test.chat[0] === 'hello');
        await pages[0].evaluate(() => globalThis.test.call.localTracks.find(({ kind }) => kind === 'audio').mute());
        await until(pages[1], () => globalThis.test.muted?.audio === true && globalThis.test.muted.video === false);

        // both sides offer at the same moment: neither offer is lost
        await Promise.all(pages.map((page) => page.evaluate(() => {
            globalThis.test.call.publish(globalThis.movingPicture(), { source: 'screen' });
        })));
        await both(() => globalThis.test.call.remoteStream.getVideoTracks().length === 2
            && globalThis.test.call.peerConnection.signalingState === 'stable');

        const ufrag = await pages[1].evaluate(() => /a=ice-ufrag:(\S+)/.exec(globalThis.test.call.peerConnection.currentRemoteDescription.sdp)[1]);
        await pages[0].evaluate(() => globalThis.test.call.restartIce());
        await until(pages[1], (old) => !globalThis.test.call.peerConnection.currentRemoteDescription.sdp.includes(`a=ice-ufrag:${old}\r\n`), ufrag);
        // Firefox counts from nothing again after it: what comes from now on is added up
        await both(async () => {
            const { test } = globalThis;
            const now = await test.frames();
            test.more = (test.more ?? 0) + Math.max(0, now - (test.before ?? now));
            test.before = now;
            return test.more > 5;
        });

        await pages[1].evaluate(() => globalThis.test.call.hangup());
        await until(pages[0], () => globalThis.test.ended === 'hangup');
        for (const page of pages) assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
    } finally {
        await Promise.all(browsers.map((browser) => browser.close()));
    }
});
