/** Browsers in the networks of the laboratory, and calls between their pages. */

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import puppeteer from 'puppeteer-core';

import { firefox } from '../browser/helpers/browsers.mjs';
import { freePort } from '../support/turn.mjs';
import { patienceMs } from '../support/until.mjs';

const relayProgram = new URL('relay.py', import.meta.url).pathname;

/** A page of a Chromium that lives in a network. */
export async function openBrowser(lab, network, authority) {
    const browser = await puppeteer.launch({
        executablePath: lab.programIn(network.client, process.env.CHROMIUM ?? '/usr/bin/chromium'),
        headless: true,
        // no network between it and us
        pipe: true,
        env: { ...process.env, HOME: authority.chromiumHome() },
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync', '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
            '--disable-backgrounding-occluded-windows', '--autoplay-policy=no-user-gesture-required',
            '--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints'],
    });
    const page = (await browser.pages())[0] ?? await browser.newPage();
    const seat = { network, browser, page, onCandidate: () => {} };
    await page.exposeFunction('tellCandidate', (call, candidate) => seat.onCandidate(call, candidate));
    await page.evaluate(preparePage);
    return seat;
}

/**
 * A Firefox that lives in a network. It listens on a port of its own loopback; what comes to that port of ours is
 * carried over.
 */
