/**
 * The media connection of a room: one RTCPeerConnection on which the client always offers and the
 * server always answers. Sections in which we send are publications; receive-only sections are
 * slots, whose content changes by messages and never by negotiation.
 */

import { Emitter } from './emitter.js';
import { RoostError } from './errors.js';
import { takeDescriptor } from './header_extensions.js';
import { sendAll, sendLayers } from './layers_sent.js';
import { Silence } from './silence.js';

const RESTART_AFTER_MS = 1500;
const RESTART_TRIES = 4;
const CONNECT_WITHIN_MS = 15000;
/** After a change of networks, the time in which the server finds another path that it knows. */
const MOVED_WITHIN_MS = 500;
/** Paths change without reason, too, often while a page is busy with its beginning: signaling has time to answer. */
const ANSWERS_WITHIN_MS = 2000;
/** Browsers believe in a path for so long after it went silent, and go back to it when ICE is restarted. */
const BELIEF_MS = 8000;

/**
 * @typedef {import('./protocol.js').Kind} Kind
 * @typedef {import('./protocol.js').Source} Source
 *
 * @typedef {object} Slot
 * @property {string} mid
 * @property {Kind} kind
 * @property {MediaStreamTrack} mediaTrack the same object for the life of the connection
 * @property {string | null} track id of the track that fills it
 *
 * @typedef {object} Publication what is being sent, over all PeerConnections of a room
 * @property {Kind} kind
 * @property {Source} source
 * @property {string} [name]
 * @property {boolean} muted
 * @property {boolean} toldMuted what the server was told last
 * @property {MediaStreamTrack | null} mediaTrack
 * @property {RTCRtpEncodingParameters[]} encodings
 * @property {string} codec preferred codec, as in `video/VP8`
 * @property {string} [wholeMode] see layers_sent.js
 * @property {string | null} id the server's id for it, once answered
 * @property {RTCRtpTransceiver | null} transceiver
 *
 * @typedef {'connecting' | 'connected' | 'disconnected' | 'closed'} MediaConnectionState
 *
 * @typedef {object} MediaEvents
 * @property {MediaConnectionState} state
 * @property {Slot} slot a slot's content changed
 * @property {RoostError} error
 *
 * @typedef {(offer: {sdp: string, tracks: import('./protocol.js').TrackOffer[], fresh: boolean}) => Promise<import('./protocol.js').OfferResult>} SendOffer
 */

/** @extends {Emitter<MediaEvents>} */
export class MediaConnection extends Emitter {
    #sendOffer;
    #ice;
    #e2ee;
    #data;
    /** @type {RTCPeerConnection | null} */
    #connection = null;
    /** @type {MediaConnectionState} */
    #state = 'connecting';
    /** @type {Set<Publication>} */
    #publications = new Set();
    /** @type {WeakMap<RTCRtpTransceiver, RTCRtpEncodingParameters[]>} what each was made to send */
    #sent = new WeakMap();
    /** @type {RTCRtpTransceiver[]} receive-only transceivers in the order of making */
    #receivers = [];
    /** @type {Map<string, Slot>} by mid */
    #slots = new Map();
    #wanted = { audio: 0, video: 0 };
    /** Ends waiting for what the connection was asked, see #answered. */
    #dropped = () => {};
    /** @type {Promise<void>} settles when the connection is dropped */
    #gone = Promise.resolve();
    #fresh = true;
    #restart = false;
    #dirty = false;
    /** @type {Promise<void> | null} the negotiation under way */
    #negotiating = null;
    #restartTries = 0;
    #wasConnected = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;
    /** An ICE restart is being negotiated. */
    #restarting = false;
    #networkChanged = () => void this.#lookForPaths();
    #networkType = connectionInformation()?.type;
    /** Told also when a browser thinks anew of how fast the network is, which is no other one. */
    #informationChanged = () => {
        const type = connectionInformation()?.type;
        if (type === this.#networkType) return;
        this.#networkType = type;
        this.#networkChanged();
    };
    /** @type {RTCPeerConnection | null} for which other paths are being looked for */
    #looking = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #lookTimer;
    #serverAnswers;
    #silence = new Silence(() => void this.#heardNothing());
    #moved = () => void this.#serverAnswers(ANSWERS_WITHIN_MS);

