/**
 * One face for calls in every language that clients speak: pages that register, call, accept and
 * hang up, so that a test can let each of them call each other one.
 *
 *     const page = await clients.peerjs.open(browser, roost.url);
 *     const client = await clients.peerjs.register(page, 'ada');
 *     await client.call('ben');
 *
 * A client has call(to), accept(), reject(), hangup(), state(), reason() and videoDecoded(). `state` is
 * one of idle, calling, incoming, connected, ended; a language that does not tell an end of a call
 * before it is answered stays in what was before (`isSilent` says whether it still rings). A call that
 * is refused at once has ended with the word of the refusal as its reason. The unmodified library runs in the page; only the glue
 * that a site would write is here.
 */

import { readFileSync } from 'node:fs';

import { addMovingPicture } from './moving_picture.mjs';
import { until } from './roost.mjs';

const library = (path) => readFileSync(new URL(`../../node_modules/${path}`, import.meta.url), 'utf8');

/** A blank page of the server, in which things are watched: `test.state`, `test.connection`. */
async function openPage(browser, url, prepare) {
    const page = await browser.newPage();
    page.on('console', (message) => process.env.ROOST_LOG && console.error(message.text()));
    await page.goto(`${url}/healthz`);
    await addMovingPicture(page);
    await page.evaluate(() => {
        globalThis.test = {
            state: 'idle',
            connection: null,
            reason: null,
            /** What the page sends; who hangs up may stop its tracks. */
            stream() {
                if (!this.sent?.active) this.sent = new MediaStream([globalThis.movingPicture()]);
                return this.sent;
            },
            /** Frames that were decoded of what the other side sends. */
            async decoded() {
                const reports = this.connection ? [...(await this.connection.getStats()).values()] : [];
                return reports.filter((report) => report.type === 'inbound-rtp' && report.kind === 'video')
                    .reduce((sum, report) => sum + (report.framesDecoded ?? 0), 0);
            },
            /** Another call: nothing is known of how it ends. */
            begin(state) {
                this.state = state;
                this.reason = null;
            },
            end(reason) {
                this.state = 'ended';
                this.reason = reason;
            },
            /** Calls, and knows why where that is refused at once. */
            async place(to, options) {
                this.begin('calling');
                await Promise.resolve(this.call(to, options)).catch((error) => this.end(error.code ?? error.message));
            },
            isSilent() {
                return this.state === 'ended';
            },
            async path() {
                const reports = this.connection ? [...(await this.connection.getStats()).values()] : [];
                const chosen = reports.find(({ type }) => type === 'transport')?.selectedCandidatePairId;
                const pair = reports.find(({ id }) => id === chosen);
                return pair && {
                    localType: reports.find(({ id }) => id === pair.localCandidateId).candidateType,
                    remotePort: reports.find(({ id }) => id === pair.remoteCandidateId).port,
                };
            },
            /** Chromium decodes what somebody shows. */
            show(stream) {
                const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, srcObject: stream });
                document.body.append(video);
            },
        };
    });
    await prepare?.(page);
    return page;
}

/** What all languages have in common once the page has `test.call(to)` and the others. */
const client = (page, language, user) => ({
    page,
    language,
    user,
    /** @param {string} to @param {object} [options] the language's own */
    call: (to, options = {}) => page.evaluate((name, given) => globalThis.test.place(name, given), to, options),
    async accept() {
        await until(`${user} is called`, () => page.evaluate(() => globalThis.test.state === 'incoming'), 30000);
        await page.evaluate(() => globalThis.test.accept());
    },
    async reject() {
        await until(`${user} is called`, () => page.evaluate(() => globalThis.test.state === 'incoming'), 30000);
        // not every language tells the one who refuses that it is over
        await page.evaluate(async () => {
            await globalThis.test.reject();
            globalThis.test.state = 'ended';
        });
    },
    hangup: () => page.evaluate(() => globalThis.test.hangup()),
    state: () => page.evaluate(() => globalThis.test.state),
    /** It does not ring (any longer). */
    isSilent: () => page.evaluate(() => globalThis.test.isSilent()),
    /** Why the last call ended, where the language says so. */
    reason: () => page.evaluate(() => globalThis.test.reason),
    videoDecoded: () => page.evaluate(() => globalThis.test.decoded()),
    /** What is in use: `localType` (host, srflx, prflx or relay) of the own end, `remotePort` of the other. */
    path: () => page.evaluate(() => globalThis.test.path()),
});

