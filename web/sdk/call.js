/**
 * A one-to-one call, peer to peer: the server passes descriptions and candidates, sound and
 * picture go directly. While either side holds the call, neither sends. Whether the other side is muted,
 * and texts, travel on a data channel.
 */

import { CallChannels } from './call_channels.js';
import { CallPause } from './call_pause.js';
import { openCamera, openMicrophone } from './devices.js';
import { Emitter } from './emitter.js';
import { directEncodings } from './encodings.js';
import { RoostError } from './errors.js';
import { LocalTrack } from './local_track.js';
import { preferCodec } from './media.js';
import { StatsReader } from './quality.js';

const RESTART_AFTER_MS = 1500;
const CALLEE_WAITS_MS = 3000;
const RESTART_AGAIN_MS = 4000;
const RESTART_TRIES = 6;
const LEFT_AFTER_MS = 1000;

/**
 * @typedef {'incoming' | 'calling' | 'ringing' | 'connecting' | 'connected' | 'reconnecting' | 'ended'} CallState
 *
 * @typedef {object} CallOptions
 * @property {MediaStreamTrack[]} [tracks] what to send; nothing is sent otherwise, until publish()
 * @property {string} [name] display name of a caller who is not registered
 * @property {'audio' | 'video'} [media] what the caller means to use; video by default
 * @property {string} [transfer] id of the call that the server told to leave for this one
 * @property {boolean} [transfers] whether the other side may have this client call somebody else
 *
 * @typedef {{local: boolean, remote: boolean}} Held who holds the call
 *
 * @typedef {object} CallEvents
 * @property {CallState} state
 * @property {MediaStreamTrack} track the other side sends this track
 * @property {{audio: boolean, video: boolean}} remote-muted
 * @property {{text: string, own: boolean, time: Date}} chat
 * @property {LocalTrack} local-track-updated
 * @property {Held} held
 * @property {Call} transfer a call that will take this one's place: it rings somebody else, or was
 *     accepted for its own sake; once they talk, this one ends (`transferred`)
 * @property {import('./protocol.js').CallEndedReason} transfer-failed see transfer(); the call goes on
 * @property {boolean} peer-away the other side's signaling is lost; media may go on
 * @property {import('./protocol.js').CallEndedReason} ended
 * @property {RoostError} error
 */

/** @extends {Emitter<CallEvents>} */
export class Call extends Emitter {
    #signaling;
    #ice;
    /** @type {string | null} the server's id */
    #id = null;
    /** @type {CallState} */
    #state;
    /** @type {RTCPeerConnection} */
    #connection;
    /** @type {CallChannels} */
    #channels;
    #pause = new CallPause();
    /** @type {LocalTrack[]} what the last offer would have sent */
    #offered = [];
    /** Tracks that the other side's program refused. @type {WeakSet<LocalTrack>} */
    #refused = new WeakSet();
    #caller;
    #options;
    /** @type {import('./protocol.js').CallIncomingEvent | null} */
    #incoming = null;
    /** @type {(import('./protocol.js').Candidate | null)[]} own candidates until the call has an id */
    #ownCandidates = [];
    /** @type {(import('./protocol.js').Candidate | null)[]} the other side's until their description is set */
    #peerCandidates = [];
    /** @type {Set<LocalTrack>} */
    #local = new Set();
    #stream = new MediaStream();
    #statsReader = new StatsReader();
    #renegotiate = false;
    /** @type {Held} */
    #held = { local: false, remote: false };
    /** Descriptions of both sides are handled one after the other. */
    #applying = Promise.resolve();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;
    #restartTries = 0;
    #off;
    #networkChanged = () => this.restartIce();