    /**
     * @param {import('./ice.js').IceServers} ice
     * @param {SendOffer} sendOffer passes an offer to the server
     * @param {(withinMs?: number) => Promise<boolean>} serverAnswers whether the server is reached by signaling as before
     * @param {import('./e2ee.js').E2ee | null} [e2ee] encrypts what is sent, decrypts what is received
     * @param {import('./data.js').RoomData | null} [data] sends its messages over each connection
     */
    constructor(ice, sendOffer, serverAnswers, e2ee = null, data = null) {
        super();
        this.#serverAnswers = serverAnswers;
        this.#data = data;
        this.#e2ee = e2ee;
        this.#ice = ice;
        this.#sendOffer = sendOffer;
        globalThis.addEventListener?.('online', this.#networkChanged);
        connectionInformation()?.addEventListener?.('change', this.#informationChanged);
    }

    get state() {
        return this.#state;
    }

    /** The RTCPeerConnection, for statistics and for what the SDK does not cover. */
    get peerConnection() {
        return this.#connection;
    }

    /** @returns {IterableIterator<Slot>} */
    get slots() {
        return this.#slots.values();
    }

    /**
     * Makes sure that there are at least so many receive-only sections.
     *
     * @param {import('./protocol.js').SlotCount} count
     * @returns {Promise<void>} settles when negotiated
     */
    setSlots(count) {
        this.#wanted = {
            audio: Math.max(this.#wanted.audio, count.audio),
            video: Math.max(this.#wanted.video, count.video),
        };
        return this.negotiate();
    }

    /**
     * Starts sending.
     *
     * @param {Publication} publication
     * @returns {Promise<void>} settles when the server has answered
     */
    publish(publication) {
        this.#publications.add(publication);
        return this.negotiate();
    }

    /**
     * Stops sending; the section is kept for a later publication of the same kind.
     *
     * @param {Publication} publication
     * @returns {Promise<void>}
     */
    async unpublish(publication) {
        if (!this.#publications.delete(publication)) return;
        const { transceiver } = publication;
        publication.transceiver = null;
        publication.id = null;
        if (!transceiver || this.#state === 'closed') return;
        transceiver.direction = 'inactive';
        await transceiver.sender.replaceTrack(null);
        await this.negotiate();
    }

    /**
     * Lets layers that nobody watches rest, and those that somebody watches go on.
     *
     * @param {Publication} publication
     * @param {number} layers so many, smallest first
     */
    async setDemand(publication, layers) {
        const sender = publication.transceiver?.sender;
        if (sender) await sendLayers(sender, publication, layers);
    }

    /**
     * Applies what the server says fills the slots.
     *
     * @param {import('./protocol.js').SlotChange[]} changes
     */
    applySlots(changes) {
        for (const { mid, track, member } of changes) {
            const slot = this.#slots.get(mid);
            if (!slot || slot.track === track) continue;
            slot.track = track;
            this.#e2ee?.filled(slot.mediaTrack, member);
            this.emit('slot', slot);
        }
    }

    /** Finds new network paths without touching what is sent and received. */
    restartIce() {
        this.#stopLooking();
        if (this.#state === 'closed' || !this.#connection) return;
        this.#restart = true;
        this.negotiate().catch((error) => this.#failed(error));
    }

    /** Signaling had to be resumed, perhaps over another network: restarts ICE if nothing is heard any more. */
    async lookAgain() {
        const connection = this.#connection;
        if (this.#state !== 'connected' || this.#restart || this.#restarting) return;
        if (await this.#hears()) return;
        if (this.#connection === connection) this.restartIce();
    }

    /** Begins again with a new RTCPeerConnection; publications and slots come along. */
    renew() {
        if (this.#state === 'closed') return;
        this.#dropConnection();
        this.#fresh = true;
        this.negotiate().catch((error) => this.#failed(error));
    }

    /**
     * Offers to the server whatever changed. Calls while an offer is under way are gathered into
     * the next one.
     *
     * @returns {Promise<void>}
     */
    negotiate() {
        if (this.#state === 'closed') return Promise.reject(new RoostError('connection-closed'));
        this.#dirty = true;
        this.#negotiating ??= this.#negotiateAll().finally(() => {
            this.#negotiating = null;
            this.#restarting = false;
        });
        return this.#negotiating;
    }

    close() {
        if (this.#state === 'closed') return;
        this.#dropConnection();
        globalThis.removeEventListener?.('online', this.#networkChanged);
        connectionInformation()?.removeEventListener?.('change', this.#informationChanged);
        this.#setState('closed');
        this.clear();
    }

    /** @param {MediaConnectionState} state */
    #setState(state) {
        if (this.#state === state) return;
        this.#state = state;
        this.emit('state', state);
    }

    async #negotiateAll() {
        await nextTask(); // what the application does right after joining goes into one offer
        while (this.#dirty && this.#state !== 'closed') {
            this.#dirty = false;
            try {
                await this.#negotiateOnce();
            } catch (error) {
                if (this.#connection?.signalingState !== 'closed') throw error;
                // the application closed it under us: another one takes its place
                this.#dropConnection();
                this.#fresh = this.#dirty = true;
            }
        }
    }

    async #negotiateOnce() {
        const connection = this.#connection ?? this.#makeConnection();
        for (const publication of this.#publications) await this.#attach(connection, publication);
        this.#addReceivers(connection);
        const iceRestart = this.#restart && !this.#fresh;
        this.#restart = false;
        this.#restarting ||= iceRestart;
        if ((iceRestart || this.#fresh) && (await this.#ice.refresh())) {
            if (this.#connection !== connection) return;
            connection.setConfiguration(this.#configuration);
        }
        const fresh = this.#fresh;
        const offer = await this.#answered(connection.createOffer({ iceRestart }));
        if (this.#connection !== connection) return;
        await this.#answered(connection.setLocalDescription(offer));
        if (this.#connection !== connection) return;
        try {
            const result = await this.#sendOffer({
                sdp: connection.localDescription?.sdp ?? offer.sdp ?? '',
                tracks: this.#describeTracks(),
                fresh,
            });
            if (this.#connection !== connection) return;
            this.#fresh = false;
            this.#noteResult(result);
            this.#e2ee?.learnCodecs(result.sdp);
            await this.#answered(connection.setRemoteDescription({ type: 'answer', sdp: result.sdp }));
        } catch (error) {
            if (connection.signalingState === 'have-local-offer') {
                await this.#answered(connection.setLocalDescription({ type: 'rollback' }));
            }
            if (this.#connection !== connection) return; // replaced meanwhile: not its problem
            throw error;
        }
    }

    /**
     * A connection that was closed meanwhile never answers (WebRTC 1.0, 4.4.1.2), not even with an error. Waiting
     * for it would end all negotiation, so this settles when the connection is dropped, too: look whether it was.
     *
     * @template T
     * @param {Promise<T>} operation
     * @returns {Promise<T>}
     */
    #answered(operation) {
        return /** @type {Promise<T>} */ (Promise.race([operation, this.#gone]));
    }

    /** @returns {RTCConfiguration} */
    get #configuration() {
        return { ...this.#ice.configuration, bundlePolicy: 'max-bundle', ...this.#e2ee?.configuration };
    }

    /** @returns {RTCPeerConnection} */
    #makeConnection() {
        const connection = new RTCPeerConnection(this.#configuration);
        this.#connection = connection;
        this.#gone = new Promise((resolve) => (this.#dropped = resolve));
        connection.onconnectionstatechange = () => this.#connectionChanged(connection);
        connection.oniceconnectionstatechange = () => this.#connectionChanged(connection);
        this.#data?.attach(connection);
        this.#watch(CONNECT_WITHIN_MS);
        return connection;
    }

    #dropConnection() {
        clearTimeout(this.#timer);
        this.#stopLooking();
        this.#silence.stop();
        const connection = this.#connection;
        this.#connection = null;
        this.#dropped();
        this.#receivers = [];
        this.#e2ee?.connectionGone();
        this.#data?.detach();
        for (const slot of this.#slots.values()) {
            slot.track = null;
            this.emit('slot', slot);
        }
        this.#slots.clear();
        for (const publication of this.#publications) {
            publication.transceiver = null;
            publication.id = null;
        }
        if (!connection) return;
        connection.onconnectionstatechange = connection.oniceconnectionstatechange = null;
        connection.close();
    }

    /**
     * @param {RTCPeerConnection} connection
     * @param {Publication} publication
     */
    async #attach(connection, publication) {
        if (publication.transceiver) return;
        const idle = connection.getTransceivers().find((candidate) => this.#idle(candidate, publication));
        if (idle) {
            idle.direction = 'sendonly';
            await idle.sender.replaceTrack(publication.mediaTrack);
            await sendAll(idle.sender, publication);
            publication.transceiver = idle;
        } else {
            publication.transceiver = connection.addTransceiver(
                publication.mediaTrack ?? publication.kind,
                { direction: 'sendonly', sendEncodings: publication.encodings },
            );
            this.#sent.set(publication.transceiver, publication.encodings);
        }
        preferCodec(publication.transceiver, publication.codec);
        this.#protect(publication.transceiver, 'protect');
    }

    /**
     * @param {RTCRtpTransceiver} transceiver
     * @param {'protect' | 'unprotect'} how
     */
    #protect(transceiver, how) {
        if (!this.#e2ee) return;
        this.#e2ee[how](transceiver);
        withoutRed(transceiver);
    }

    /**
     * A section that once sent and may send this publication.
     *
     * @param {RTCRtpTransceiver} transceiver
     * @param {Publication} publication
     */
    #idle(transceiver, publication) {
        return (
            transceiver.direction === 'inactive' &&
            !this.#receivers.includes(transceiver) &&
            transceiver.receiver.track.kind === publication.kind &&
            // browsers may have cut down what it can send
            transceiver.sender.getParameters().encodings.length === publication.encodings.length &&
            sameLayers(this.#sent.get(transceiver) ?? [], publication.encodings) &&
            ![...this.#publications].some((other) => other.transceiver === transceiver)
        );
    }

    /**
     * Slots come in pairs: the first audio with the first video, and so on.
     *
     * @param {RTCPeerConnection} connection
     */
    #addReceivers(connection) {
        /** @param {Kind} kind */
        const have = (kind) =>
            this.#receivers.filter(({ receiver }) => receiver.track.kind === kind).length;
        for (;;) {
            const audio = have('audio') < this.#wanted.audio;
            const video = have('video') < this.#wanted.video;
            if (!audio && !video) return;
            for (const kind of /** @type {Kind[]} */ (['audio', 'video'])) {
                if (kind === 'audio' ? !audio : !video) continue;
                const receiver = connection.addTransceiver(kind, { direction: 'recvonly' });
                takeDescriptor(receiver);
                this.#protect(receiver, 'unprotect');
                this.#receivers.push(receiver);
            }
        }
    }

    /** @returns {import('./protocol.js').TrackOffer[]} */
    #describeTracks() {
        /** @type {import('./protocol.js').TrackOffer[]} */
        const tracks = [];
        for (const publication of this.#publications) {
            const { transceiver, source, name, muted } = publication;
            const mid = transceiver?.mid;
            publication.toldMuted = muted;
            const encrypted = this.#e2ee !== null;
            if (mid) tracks.push({ mid, source, muted, encrypted, ...(name ? { name } : {}) });
        }
        return tracks;
    }

    /** @param {import('./protocol.js').OfferResult} result */
    #noteResult(result) {
        const ids = new Map(result.publications.map(({ mid, track }) => [mid, track]));
        for (const publication of this.#publications) {
            const mid = publication.transceiver?.mid;
            if (mid) publication.id = ids.get(mid) ?? null;
        }
        for (const { mid, kind } of result.slots) {
            const transceiver = this.#receivers.find((candidate) => candidate.mid === mid);
            if (!transceiver) continue;
            const slot = this.#slots.get(mid);
            if (!slot) {
                const mediaTrack = transceiver.receiver.track;
                this.#slots.set(mid, { mid, kind, mediaTrack, track: null });
            }
        }
        this.applySlots(result.slots);
    }

    /** @param {RTCPeerConnection} connection */
    #connectionChanged(connection) {
        if (this.#connection !== connection) return;
        const ice = connection.iceConnectionState;
        if (connection.connectionState === 'connected') {
            clearTimeout(this.#timer);
            this.#restartTries = 0;
            this.#wasConnected = true;
            this.#silence.watch(connection);
            // to another network, perhaps: signaling may not have noticed
            iceTransport(connection)?.addEventListener('selectedcandidatepairchange', this.#moved);
            this.#setState('connected');
        } else if (connection.connectionState === 'failed' && ice !== 'failed') {
            this.renew(); // DTLS failed: only new keys help
        } else if (ice === 'failed') {
            this.#setState('disconnected');
            this.#watch(0);
        } else if (ice === 'disconnected') {
            this.#setState('disconnected');
            this.#watch(RESTART_AFTER_MS);
        }
    }

    /** The network has changed: there may be better paths, and must be others when nothing comes any more. */
    async #lookForPaths() {
        const connection = this.#connection;
        if (!connection || this.#looking === connection) return;
        this.#looking = connection;
        const works = (await this.#hears()) || (await this.#serverAnswers());
        if (this.#looking !== connection) return; // done meanwhile
        if (works) this.#lookTimer = setTimeout(() => this.restartIce(), BELIEF_MS);
        else this.restartIce();
    }

    #stopLooking() {
        clearTimeout(this.#lookTimer);
        this.#looking = null;
    }

    /** @returns {Promise<boolean>} whether something comes now; false for a connection that tells nothing any more */
    #hears() {
        return this.#silence.hears(MOVED_WITHIN_MS).catch(() => false);
    }

    /** Nothing comes any more: the network is gone, unless the others have only stopped sending. */
    async #heardNothing() {
        const connection = this.#connection;
        if (!(await this.#serverAnswers()) && this.#connection === connection) this.restartIce();
    }

    /**
     * Looks again later, and mends the connection if it is not connected by then.
     *
     * @param {number} delayMs
     */
    #watch(delayMs) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => {
            const connection = this.#connection;
            if (!connection || connection.connectionState === 'connected') return;
            this.#restartTries++;
            if (this.#restartTries === (this.#wasConnected ? RESTART_TRIES : 1)) {
                this.emit('error', new RoostError('media-failed'));
            }
            if (this.#restartTries % RESTART_TRIES === 0) this.renew();
            else this.restartIce();
            this.#watch(Math.min(CONNECT_WITHIN_MS, 2000 * 2 ** Math.min(this.#restartTries, 3)));
        }, delayMs);
    }

    /** @param {unknown} error */
    #failed(error) {
        // a lost session is renewed by the room; a closed one needs nothing
        const code = error instanceof RoostError ? error.code : 'unknown';
        if (code === 'session-lost' || code === 'connection-closed') return;
        this.emit('error', error instanceof RoostError ? error : new RoostError(code, { cause: error }));
    }
}

/**
 * @param {import('./encodings.js').Encoding[]} some
 * @param {import('./encodings.js').Encoding[]} others
 */
function sameLayers(some, others) {
    /** @param {import('./encodings.js').Encoding[]} encodings */
    const layers = (encodings) => JSON.stringify(encodings.map(({ rid, scalabilityMode }) => [rid, scalabilityMode]));
    return layers(some) === layers(others);
}

/**
 * Puts a codec first in what a section offers, where the browser lets us.
 *
 * @param {RTCRtpTransceiver} transceiver
 * @param {string} mimeType
 */
export function preferCodec(transceiver, mimeType) {
    const kind = /** @type {Kind} */ (transceiver.receiver.track.kind);
    const codecs = globalThis.RTCRtpReceiver?.getCapabilities?.(kind)?.codecs;
    if (!mimeType || !codecs || !transceiver.setCodecPreferences) return;
    /** @param {{mimeType: string}} codec */
    const first = (codec) => codec.mimeType.toLowerCase() === mimeType.toLowerCase();
    if (!codecs.some(first) || first(codecs[0])) return; // not there, or the browser's own choice
    try {
        transceiver.setCodecPreferences([
            ...codecs.filter(first),
            ...codecs.filter((codec) => !first(codec)),
        ]);
    } catch {
        // some browsers refuse receive-only entries here; their own order serves as well
    }
}

/**
 * Encrypted sound cannot be put together or taken apart on its way, as redundancy (RFC 2198) needs it.
 *
 * @param {RTCRtpTransceiver} transceiver
 */
function withoutRed(transceiver) {
    const { kind } = transceiver.receiver.track;
    const codecs = globalThis.RTCRtpReceiver?.getCapabilities?.(kind)?.codecs;
    if (kind !== 'audio' || !codecs?.some(isRed) || !transceiver.setCodecPreferences) return;
    transceiver.setCodecPreferences(codecs.filter((codec) => !isRed(codec)));
}

/** @param {{mimeType: string}} codec */
function isRed({ mimeType }) {
    return mimeType.toLowerCase() === 'audio/red';
}

/** @returns {Promise<void>} settles in a task of its own, not delayed in hidden pages as timers are */
function nextTask() {
    return new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
            port1.close();
            resolve();
        };
        port2.postMessage(null);
    });
}

/**
 * @param {RTCPeerConnection} connection
 * @returns {EventTarget | undefined} all of its sections share it; undefined where the browser has none
 */
function iceTransport(connection) {
    const [transceiver] = connection.getTransceivers?.() ?? [];
    return transceiver?.sender.transport?.iceTransport ?? connection.sctp?.transport?.iceTransport;
}

/** @returns {(EventTarget & {type?: string}) | undefined} tells of changed networks where the browser knows */
function connectionInformation() {
    return /** @type {any} */ (globalThis.navigator)?.connection;
}