/** The native protocol by its SDK. */
const native = {
    open: openPage,
    /** @param {{token?: string}} [options] */
    async register(page, user, options = {}) {
        await page.evaluate(async (own, given) => {
            const { test } = globalThis;
            const { connect } = await import('/sdk/roost.js');
            test.client = await connect({ name: own });
            await test.client.register(own, given);
            test.client.on('incoming-call', (call) => test.use(call, 'incoming'));
            test.use = (call, state) => {
                test.current = call;
                test.begin(state);
                call.on('track', (track) => track.kind === 'video' && test.show(new MediaStream([track])));
                call.on('state', (now) => {
                    if (now === 'connected') test.state = 'connected';
                    test.connection = call.peerConnection;
                });
                call.on('ended', (reason) => {
                    if (test.current === call) test.end(reason);
                });
            };
            test.call = async (to) => test.use(await test.client.call(to, { tracks: test.stream().getTracks() }), 'calling');
            test.accept = () => test.current.accept({ tracks: test.stream().getTracks() });
            test.reject = () => test.current.reject();
            test.hangup = () => test.current.hangup();
        }, user, options);
        return client(page, 'native', user);
    },
};

/** PeerJS: the npm package as it is. */
const peerjs = {
    open: (browser, url) => openPage(browser, url, (page) => page.evaluate(library('peerjs/dist/peerjs.js'))),
    /** @param {{token?: string, path?: string}} [options] of new Peer() */
    async register(page, user, options = {}) {
        await page.evaluate(async (own, given) => {
            const { test } = globalThis;
            const peer = new globalThis.Peer(own, { host: location.hostname, port: Number(location.port), path: '/', ...given });
            test.peer = peer;
            test.errors = [];
            await new Promise((resolve, reject) => peer.once('open', resolve).once('error', reject));
            peer.on('error', (error) => {
                test.errors.push(error.type);
                // so a page hears that nobody answers
                if (error.type === 'peer-unavailable' && test.state === 'calling') test.end(error.type);
            });
            // it tells its page nothing of the end of a call that was not answered, and forgets the connection
            test.isSilent = () => test.state === 'ended' || !peer.connections[test.current.peer]?.includes(test.current);
            test.use = (connection, state) => {
                test.current = connection;
                test.begin(state);
                connection.on('stream', (stream) => {
                    test.show(stream);
                    test.connection = connection.peerConnection;
                    test.state = 'connected';
                });
                connection.on('close', () => {
                    if (test.current === connection) test.state = 'ended';
                });
            };
            peer.on('call', (connection) => test.use(connection, 'incoming'));
            test.call = (to, more) => test.use(peer.call(to, test.stream(), more), 'calling');
            test.accept = () => test.current.answer(test.stream());
            // there is no word for it in this language: the call rings until its caller gives up
            test.reject = () => test.current.close();
            test.hangup = () => test.current.close();
        }, user, options);
        return client(page, 'peerjs', user);
    },
};

