/** Headless Chromium and Firefox with fake devices, and pages that use the SDK with marked media. */

import puppeteer from 'puppeteer-core';

import { patienceMs } from '../../support/until.mjs';
import { addMovingPicture, css } from './moving_picture.mjs';
import { until } from './roost.mjs';

/**
 * A browser, whose pages wait as long as tests do.
 *
 * @param {Parameters<typeof puppeteer.launch>[0]} options
 */
async function launch(options) {
    const browser = await puppeteer.launch({ timeout: 2 * patienceMs, protocolTimeout: 5 * patienceMs, ...options });
    const patient = (/** @type {{newPage: typeof browser.newPage}} */ opener) => {
        const open = opener.newPage.bind(opener);
        opener.newPage = async () => {
            const page = await open();
            page.setDefaultTimeout(2 * patienceMs);
            return page;
        };
    };
    patient(browser);
    const openContext = browser.createBrowserContext.bind(browser);
    browser.createBrowserContext = async (contextOptions) => {
        const context = await openContext(contextOptions);
        patient(context);
        return context;
    };
    return browser;
}

/**
 * @param {{extra?: string[], permissions?: boolean, home?: string}} [options] permissions: cameras are
 *     granted, and so real addresses shown; home: a folder with a certificate store (Authority)
 */
export function chromium({ extra = [], permissions = true, home } = {}) {
    return launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        headless: true,
        env: { ...process.env, ...(home && { HOME: home }) },
        args: [
            '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
            '--disable-background-networking', '--disable-component-update', '--disable-sync',
            '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
            '--disable-backgrounding-occluded-windows',
            '--use-fake-device-for-media-stream', ...(permissions ? ['--use-fake-ui-for-media-stream'] : []),
            '--auto-select-desktop-capture-source=Entire screen', '--auto-accept-this-tab-capture',
            '--allow-loopback-in-peer-connection', '--autoplay-policy=no-user-gesture-required',
            ...extra,
        ],
    });
}

/**
 * @param {number} [fakeHertz] pitch of its fake microphone
 * @param {{profile?: string, program?: string, port?: number}} [options] profile: a folder with a certificate store
 *     (Authority); program: starts it in place of the one of this machine; port: where we talk to it
 */
export function firefox(fakeHertz = 880, { profile, program, port } = {}) {
    return launch({
        ...(profile && { userDataDir: profile }),
        ...(port && { debuggingPort: port }),
        browser: 'firefox',
        executablePath: program ?? process.env.FIREFOX ?? '/usr/bin/firefox-esr',
        headless: true,
        extraPrefsFirefox: {
            'media.navigator.streams.fake': true,
            'media.navigator.permission.disabled': true,
            'media.peerconnection.ice.obfuscate_host_addresses': false,
            'media.peerconnection.ice.loopback': true,
            'media.gmp-manager.updateEnabled': false,
            'media.autoplay.default': 0,
            'media.autoplay.blocking_policy': 0,
            'media.autoplay.block-webaudio': false,
            'media.navigator.audio.fake_frequency': fakeHertz,
            'network.proxy.type': 0,
            'app.update.enabled': false,
            'toolkit.telemetry.enabled': false,
        },
    });
}

/** The colours that tell publishers apart; far enough from each other to survive a codec. */
export const colours = { red: [220, 30, 30], green: [30, 200, 30], blue: [30, 30, 220], yellow: [220, 220, 30], white: [235, 235, 235] };

/**
 * A page in a room, with a picture of one colour and a tone of one pitch of its own.
 *
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} url of the server
 * @param {{room: string, name: string, colour?: keyof typeof colours, hertz?: number, publish?: boolean, key?: string, codec?: string,
 *     simulcast?: boolean, size?: [number, number], busy?: boolean, options?: import('../../../web/sdk/room.js').JoinOptions, prepare?: (page: import('puppeteer-core').Page) => Promise<unknown>}} options prepare: before it loads; busy:
 *     the picture takes all bandwidth that its encoder may have
 */
export async function roomPage(browser, url, { room, name, colour = 'red', hertz = 440, publish = true, key, codec, simulcast, size, busy, options, prepare }) {
    const page = await browser.newPage();
    await prepare?.(page);
    const problems = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => process.env.ROOST_LOG && console.error(name, message.text()));
    await page.goto(`${url}/healthz`);
    // Firefox has no sound system here: its own fake microphone speaks, and energy is what it hears
    const sound = (await browser.version()).toLowerCase().includes('firefox') ? 'device' : 'synthetic';
    await addMovingPicture(page);
    await page.evaluate(joinRoom, { room, name, fill: css(colours[colour]), hertz, publish, sound, key, codec, simulcast, size, busy, options });
    return Object.assign(page, { problems, label: name });
}

/** Says how the page wants the one video of its room that others send. */
export const wish = (page, what) => page.evaluate((said) => {
    const track = [...globalThis.test.room.members.values()].flatMap((member) => [...member.tracks.values()]).find(({ kind }) => kind === 'video');
    globalThis.test.room.setWish(track, said);
}, what);