    /**
     * Made by client.call() and by incoming calls.
     *
     * @param {import('./signaling.js').Signaling} signaling
     * @param {import('./ice.js').IceServers} ice
     * @param {string} peer user name or link
     * @param {CallOptions} options
     * @param {import('./protocol.js').CallIncomingEvent} [incoming]
     */
    constructor(signaling, ice, peer, options, incoming) {
        super();
        this.#signaling = signaling;
        this.#ice = ice;
        this.#options = options;
        this.#caller = !incoming;
        this.#state = incoming ? 'incoming' : 'calling';
        /** User name or link of the other side. */
        this.peer = peer;
        /** Display name of the other side, once known. */
        this.peerName = incoming?.from.name ?? peer;
        /** What the other side means to use. */
        this.media = incoming?.media ?? options.media ?? 'video';
        /** What the other side sends: one stream for the life of the call. */
        this.remoteStream = new MediaStream();
        this.remoteMuted = { audio: false, video: false };
        [this.#connection, this.#channels] = this.#connect();
        if (incoming) this.#take(incoming);
        this.#off = signaling.on('message', (message) => this.#receive(message));
        globalThis.addEventListener?.('online', this.#networkChanged);
    }

    get id() {
        return this.#id;
    }

    get state() {
        return this.#state;
    }

    get localTracks() {
        return [...this.#local];
    }

    /** @returns {Held} who holds the call */
    get held() {
        return { ...this.#held };
    }

    get peerConnection() {
        return this.#connection;
    }

    /**
     * Calls. Resolves when the server rings the other side; `state` tells what follows.
     *
     * @throws {RoostError} user-unavailable, user-busy...
     */
    async start() {
        for (const track of this.#options.tracks ?? []) this.#add(track, {});
        this.#receiveMissing();
        try {
            await this.#freshIce();
            await this.#connection.setLocalDescription(await this.#connection.createOffer());
            const { call } = await this.#signaling.request('call', {
                to: this.peer,
                sdp: localSdp(this.#connection),
                media: this.media,
                ...(this.#options.name ? { name: this.#options.name } : {}),
                ...(this.#options.transfer ? { transfer: this.#options.transfer } : {}),
                ...(this.#options.transfers === undefined ? {} : { transfers: this.#options.transfers }),
            });
            if (this.#id) return; // glare: an incoming call took this one's place
            this.#id = call;
            if (this.#state === 'ended') {
                // hung up meanwhile
                await this.#signaling.request('call_cancel', { call });
                return;
            }
            this.#flushCandidates();
        } catch (error) {
            if (error instanceof RoostError && error.code === 'glare') return; // see takeOver()
            this.#end('lost');
            throw error;
        }
    }

    /**
     * Takes an incoming call.
     *
     * @param {{tracks?: MediaStreamTrack[]}} [options]
     */
    async accept(options = {}) {
        const incoming = this.#incoming;
        if (!incoming || this.#state !== 'incoming') throw new RoostError('wrong-state');
        this.#setState('connecting');
        try {
            await this.#freshIce();
            await this.#connection.setRemoteDescription({ type: 'offer', sdp: incoming.sdp });
            for (const local of this.#local) this.#send(local);
            for (const track of options.tracks ?? this.#options.tracks ?? []) this.#add(track, {});
            await this.#connection.setLocalDescription(await this.#connection.createAnswer());
            await this.#signaling.request('call_accept', {
                call: this.#callId(),
                sdp: localSdp(this.#connection),
            });
            await this.#applyCandidates();
        } catch (error) {
            this.#end('lost');
            throw error;
        }
    }

    /** @param {'declined' | 'busy'} [reason] */
    async reject(reason = 'declined') {
        if (this.#state !== 'incoming') throw new RoostError('wrong-state');
        const call = this.#callId();
        this.#end('rejected');
        await this.#signaling.request('call_reject', { call, reason }).catch(() => {});
    }

    /** Ends the call, in whatever state it is, and lets go of the devices. */
    async hangup() {
        if (this.#state === 'ended') return;
        const call = this.#id;
        this.#end('hangup');
        if (call) await this.#signaling.request('call_hangup', { call }).catch(() => {});
    }

    /**
     * Lets the other side wait: neither sends until resume(). Meanwhile this client may call others.
     *
     * @throws {RoostError} call-state before the call is accepted
     */
    hold() {
        return this.#hold(true);
    }

    /** @throws {RoostError} already-in-call while another call is not on hold */
    resume() {
        return this.#hold(false);
    }

    /**
     * Has the other side call somebody else. When they accept, this call ends (`transferred`); when
     * not, `transfer-failed` says why, and the call goes on. When this client is in another call with
     * them, the two are connected to each other, and that call ends as well.
     *
     * @param {string} to user name
     * @throws {RoostError} cannot-transfer: the other side's program does not do that
     */
    async transfer(to) {
        await this.#signaling.request('call_transfer', { call: this.#callId(), to });
    }

    /**
     * Sends a track: within a call this offers again.
     *
     * @param {MediaStreamTrack} track
     * @param {{source?: import('./protocol.js').Source, open?: () => Promise<MediaStreamTrack>}} [options]
     * @returns {LocalTrack}
     */
    publish(track, options = {}) {
        const local = this.#add(track, options);
        this.#tellMuted();
        return local;
    }

    /** @param {import('./devices.js').CameraOptions & {track?: MediaStreamTrack}} [options] */
    async camera(options = {}) {
        const open = () => openCamera(options);
        return this.publish(options.track ?? (await open()), { source: 'camera', open });
    }

    /** @param {import('./devices.js').MicrophoneOptions & {track?: MediaStreamTrack}} [options] */
    async microphone(options = {}) {
        const open = () => openMicrophone(options);
        return this.publish(options.track ?? (await open()), { source: 'microphone', open });
    }

    /**
     * Writes to the other side, by the data channels of the call. A simple-peer client gets the text as
     * it is, and what it sends comes as a text, too.
     *
     * @param {string} text
     * @throws {RoostError} wrong-state before the call is connected
     */
    chat(text) {
        if (!this.#channels.send(text)) throw new RoostError('wrong-state');
        this.emit('chat', { text, own: true, time: new Date() });
    }

    /** Finds new network paths; happens by itself when the network changes. */
    restartIce() {
        if (!['connecting', 'connected', 'reconnecting'].includes(this.#state)) return;
        const connection = this.#connection;
        void this.#freshIce().then(() => connection.restartIce?.());
    }

    /** @returns {Promise<import('./quality.js').ConnectionStats>} */
    async stats() {
        const report = await this.#connection.getStats();
        /** @type {Record<string, any>[]} */
        const reports = [];
        report.forEach((entry) => reports.push(entry));
        return this.#statsReader.read(reports);
    }

    /**
     * Both sides called at once and the other's call goes on: continues as that call's callee.
     *
     * @param {import('./protocol.js').CallIncomingEvent} incoming
     */
    async takeOver(incoming) {
        this.#closeConnection();
        this.#caller = false;
        [this.#connection, this.#channels] = this.#connect();
        this.#ownCandidates = [];
        this.#peerCandidates = [];
        this.#take(incoming);
        this.peerName = incoming.from.name;
        this.#state = 'incoming';
        await this.accept({ tracks: [] });
    }

    /** @returns {string} */
    #callId() {
        if (!this.#id) throw new RoostError('wrong-state');
        return this.#id;
    }

    /** @param {CallState} state */
    #setState(state) {
        if (this.#state === state || this.#state === 'ended') return;
        this.#state = state;
        this.emit('state', state);
    }

    /** @param {import('./protocol.js').CallIncomingEvent} incoming */
    #take(incoming) {
        this.#incoming = incoming;
        this.#id = incoming.call;
        if (!incoming.glare) {
            this.#signaling.request('call_ringing', { call: incoming.call }).catch(() => {});
        }
    }

    /** Before paths are gathered: relays whose credentials are good. */
    async #freshIce() {
        const connection = this.#connection;
        if ((await this.#ice.refresh()) && connection.signalingState !== 'closed')
            connection.setConfiguration(this.#ice.configuration);
    }

    /** @returns {[RTCPeerConnection, CallChannels]} */
    #connect() {
        const connection = new RTCPeerConnection(this.#ice.configuration);
        const channels = new CallChannels(connection, this.#caller, {
            open: () => this.#tellMuted(),
            closed: () => this.#left(connection),
            muted: (muted) => {
                this.remoteMuted = muted;
                this.emit('remote-muted', muted);
            },
            text: (text) => this.emit('chat', { text, own: false, time: new Date() }),
        });
        connection.onicecandidate = ({ candidate }) => {
            const json = /** @type {import('./protocol.js').Candidate | undefined} */ (candidate?.toJSON());
            this.#candidate(json ?? null);
        };
        connection.ontrack = ({ track }) => {
            if (this.remoteStream.getTracks().includes(track)) return;
            this.remoteStream.addTrack(track);
            this.emit('track', track);
        };
        connection.onnegotiationneeded = () => this.#apply(() => this.#offer());
        connection.onconnectionstatechange = () => this.#connectionChanged(connection);
        connection.oniceconnectionstatechange = () => this.#connectionChanged(connection);
        return [connection, channels];
    }

    /**
     * @param {MediaStreamTrack} track
     * @param {{source?: import('./protocol.js').Source, open?: () => Promise<MediaStreamTrack>}} options
     * @returns {LocalTrack}
     */
    #add(track, options) {
        const kind = /** @type {import('./protocol.js').Kind} */ (track.kind);
        const source = options.source ?? (kind === 'video' ? 'camera' : 'microphone');
        const muted = !track.enabled;
        const local = new LocalTrack(
            {
                kind,
                source,
                muted,
                toldMuted: muted,
                mediaTrack: track,
                encodings: directEncodings(source, kind),
                codec: '',
                id: null,
                transceiver: null,
            },
            {
                changed: (changed) => {
                    this.#tellMuted();
                    this.emit('local-track-updated', changed);
                },
                ended: () => this.emit('error', new RoostError('device-lost')),
            },
            options.open,
        );
        this.#local.add(local);
        this.#send(local);
        return local;
    }

    /**
     * Puts a track on the connection. A camera that is off gets its section all the same.
     *
     * @param {LocalTrack} local
     */
    #send({ publication }) {
        const { mediaTrack, kind, source } = publication;
        const connection = this.#connection;
        if (mediaTrack) {
            // who is seen and heard is one stream, which clients of other protocols show as it comes
            const person = source === 'camera' || source === 'microphone';
            const stream = person ? this.#stream : new MediaStream();
            const sender = connection.addTrack(mediaTrack, stream);
            publication.transceiver =
                connection.getTransceivers().find((one) => one.sender === sender) ?? null;
        } else {
            publication.transceiver = connection.addTransceiver(kind);
        }
        if (this.#isHeld) this.#pauseSending();
        if (publication.transceiver && kind === 'video') {
            preferCodec(publication.transceiver, 'video/VP8');
        }
    }

    get #isHeld() {
        return this.#held.local || this.#held.remote;
    }

    /** @param {boolean} held */
    async #hold(held) {
        await this.#signaling.request('call_hold', { call: this.#callId(), held });
        this.#setHeld({ ...this.#held, local: held });
    }

    /** @param {Held} held */
    #setHeld(held) {
        if (held.local === this.#held.local && held.remote === this.#held.remote) return;
        this.#held = held;
        this.#pauseSending();
        this.emit('held', this.held);
    }

    #pauseSending() {
        const senders = [...this.#local].map(({ publication }) => publication.transceiver?.sender);
        void this.#pause.encodings(senders, this.#isHeld);
        this.#pause.directions(this.#connection, this.#held.local);
    }

    /** A caller without a camera or microphone still wants to see and hear. */
    #receiveMissing() {
        for (const kind of /** @type {const} */ (['audio', 'video'])) {
            if (kind === 'video' && this.media === 'audio') continue;
            if ([...this.#local].some((local) => local.kind === kind)) continue;
            this.#connection.addTransceiver(kind, { direction: 'recvonly' });
        }
    }

    /** @param {import('./protocol.js').Candidate | null} candidate */
    #candidate(candidate) {
        if (!this.#id) this.#ownCandidates.push(candidate);
        else this.#sendCandidate(candidate);
    }

    #flushCandidates() {
        for (const candidate of this.#ownCandidates.splice(0)) this.#sendCandidate(candidate);
    }

    /** @param {import('./protocol.js').Candidate | null} candidate */
    #sendCandidate(candidate) {
        this.#signaling
            .request('call_candidate', { call: this.#callId(), candidate })
            .catch(() => {}); // the call may have ended
    }

    async #applyCandidates() {
        if (!this.#connection.remoteDescription) return;
        for (const candidate of this.#peerCandidates.splice(0)) {
            try {
                if (candidate) await this.#connection.addIceCandidate(candidate);
            } catch (error) {
                console.warn('roost: a candidate of the other side was not usable', error);
            }
        }
    }

    /**
     * Offers again within an accepted call; the first offer is start()'s. The server lets one side
     * offer at a time, and is asked before the offer is set here: a refused offer leaves nothing
     * behind that would have to be rolled back.
     */
    async #offer() {
        if (!['connecting', 'connected', 'reconnecting'].includes(this.#state)) return;
        const connection = this.#connection;
        if (connection.signalingState !== 'stable') {
            this.#renegotiate = true;
            return;
        }
        this.#offered = this.localTracks.filter(({ publication }) => publication.transceiver?.direction.startsWith('send'));
        const offer = await connection.createOffer();
        try {
            await this.#signaling.request('call_offer', {
                call: this.#callId(),
                sdp: keepDtlsRole(connection, offer.sdp ?? ''),
            });
        } catch (error) {
            if (error instanceof RoostError && error.code === 'cannot-renegotiate') {
                this.#tellRefused();
                return; // the call goes on as it was
            }
            if (!(error instanceof RoostError) || error.code !== 'negotiation-pending') throw error;
            this.#renegotiate = true; // their offer comes: answer it, then offer again
            return;
        }
        await connection.setLocalDescription(offer);
    }

    /** What was offered and the other side's program does not take: said once of each track. */
    #tellRefused() {
        const refused = this.#offered.filter(
            ({ publication: { transceiver } }) => !transceiver?.currentDirection?.startsWith('send'),
        );
        if (this.#isHeld || refused.every((local) => this.#refused.has(local))) return;
        for (const local of refused) this.#refused.add(local);
        this.emit('error', new RoostError('cannot-renegotiate'));
    }

    /** @param {string} sdp the other side's new offer */
    async #answer(sdp) {
        const connection = this.#connection;
        await connection.setRemoteDescription({ type: 'offer', sdp });
        await connection.setLocalDescription(await connection.createAnswer());
        await this.#signaling.request('call_answer', {
            call: this.#callId(),
            sdp: localSdp(connection),
        });
        await this.#settled();
    }

    /** A description of the other side was applied. */
    async #settled() {
        await this.#applyCandidates();
        if (!this.#renegotiate) return;
        this.#renegotiate = false;
        await this.#offer();
    }

    /** @param {import('./protocol.js').ServerEvent} message an event of the server */
    #receive(message) {
        if (!('call' in message) || message.call !== this.#id) return;
        switch (message.type) {
            case 'call_ringing':
                if (this.#state === 'calling') this.#setState('ringing');
                break;
            case 'call_accepted':
                this.peerName = message.by.name;
                this.#setState('connecting');
                this.#apply(async () => {
                    await this.#connection.setRemoteDescription({ type: 'answer', sdp: message.sdp });
                    await this.#settled();
                });
                break;
            case 'call_candidate':
                this.#peerCandidates.push(message.candidate);
                this.#apply(() => this.#applyCandidates());
                break;
            case 'call_offer':
                this.#apply(() => this.#answer(message.sdp));
                break;
            case 'call_answer':
                this.#apply(async () => {
                    if (this.#connection.signalingState !== 'have-local-offer') return;
                    await this.#connection.setRemoteDescription({ type: 'answer', sdp: message.sdp });
                    this.#tellRefused();
                    await this.#settled();
                });
                break;
            case 'call_held':
                this.#setHeld({ ...this.#held, remote: message.held });
                break;
            case 'call_transfer_failed':
                this.emit('transfer-failed', message.reason);
                break;
            case 'call_peer':
                this.emit('peer-away', message.away);
                break;
            case 'call_ended':
                // on glare the other side's call comes in this one's place: see takeOver()
                if (message.reason === 'glare') this.#id = null;
                else this.#end(message.reason);
                break;
        }
    }

    /** @param {() => Promise<void>} work */
    #apply(work) {
        this.#applying = this.#applying.then(work).catch((cause) => {
            if (this.#state === 'ended') return;
            this.emit('error', cause instanceof RoostError ? cause : new RoostError('unknown', { cause }));
        });
    }

    /** @param {RTCPeerConnection} connection */
    #connectionChanged(connection) {
        if (this.#connection !== connection || this.#state === 'ended') return;
        const ice = connection.iceConnectionState;
        if (connection.connectionState === 'connected') {
            clearTimeout(this.#timer);
            this.#restartTries = 0;
            this.#setState('connected');
        } else if (ice === 'failed' || ice === 'disconnected') {
            if (this.#state === 'connected') this.#setState('reconnecting');
            // the caller restarts first, so that both do not offer at once
            this.#watch((ice === 'failed' ? 0 : RESTART_AFTER_MS) + (this.#caller ? 0 : CALLEE_WAITS_MS));
        }
    }

    /**
     * The other side closed its connection. Clients of other protocols hang up so, without a word
     * to the server; of all others the server says why, if it has not yet.
     *
     * @param {RTCPeerConnection} connection
     */
    #left(connection) {
        setTimeout(() => this.#connection === connection && void this.hangup(), LEFT_AFTER_MS);
    }

    /** @param {number} delayMs */
    #watch(delayMs) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => {
            if (this.#connection.connectionState === 'connected' || this.#state === 'ended') return;
            if (++this.#restartTries > RESTART_TRIES) {
                this.emit('error', new RoostError('media-failed'));
                return;
            }
            this.restartIce();
            this.#watch(RESTART_AGAIN_MS);
        }, delayMs);
    }

    #tellMuted() {
        /** @param {string} kind */
        const silent = (kind) => ![...this.#local].some((local) => local.kind === kind && !local.muted);
        this.#channels.tellMuted({ audio: silent('audio'), video: silent('video') });
    }

    #closeConnection() {
        const connection = this.#connection;
        connection.onicecandidate = connection.ontrack = connection.onnegotiationneeded = null;
        connection.onconnectionstatechange = connection.oniceconnectionstatechange = null;
        connection.close();
    }

    /** @param {import('./protocol.js').CallEndedReason} reason */
    #end(reason) {
        if (this.#state === 'ended') return;
        clearTimeout(this.#timer);
        globalThis.removeEventListener?.('online', this.#networkChanged);
        this.#off();
        this.#closeConnection();
        for (const local of this.#local) local.release();
        this.#setState('ended');
        this.emit('ended', reason);
    }
}

/**
 * @param {RTCPeerConnection} connection
 * @returns {string} the description that was just set
 */
function localSdp(connection) {
    return connection.localDescription?.sdp ?? '';
}

/**
 * An offer that asks for the DTLS role which this side has already (RFC 8842, section 5.5).
 * Firefox takes the other role when an ICE restart leaves the choice to it, and Chromium then
 * refuses its answer.
 *
 * @param {RTCPeerConnection} connection
 * @param {string} sdp
 * @returns {string}
 */
function keepDtlsRole(connection, sdp) {
    const { currentLocalDescription: local, currentRemoteDescription: remote } = connection;
    const answer = local?.type === 'answer' ? local : remote;
    const answered = /^a=setup:(active|passive)/m.exec(answer?.sdp ?? '')?.[1];
    if (!answered) return sdp;
    const role = (answer === local) === (answered === 'active') ? 'active' : 'passive';
    return sdp.replaceAll('a=setup:actpass', `a=setup:${role}`);
}
