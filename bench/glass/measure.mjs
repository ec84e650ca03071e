// Glass to glass: one page of Chromium draws a clock, another reads it from the pictures that it
// gets, at the same time through roost and over a peer-to-peer call of the same two pages. What
// roost adds is the difference for the same picture, so what the machine does else hits both.
//
//   node bench/glass/measure.mjs [--seconds 20] [--rounds 4]
//
// "frame": when the decoder's picture leaves the browser's jitter buffer; "shown": when the page may
// show it, which waits for the next of 60 refreshes a second.
import { parseArgs } from 'node:util';

import { chromium } from '../../tests/browser/helpers/browsers.mjs';
import { callPage, talks } from '../../tests/browser/helpers/peer_to_peer.mjs';
import { startRoost, until } from '../../tests/browser/helpers/roost.mjs';

const { values: options } = parseArgs({ options: {
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '4' },
} });

/**
 * In the page that draws: a track whose pictures carry the time in quarters of a millisecond, as 24
 * bits and their complement, in cells of black and white.
 */
function drawClock() {
    const [width, height] = [640, 360];
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d');
    const generator = new MediaStreamTrackGenerator({ kind: 'video' });
    const writer = generator.writable.getWriter();
    setInterval(() => {
        const time = Math.round((performance.timeOrigin + performance.now()) * 4) % 2 ** 24;
        context.fillStyle = '#446';
        context.fillRect(0, 0, width, height);
        for (let bit = 0; bit < 48; bit++) {
            const one = ((bit < 24 ? time : ~time) >> (bit % 24)) & 1;
            context.fillStyle = one ? 'white' : 'black';
            context.fillRect((bit % 8) * 80, Math.floor(bit / 8) * 60, 80, 60);
        }
        const frame = new VideoFrame(canvas, { timestamp: performance.now() * 1000 });
        writer.write(frame).catch(() => {});
    }, 1000 / 30);
    globalThis.test.clock = generator;
}

/** In the page that reads: `seen` collects the stamp and the delay of each picture of a track. */
function readClock() {
    const now = () => (performance.timeOrigin + performance.now()) * 4;
    const canvas = new OffscreenCanvas(640, 360);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    /** The stamp, or null for a picture that is not whole. */
    const read = (picture) => {
        context.drawImage(picture, 0, 0, 640, 360);
        const { data } = context.getImageData(0, 0, 640, 360);
        const bits = [0, 0];
        for (let bit = 0; bit < 48; bit++) {
            const x = (bit % 8) * 80 + 40, y = Math.floor(bit / 8) * 60 + 30;
            if (data[(y * 640 + x) * 4] > 128) bits[bit < 24 ? 0 : 1] |= 1 << (bit % 24);
        }
        return (bits[0] ^ bits[1]) === 0xffffff ? bits[0] : null;
    };
    globalThis.test.watch = (name, track) => {
        const seen = { frame: new Map(), shown: new Map() };
        (globalThis.test.seen ??= {})[name] = seen;
        const note = (kind, picture, at) => {
            const stamp = read(picture);
            if (stamp !== null && !seen[kind].has(stamp))
                seen[kind].set(stamp, ((Math.round(at) - stamp) & 0xffffff) / 4);
        };
        const video = document.createElement('video');
        Object.assign(video, { muted: true, autoplay: true, srcObject: new MediaStream([track]) });
        document.body.append(video);
        const shown = () => {
            note('shown', video, now());
            video.requestVideoFrameCallback(shown);
        };
        video.requestVideoFrameCallback(shown);
        const reader = new MediaStreamTrackProcessor({ track: track.clone() }).readable.getReader();
        const next = async () => {
            for (;;) {
                const { value, done } = await reader.read();
                if (done) return;
                note('frame', value, now());
                value.close();
            }
        };
        void next();
    };
}

const quantile = (values, part) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * part)];

/** The clock goes through a room of the server. */
async function meet(first, second, name) {
    await second.evaluate(async (room) => {
        const joined = await globalThis.test.client.join(room);
        joined.on('track-attached', (track) => globalThis.test.watch('roost', track.mediaTrack));
    }, name);
    await first.evaluate(async (room) => {
        const { client, clock } = globalThis.test;
        const joined = await client.join(room);
        await joined.publish(clock.clone(), { source: 'camera', codec: 'video/VP8', simulcast: false });
    }, name);
}

/** The clock goes from page to page. */
async function call(first, second, name) {
    const answered = second.evaluate(async (link) => {
        const { client } = globalThis.test;
        const incoming = new Promise((resolve) => client.on('incoming-call', resolve));
        if ((await client.link(link)) !== 'wait') throw new Error('the first at a link waits');
        globalThis.test.waiting = true;
        const accepted = await incoming;
        globalThis.test.call = accepted;
        accepted.on('track', (track) => track.kind === 'video' && globalThis.test.watch('p2p', track));
        await accepted.accept({ tracks: [] });
    }, name);
    await until('the reader waits', () => second.evaluate(() => globalThis.test.waiting));
    await first.evaluate(async (link) => {
        const { client, clock } = globalThis.test;
        await client.link(link);
        globalThis.test.call = await client.call(link, { tracks: [clock.clone()] });
    }, name);
    await answered;
    await talks(second, 'pictures of the call');
}

/** What the second page saw in `seconds` of both ways; which begins is the first to encode. */
async function round(browser, url, seconds, ways) {
    const [first, second] = [await callPage(browser, url, 'draws'), await callPage(browser, url, 'reads')];
    const name = `glass-${Math.random().toString(36).slice(2)}`;
    await second.evaluate(readClock);
    await first.evaluate(drawClock);
    for (const way of ways) await way(first, second, name);
    await until('both clocks', () => second.evaluate(() =>
        ['roost', 'p2p'].every((way) => (globalThis.test.seen[way]?.frame.size ?? 0) > 30)), 20000);
    // bandwidth estimation has settled, and jitter buffers
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await second.evaluate(() => {
        for (const { frame, shown } of Object.values(globalThis.test.seen)) { frame.clear(); shown.clear(); }
    });
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const seen = await second.evaluate(() => Object.fromEntries(Object.entries(globalThis.test.seen)
        .map(([way, { frame, shown }]) => [way, { frame: [...frame], shown: [...shown] }])));
    await first.close();
    await second.close();
    return seen;
}

const server = await startRoost({ workers: 1 });
const browser = await chromium();
const all = { frame: { roost: [], p2p: [], added: [] }, shown: { roost: [], p2p: [], added: [] } };
try {
    for (let i = 0; i < Number(options.rounds); i++) {
        const seen = await round(browser, server.url, Number(options.seconds), i % 2 ? [call, meet] : [meet, call]);
        for (const kind of ['frame', 'shown']) {
            const direct = new Map(seen.p2p[kind]);
            all[kind].p2p.push(...direct.values());
            for (const [stamp, delay] of seen.roost[kind]) {
                all[kind].roost.push(delay);
                if (direct.has(stamp)) all[kind].added.push(delay - direct.get(stamp));
            }
        }
    }
} finally {
    await browser.close();
    await server.stop();
}
console.log('| ms | pictures | roost p50 / p95 | peer to peer p50 / p95 | added, same picture, p50 / p95 |');
console.log('| --- | --- | --- | --- | --- |');
for (const [kind, { roost, p2p, added }] of Object.entries(all)) {
    const both = (values) => `${quantile(values, 0.5)?.toFixed(1)} / ${quantile(values, 0.95)?.toFixed(1)}`;
    console.log(`| ${kind} | ${added.length} | ${both(roost)} | ${both(p2p)} | ${both(added)} |`);
}