/** Runs in the page. Leaves `globalThis.test` with all that tests look at. */
async function joinRoom({ room, name, fill, hertz, publish, sound, key, codec, simulcast, size, busy, options }) {
    const { connect } = await import('/sdk/roost.js');
    const client = await connect({ name });
    const joined = await client.join(room, { name, ...options, ...(key && { e2ee: { key } }) });
    const videos = new Map();
    const sink = sound === 'synthetic' ? new AudioContext() : null;
    const test = { client, room: joined, videos, errors: [], events: [], local: [] };
    globalThis.test = test;
    joined.on('error', (error) => test.errors.push(String(error)));
    joined.on('track-attached', (track) => {
        if (track.kind === 'audio') {
            // Chromium only decodes remote audio that an element plays
            const element = new Audio();
            element.srcObject = new MediaStream([track.mediaTrack]);
            element.muted = true;
            void element.play().catch(() => {});
            const analyser = sink?.createAnalyser();
            if (analyser) {
                analyser.fftSize = 4096;
                sink.createMediaStreamSource(new MediaStream([track.mediaTrack])).connect(analyser);
            }
            videos.set(track.id, { track, element, analyser });
            return;
        }
        const element = document.createElement('video');
        element.muted = true;
        element.autoplay = true;
        element.playsInline = true;
        element.srcObject = new MediaStream([track.mediaTrack]);
        document.body.append(element);
        void element.play().catch(() => {});
        videos.set(track.id, { track, element });
    });
    joined.on('track-detached', (track) => {
        videos.get(track.id)?.element.remove();
        videos.delete(track.id);
    });
    for (const event of ['media', 'state', 'member-joined', 'member-left'])
        joined.on(event, (detail) => test.events.push({ event, detail: typeof detail === 'string' ? detail : (detail?.name ?? detail?.member?.name) }));
    /** What each received picture shows: its colour and how many frames were decoded. */
    test.look = async () => {
        const stats = [...(await joined.peerConnection.getStats()).values()].filter((report) => report.type === 'inbound-rtp' && report.kind === 'video');
        const canvas = new OffscreenCanvas(16, 16);
        const context = canvas.getContext('2d', { willReadFrequently: true });
        return [...videos.values()].filter(({ track }) => track.kind === 'video').map(({ track, element }) => {
            context.drawImage(element, 0, 0, 16, 16);
            const [red, green, blue] = context.getImageData(4, 4, 1, 1).data;
            const report = stats.find(({ trackIdentifier }) => trackIdentifier === track.mediaTrack.id);
            return {
                from: track.member.name, source: track.source, rgb: [red, green, blue],
                frames: report?.framesDecoded ?? 0, width: element.videoWidth,
            };
        });
    };
    /** The strongest pitch of each received sound, or its energy where sound cannot be analysed. */
    test.listen = async () => {
        const stats = [...(await joined.peerConnection.getStats()).values()].filter((report) => report.type === 'inbound-rtp' && report.kind === 'audio');
        return [...videos.values()].filter(({ track }) => track.kind === 'audio').map(({ track, analyser }) => {
            if (!analyser) {
                const report = stats.find(({ trackIdentifier }) => trackIdentifier === track.mediaTrack.id);
                return { from: track.member.name, energy: report?.totalAudioEnergy ?? 0 };
            }
            const bins = new Float32Array(analyser.frequencyBinCount);
            analyser.getFloatFrequencyData(bins);
            const loudest = bins.indexOf(Math.max(...bins));
            return { from: track.member.name, hertz: (loudest * sink.sampleRate) / analyser.fftSize, db: bins[loudest] };
        });
    };
    if (!publish) return;
    const picture = globalThis.movingPicture({ fill, size, busy });
    test.local.push(await joined.publish(picture, { source: 'camera', codec, simulcast }));
    if (sound === 'device') {
        test.local.push(await joined.microphone({ constraints: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } }));
        return;
    }
    const tone = new AudioContext();
    const oscillator = tone.createOscillator();
    const out = tone.createMediaStreamDestination();
    const gain = tone.createGain();
    gain.gain.value = 0.5;
    oscillator.frequency.value = hertz;
    oscillator.connect(gain).connect(out);
    oscillator.start();
    await tone.resume();
    test.local.push(await joined.publish(out.stream.getAudioTracks()[0], { source: 'microphone' }));
}

/** @param {number[]} seen @param {number[]} wanted */
export function sameColour(seen, wanted) {
    return seen.every((value, index) => Math.abs(value - wanted[index]) < 60);
}

/**
 * Waits until each page sees each other's colour move and hears its pitch.
 *
 * @param {Awaited<ReturnType<typeof roomPage>>[]} pages
 * @param {{name: string, colour: keyof typeof colours, hertz: number}[]} present
 */
export async function everyoneMeets(pages, present) {
    for (const page of pages) {
        const others = present.filter((person) => person.name !== page.label);
        await until(`${page.label} sees ${others.map((other) => other.name)}`, async () => {
            const seen = await page.evaluate(() => globalThis.test.look());
            const all = others.every((other) => seen.some((tile) => tile.from === other.name
                && tile.source === 'camera' && tile.frames > 10 && sameColour(tile.rgb, colours[other.colour])));
            return all || Promise.reject(JSON.stringify(seen));
        });
        await until(`${page.label} hears ${others.map((other) => other.name)}`, async () => {
            const heard = await page.evaluate(() => globalThis.test.listen());
            const all = others.every((other) => heard.some((tone) => tone.from === other.name
                && (tone.energy > 0 || (Math.abs(tone.hertz - other.hertz) < 40 && tone.db > -60))));
            return all || Promise.reject(JSON.stringify(heard));
        });
    }
}

/** Frames of each picture that a page has decoded, by sender. */
export async function frames(page) {
    const seen = await page.evaluate(() => globalThis.test.look());
    return Object.fromEntries(seen.map((tile) => [`${tile.from}/${tile.source}`, tile.frames]));
}