/** MQTT: mqtt.js as it is, and the JSON of the native protocol. The name is the user's; `token` logs it in. */
const mqtt = {
    open: (browser, url) => openPage(browser, url, (page) => page.evaluate(library('mqtt/dist/mqtt.min.js'))),
    /** @param {{token: string}} options */
    async register(page, user, options) {
        await page.evaluate(async (own, { token }) => {
            const { test } = globalThis;
            const device = `page-${Math.random().toString(36).slice(2)}`, front = `roost/v1/${own}/${device}`;
            const client = await globalThis.mqtt.connectAsync(`${location.origin.replace('http', 'ws')}/mqtt`,
                { protocolVersion: 5, clientId: device, username: own, password: token });
            test.client = client;
            let serial = 0, call = null, offer = null;
            const replies = new Map();
            const ask = (type, fields = {}) => new Promise((resolve, reject) => {
                replies.set(++serial, ({ type: kind, result, code }) => (kind === 'ok' ? resolve(result) : reject(new Error(code))));
                client.publish(`${front}/request`, JSON.stringify({ type, id: serial, ...fields }), { qos: 1 });
            });
            const begin = () => {
                const peer = new RTCPeerConnection({ iceServers: test.iceServers });
                test.connection = peer;
                peer.ontrack = ({ track }) => track.kind === 'video' && test.show(new MediaStream([track]));
                peer.onconnectionstatechange = () => {
                    if (test.connection === peer && peer.connectionState === 'connected') test.state = 'connected';
                };
                // PeerJS clients hang up by closing their connection, without a word to the server
                const watch = (channel) => {
                    channel.onclose = () => test.connection === peer && test.state === 'connected' && test.hangup();
                };
                if (test.state === 'calling') watch(peer.createDataChannel('call'));
                peer.ondatachannel = ({ channel }) => watch(channel);
                for (const track of test.stream().getTracks()) peer.addTrack(track, test.stream());
                return peer;
            };
            const trickle = (peer) => {
                peer.onicecandidate = ({ candidate }) => ask('call_candidate', { call, candidate }).catch(() => {});
            };
            const describe = async (peer) => {
                await peer.setLocalDescription();
                while (peer.iceGatheringState !== 'complete')
                    await new Promise((done) => { peer.addEventListener('icegatheringstatechange', done, { once: true }); });
                return peer.localDescription.sdp;
            };
            const end = (reason) => {
                test.connection?.close();
                test.end(reason);
            };
            const events = {
                call_incoming(event) {
                    ({ call } = event);
                    offer = event;
                    test.begin('incoming');
                    ask('call_ringing', { call });
                },
                call_accepted: ({ sdp }) => test.connection.setRemoteDescription({ type: 'answer', sdp }),
                call_candidate: ({ candidate }) => test.connection?.addIceCandidate(candidate ?? undefined),
                async call_offer({ sdp }) {
                    await test.connection.setRemoteDescription({ type: 'offer', sdp });
                    await test.connection.setLocalDescription();
                    await ask('call_answer', { call, sdp: test.connection.localDescription.sdp });
                },
                call_answer: ({ sdp }) => test.connection.setRemoteDescription({ type: 'answer', sdp }),
                call_ended: ({ reason }) => end(reason),
            };
            // candidates of a caller come before its call is taken
            const early = [];
            client.on('message', (topic, payload) => {
                const message = JSON.parse(payload);
                if (replies.has(message.id)) replies.get(message.id)(message);
                else if (message.type === 'call_candidate' && test.state === 'incoming') early.push(message);
                else events[message.type]?.(message);
            });
            await client.subscribeAsync(`${front}/event`, { qos: 1 });
            test.iceServers = (await ask('ice_servers')).ice_servers;
            test.call = async (to) => {
                ({ call } = await ask('call', { to, media: 'video', sdp: await describe(begin()) }));
            };
            test.accept = async () => {
                const peer = begin();
                trickle(peer);
                test.state = 'accepting';
                await peer.setRemoteDescription({ type: 'offer', sdp: offer.sdp });
                for (const message of early.splice(0)) events.call_candidate(message);
                await peer.setLocalDescription();
                await ask('call_accept', { call, sdp: peer.localDescription.sdp });
            };
            test.reject = () => ask('call_reject', { call });
            test.hangup = async () => {
                await ask('call_hangup', { call });
                end('hangup');
            };
        }, user, options);
        return client(page, 'mqtt', user);
    },
};