export async function openFirefox(lab, network, authority) {
    const port = await freePort();
    const door = createServer((socket) => {
        const relay = spawn('ip', ['netns', 'exec', network.client, 'python3', relayProgram, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
        for (const end of [socket, relay.stdin, relay.stdout]) end.on('error', () => {});
        socket.pipe(relay.stdin);
        relay.stdout.pipe(socket);
        socket.on('close', () => relay.kill());
    });
    await new Promise((resolve) => door.listen(port, '127.0.0.1', resolve));
    const browser = await firefox(880, {
        profile: authority.firefoxProfile(), port, program: lab.programIn(network.client, process.env.FIREFOX ?? '/usr/bin/firefox-esr'),
    });
    browser.once('disconnected', () => door.close());
    return { network, browser };
}

/** Runs in the page: calls by number, each with a data channel and a small moving picture each way. */
function preparePage() {
    const calls = new Map();
    const canvas = document.createElement('canvas');
    canvas.width = 160;
    canvas.height = 96;
    const context = canvas.getContext('2d');
    let count = 0;
    setInterval(() => {
        context.fillStyle = `hsl(${(count++ * 7) % 360} 80% 50%)`;
        context.fillRect((count * 8) % 160, 0, 40, 96);
    }, 100);
    const stats = async (call) => [...(await call.connection.getStats()).values()];
    globalThis.laboratory = {
        open(number, iceServers) {
            const connection = new RTCPeerConnection({ iceServers });
            const channel = connection.createDataChannel('lab', { negotiated: true, id: 0 });
            const call = { connection, channel, begun: performance.now(), echoed: null, problems: [] };
            channel.onopen = () => channel.send('ping');
            channel.onmessage = ({ data }) => {
                if (data === 'ping') channel.send('pong');
                else call.echoed ??= performance.now() - call.begun;
            };
            connection.addTrack(canvas.captureStream(10).getVideoTracks()[0]);
            connection.onicecandidate = ({ candidate }) => {
                if (candidate) void globalThis.tellCandidate(number, candidate.toJSON());
            };
            connection.onicecandidateerror = ({ url, errorCode, errorText }) => call.problems.push(`${url}: ${errorCode} ${errorText}`);
            calls.set(number, call);
        },
        async offer(number) {
            const { connection } = calls.get(number);
            await connection.setLocalDescription();
            return connection.localDescription.toJSON();
        },
        async answer(number, offer) {
            const { connection } = calls.get(number);
            await connection.setRemoteDescription(offer);
            await connection.setLocalDescription();
            return connection.localDescription.toJSON();
        },
        accept: (number, answer) => calls.get(number).connection.setRemoteDescription(answer),
        candidate: (number, candidate) => calls.get(number)?.connection.addIceCandidate(candidate),
        /** How far it is: time to the first answer through the channel, frames seen, the path in use. */
        async look(number) {
            const call = calls.get(number);
            const reports = await stats(call);
            const transport = reports.find((report) => report.type === 'transport');
            const pair = reports.find((report) => report.id === transport?.selectedCandidatePairId);
            const local = reports.find((report) => report.id === pair?.localCandidateId);
            const remote = reports.find((report) => report.id === pair?.remoteCandidateId);
            return {
                state: call.connection.connectionState, echoedMs: call.echoed === null ? null : Math.round(call.echoed),
                frames: reports.find((report) => report.type === 'inbound-rtp')?.framesDecoded ?? 0,
                local: local && { type: local.candidateType, relay: local.relayProtocol, address: local.address, url: local.url },
                remote: remote && { type: remote.candidateType, address: remote.address },
                candidates: reports.filter((report) => report.type === 'local-candidate').map((report) => `${report.candidateType}/${report.relayProtocol ?? report.protocol} ${report.address}`),
                problems: call.problems,
            };
        },
        close(number) {
            calls.get(number)?.connection.close();
            calls.delete(number);
        },
    };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let lastCall = 0;

/**
 * A call between two seats.
 *
 * @param {{direct: boolean, timeoutMs?: number, settleMs?: number}} options direct: whether a path without
 *     relay is waited for, since browsers begin with what answers first
 * @returns what both ends say, when each has heard from the other and seen pictures
 */
export async function call(one, other, servers, { direct, timeoutMs = patienceMs, settleMs = 5000 }) {
    const number = ++lastCall;
    const ask = (seat, verb, ...args) => seat.page.evaluate((name, values) => globalThis.laboratory[name](...values), verb, args);
    // candidates wait for the description they belong to
    const waiting = new Map([[one, []], [other, []]]);
    const route = (from, to) => {
        const before = from.onCandidate;
        from.onCandidate = (of, candidate) => {
            if (of !== number) return before(of, candidate);
            const queue = waiting.get(to);
            if (queue) queue.push(candidate);
            else void ask(to, 'candidate', number, candidate).catch(() => {});
        };
    };
    const release = async (seat) => {
        const queue = waiting.get(seat);
        waiting.delete(seat);
        for (const candidate of queue) await ask(seat, 'candidate', number, candidate);
    };
    route(one, other);
    route(other, one);
    const end = Date.now() + timeoutMs;
    let looks = [];
    let relayed = false;
    try {
        await Promise.all([ask(one, 'open', number, servers), ask(other, 'open', number, servers)]);
        const answer = await ask(other, 'answer', number, await ask(one, 'offer', number));
        await release(other);
        await ask(one, 'accept', number, answer);
        await release(one);
        let connected = false;
        let settled = null;
        while (Date.now() < end) {
            looks = await Promise.all([one, other].map((seat) => ask(seat, 'look', number)));
            connected = looks.every((look) => look.echoedMs !== null && look.frames > 2 && look.local && look.remote);
            if (connected) settled ??= Date.now();
            // both ends on the same pair: the side that decides moves on to better ones
            const agreed = looks.every((look, index) => (look.local?.type === 'relay') === (looks[1 - index].remote?.type === 'relay'));
            relayed = looks.some((look) => look.local?.type === 'relay' || look.remote?.type === 'relay');
            if (connected && ((agreed && relayed !== direct) || Date.now() - settled > settleMs)) break;
            await pause(100);
        }
        return { connected, relayed, looks, ms: Math.max(...looks.map((look) => look.echoedMs ?? Infinity)) };
    } finally {
        await Promise.all([one, other].map((seat) => ask(seat, 'close', number).catch(() => {})));
    }
}

/** The path of one look in a few words: what this end uses, towards what. */
export function describe({ local, remote }) {
    if (!local || !remote) return 'none';
    // the remote type can be prflx for what is a relay: the other end's own word counts
    return local.type === 'relay' ? `relay/${local.relay ?? 'udp'}` : local.type;
}
