// The first picture: how long after join() of the SDK, or watch() of a WHEP viewer, a page of Chromium
// shows the first frame of a room in which another page sends its picture and sound.
//
//   node bench/glass/first_picture.mjs [--joins 40] [--simulcast false] [--gap 700]
//
// Each join is in a page of its own, so nothing is warm but the browser. Steps, in milliseconds from the
// call: "answer": the server's answer is applied; "keys": the connection is up; "track": the page has a
// track to show; "frame": the first frame is presented (requestVideoFrameCallback). "key frames":
// what the publisher was asked for by all joins. --gap: between the end of a join and the next one.
import { parseArgs } from 'node:util';

import { chromium, roomPage } from '../../tests/browser/helpers/browsers.mjs';
import { startRoost, until } from '../../tests/browser/helpers/roost.mjs';

const { values: options } = parseArgs({ options: {
    joins: { type: 'string', default: '40' },
    gap: { type: 'string', default: '700' },
    simulcast: { type: 'string', default: 'true' },
} });

/** In the page, before it does anything: `test.at` collects the steps. */
function prepare() {
    const test = { at: {}, began: 0 };
    globalThis.test = test;
    test.note = (step) => (test.at[step] ??= performance.now() - test.began);
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(...rest) {
            super(...rest);
            this.addEventListener('signalingstatechange', () => this.signalingState === 'stable' && test.note('answer'));
            this.addEventListener('connectionstatechange', () => this.connectionState === 'connected' && test.note('keys'));
        }
    };
    test.show = (track) => {
        const video = document.createElement('video');
        Object.assign(video, { muted: true, autoplay: true, playsInline: true, srcObject: new MediaStream([track]) });
        document.body.append(video);
        video.requestVideoFrameCallback((now, { presentationTime }) => {
            test.at.frame = Math.max(now, presentationTime) - test.began;
            test.size = [video.videoWidth, video.videoHeight];
        });
    };
}

/** In the page: a member that only looks. */
async function joinRoom(room) {
    const { connect } = await import('/sdk/roost.js');
    const client = await connect({ name: 'looks' });
    const { test } = globalThis;
    test.began = performance.now();
    const joined = await client.join(room);
    test.note('joined');
    joined.on('track-attached', (track) => {
        if (track.kind !== 'video') return;
        test.note('track');
        test.show(track.mediaTrack);
    });
}

/** In the page: a viewer by WHEP. */
async function watchRoom(room) {
    const { watch } = await import('/sdk/whep.js');
    const { test } = globalThis;
    test.began = performance.now();
    const session = await watch(`/whep/${room}`);
    test.note('joined');
    for (const track of session.stream.getVideoTracks()) {
        test.note('track');
        test.show(track);
    }
}

const quantile = (values, part) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * part)];

async function once(browser, url, room, join) {
    const page = await browser.newPage();
    await page.goto(`${url}/healthz`);
    await page.evaluate(prepare);
    await page.evaluate(join, room);
    await until('a picture', () => page.evaluate(() => globalThis.test.at.frame), 10000);
    const { at, size } = await page.evaluate(() => globalThis.test);
    await page.close();
    return { ...at, width: size[0] };
}

const server = await startRoost({ workers: 1 });
const browser = await chromium();
const asked = async () => Object.values(await server.metric('media_key_frames_asked_total')).reduce((a, b) => a + b, 0);
console.log('| ms, p50 / p95 | joined | answer | keys | track | first frame | slowest | key frames |');
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
try {
    const room = `first-${Math.random().toString(36).slice(2)}`;
    await roomPage(browser, server.url, { room, name: 'sends', simulcast: options.simulcast === 'true', size: [1280, 720] });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    for (const [name, join] of [['join()', joinRoom], ['watch()', watchRoom]]) {
        const before = await asked();
        const seen = [];
        for (let i = 0; i < Number(options.joins); i++) {
            seen.push(await once(browser, server.url, room, join));
            await new Promise((resolve) => setTimeout(resolve, Number(options.gap)));
        }
        const both = (step) => {
            const values = seen.map((at) => at[step]).filter((value) => value !== undefined);
            return `${quantile(values, 0.5)?.toFixed(0)} / ${quantile(values, 0.95)?.toFixed(0)}`;
        };
        const slowest = Math.max(...seen.map(({ frame }) => frame)).toFixed(0);
        console.log(`| ${name} | ${['joined', 'answer', 'keys', 'track', 'frame'].map(both).join(' | ')} | ${slowest} | ${await asked() - before} |`);
    }
} finally {
    await browser.close();
    await server.stop();
}