/** simple-peer: the npm package as it is, with what its objects say passed by `relay`. */
const simplePeer = {
    open: (browser, url) => openPage(browser, url, (page) => page.evaluate(library('simple-peer/simplepeer.min.js'))),
    /** @param {{trickle?: boolean, token?: string}} [options] trickle: of SimplePeer, and of the session */
    async register(page, user, options = {}) {
        await page.evaluate(async (own, { trickle = true, ...given }) => {
            const { test } = globalThis;
            let id = 0;
            const peers = new Map();
            const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`, 'roost.v1');
            const send = (message) => socket.send(JSON.stringify({ id: ++id, ...message }));
            const stop = (name, tell) => {
                const peer = peers.get(name);
                if (peers.delete(name) && tell) send({ type: 'relay', to: name, data: { type: 'bye' } });
                peer?.destroy();
                if (test.with === name) test.state = 'ended';
            };
            test.start = (name, more) => {
                const peer = new globalThis.SimplePeer({ trickle, stream: test.stream(), ...more });
                peers.set(name, peer);
                test.peer = peer;
                test.connection = peer._pc; // for its statistics alone
                peer.on('signal', (data) => send({ type: 'relay', to: name, data }));
                peer.on('stream', (stream) => test.show(stream));
                peer.on('connect', () => (test.state = 'connected'));
                peer.on('data', (data) => (test.got ??= []).push(String(data)));
                peer.on('error', (error) => (test.errors ??= []).push(error.code));
                // another object may have taken its place by then
                peer.on('close', () => peers.get(name) === peer && stop(name, true));
            };
            let waiting = [];
            const registered = new Promise((resolve, reject) => {
                socket.onmessage = ({ data: text }) => {
                    const { type, id: request, from, data, message } = JSON.parse(text);
                    if (request === 2) (type === 'ok' ? resolve : reject)(message);
                    if (type !== 'relay') return;
                    if (data.type === 'bye') {
                        if (test.with === from) test.end(data.reason);
                        stop(from, false);
                    } else if (peers.has(from)) {
                        peers.get(from).signal(data);
                    } else if (data.type === 'offer') {
                        test.with = from;
                        test.begin('incoming');
                        waiting = [data];
                    } else {
                        waiting.push(data);
                    }
                };
            });
            await new Promise((resolve) => (socket.onopen = resolve));
            send({ type: 'hello', version: 1 });
            send({ type: 'register', user: own, relay: true, trickle, ...given });
            await registered;
            test.call = (to) => {
                test.with = to;
                test.start(to, { initiator: true });
            };
            test.accept = () => {
                test.start(test.with, {});
                for (const data of waiting) test.peer.signal(data);
            };
            test.reject = () => {
                send({ type: 'relay', to: test.with, data: { type: 'bye' } });
                test.state = 'ended';
            };
            test.hangup = () => stop(test.with, true);
        }, user, options);
        return client(page, 'simple-peer', user);
    },
};

export const clients = { native, peerjs, mqtt, 'simple-peer': simplePeer };

/**
 * Calls until it rings there. Where a call has just ended without a word to the server, the server hears of it from the
 * other side, and has that one for busy until then.
 */
export async function reach(caller, callee) {
    await caller.call(callee.user);
    await until(`${callee.user} is called`, async () => {
        if ((await callee.state()) === 'incoming') return true;
        if ((await caller.state()) === 'ended') await caller.call(callee.user);
        return false;
    }, 30000);
}

/** Both sides of a call have decoded pictures of each other. */
export async function bothSee(...sides) {
    await Promise.all(sides.map(({ user, videoDecoded }) => until(`${user} sees the other side`, async () => (await videoDecoded()) > 10, 30000)));
}

/** Both sides know that the call has ended. */
export async function bothEnd(...sides) {
    await Promise.all(sides.map(({ user, state }) => until(`${user} knows of the end`, async () => (await state()) === 'ended', 30000)));
}
