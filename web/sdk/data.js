/**
 * Data messages between the members of a room, over WebRTC data channels through the media server.
 * `send` and `on('message')` are for pages with this SDK; `open` makes plain channels that any WebRTC
 * client can use, too. docs/data-channels.md says how messages travel.
 */

import { DataChannel } from './data_channel.js';
import { decodeBody, decodeEnvelope, encodeBody, encodeEnvelope, fromContent, PROTOCOL, toContent } from './data_frame.js';
import { Pieces } from './data_pieces.js';
import { Emitter } from './emitter.js';
import { RoostError } from './errors.js';

/** Content of one frame: small enough that other messages get through between the pieces of a large one. */
const PIECE_SIZE = 48 * 1024;
/** A whole message: what all browsers can hold without trouble. */
const MESSAGE_MAX = 64 * 1024 * 1024;
/** An unreliable message is never split. */
const UNRELIABLE_MAX = 192 * 1024;

/** The channels over which messages go, by how they are delivered. */
const CHANNELS = /** @type {const} */ ({
    reliable: {},
    'reliable-unordered': { ordered: false },
    unreliable: { ordered: false, maxRetransmits: 0 },
    'unreliable-ordered': { maxRetransmits: 0 },
});

/**
 * @typedef {import('./roster.js').Member} Member
 *
 * @typedef {object} SendOptions
 * @property {Member | string | (Member | string)[]} [to] members or their ids, at most 64; everybody by default
 * @property {string} [topic] for whoever gets it, at most 255 bytes
 * @property {boolean} [reliable] false: it may get lost, and is never late; true by default
 * @property {boolean} [ordered] comes behind what was sent before it; true by default for reliable messages
 * @property {(sent: number, size: number) => void} [onProgress] called with bytes that the browser has taken
 *
 * @typedef {object} DataMessage
 * @property {Member | null} member its sender, when still here; null also for the server
 * @property {string} from the sender's id; '' is the server
 * @property {any} data text, an ArrayBuffer, or what was sent as JSON
 * @property {string} topic
 * @property {boolean} directed it was not for everybody
 *
 * @typedef {object} RoomDataEvents
 * @property {DataMessage} message
 * @property {{from: string, topic: string, received: number, size: number}} progress a piece of a large message came
 * @property {null} open messages go over a new connection; what was under way on the old one may be lost
 */

/** @extends {Emitter<RoomDataEvents>} */
export class RoomData extends Emitter {
    #findMember;
    /** @type {Map<string, DataChannel>} the SDK's own, by label */
    #own = new Map();
    /** @type {Set<DataChannel>} plain ones */
    #plain = new Set();
    /** @type {RTCPeerConnection | null} */
    #connection = null;
    #e2ee;
    #pieces = new Pieces(MESSAGE_MAX);
    #lastSplit = 0;
    /** @type {Promise<unknown>} Blobs are read one after the other, so that nothing overtakes them */
    #reading = Promise.resolve();
    /** @type {Promise<unknown>} messages are encrypted one after the other */
    #sealing = Promise.resolve();
    /** @type {Promise<unknown>} and decrypted */
    #opening = Promise.resolve();

    /**
     * Made by the room.
     *
     * @param {(id: string) => Member | null} findMember
     * @param {import('./e2ee.js').E2ee | null} [e2ee] encrypts messages
     */
    constructor(findMember, e2ee = null) {
        super();
        this.#e2ee = e2ee;
        this.#findMember = findMember;
        for (const [label, options] of Object.entries(CHANNELS)) {
            const channel = new DataChannel(label, { ...options, protocol: PROTOCOL });
            channel.on('message', (data) => this.#take(label, data));
            if (label === 'reliable') channel.on('open', () => this.emit('open', null));
            this.#own.set(label, channel);
        }
    }

    /** Bytes of messages that the browser has not sent yet. */
    get bufferedAmount() {
        return [...this.#own.values()].reduce((sum, { bufferedAmount }) => sum + bufferedAmount, 0);
    }

    /** Resolves when reliable messages can be sent without piling up. */
    get ready() {
        return /** @type {DataChannel} */ (this.#own.get('reliable')).ready;
    }

    /**
     * Sends a message to the others. Reliable ones are split where they are large, and wait while
     * earlier ones have not gone out: that the promise is settled late is the back-pressure.
     *
     * @param {unknown} message text, ArrayBuffer, typed array, Blob, or anything that JSON can say
     * @param {SendOptions} [options]
     * @returns {Promise<void>} settles when the browser has taken all of it; unreliable messages that
     *     find no room are dropped
     * @throws {RoostError} data-too-large, connection-closed
     */
    async send(message, options = {}) {
        const reliable = options.reliable ?? true;
        const ordered = options.ordered ?? reliable;
        const { kind, blob, bytes, size } = toContent(message);
        const channel = this.#channelFor(reliable, ordered);
        const ids = idsOf(options.to);
        const topic = options.topic ?? '';
        if (size > (reliable ? MESSAGE_MAX : UNRELIABLE_MAX)) throw new RoostError('data-too-large');
        /** @type {(from: number, to: number) => Promise<Uint8Array>} */
        const part = (from, to) => {
            const read = this.#reading.then(
                async () =>
                    bytes?.subarray(from, to) ??
                    new Uint8Array(await /** @type {Blob} */ (blob).slice(from, to).arrayBuffer()),
            );
            this.#reading = read.catch(() => {});
            return read;
        };
        if (!reliable) {
            channel.sendNow(await this.#frame(ids, { kind, topic, piece: null, content: await part(0, size) }));
        } else if (size <= PIECE_SIZE) {
            await channel.send(await this.#frame(ids, { kind, topic, piece: null, content: await part(0, size) }));
        } else {
            const split = (this.#lastSplit = (this.#lastSplit + 1) >>> 0);
            for (let offset = 0; offset < size; offset += PIECE_SIZE) {
                const content = await part(offset, Math.min(size, offset + PIECE_SIZE));
                const piece = { message: split, total: size, offset };
                await channel.send(await this.#frame(ids, { kind, topic, piece, content }));
                options.onProgress?.(offset + content.length, size);
            }
            return;
        }
        options.onProgress?.(size, size);
    }

    /**
     * Opens a plain channel: what is sent over it goes to every other member that opened one with
     * the same label and protocol, and comes as it was sent, without a sender's name and not encrypted
     * from end to end.
     *
     * @param {string} label
     * @param {import('./data_channel.js').DataChannelOptions} [options]
     * @returns {DataChannel}
     */
    open(label, options = {}) {
        const channel = new DataChannel(label, options);
        this.#plain.add(channel);
        channel.on('closed', () => this.#plain.delete(channel));
        if (this.#connection) channel.attach(this.#connection);
        return channel;
    }

    /**
     * Moves to a connection that is about to be offered. For the SDK alone, as all below.
     *
     * @param {RTCPeerConnection} connection
     */
    attach(connection) {
        this.#connection = connection;
        for (const channel of this.#all()) channel.attach(connection);
    }

    detach() {
        this.#connection = null;
        this.#pieces.clear();
        for (const channel of this.#all()) channel.detach();
    }

    /** @param {Member} member */
    memberLeft(member) {
        for (const label of Object.keys(CHANNELS)) this.#pieces.forget(`${label} ${member.id}`);
    }

    close() {
        for (const channel of this.#all()) channel.close();
        this.clear();
    }

    #all() {
        return [...this.#own.values(), ...this.#plain];
    }

    /**
     * @param {boolean} reliable
     * @param {boolean} ordered
     */
    #channelFor(reliable, ordered) {
        const label = reliable
            ? ordered ? 'reliable' : 'reliable-unordered'
            : ordered ? 'unreliable-ordered' : 'unreliable';
        return /** @type {DataChannel} */ (this.#own.get(label));
    }

    /**
     * @param {string[]} ids
     * @param {import('./data_frame.js').Body} body
     * @returns {Promise<Uint8Array<ArrayBuffer>>}
     */
    async #frame(ids, body) {
        const bytes = encodeBody(body);
        const e2ee = this.#e2ee;
        if (!e2ee) return encodeEnvelope(ids, bytes, false);
        const sealed = this.#sealing.then(() => e2ee.seal(bytes));
        this.#sealing = sealed.catch(() => {});
        return encodeEnvelope(ids, await sealed, true);
    }

    /**
     * @param {string} label
     * @param {string | ArrayBuffer} received
     */
    #take(label, received) {
        const envelope = typeof received === 'string' ? null : decodeEnvelope(received);
        const e2ee = this.#e2ee;
        // where messages are encrypted, one that is not is the server's invention
        if (!envelope || envelope.sealed !== (e2ee !== null)) return;
        if (!e2ee) {
            this.#receive(label, envelope, envelope.body);
            return;
        }
        this.#opening = this.#opening.then(async () => {
            const body = await e2ee.open(envelope.body, envelope.ids[0] ?? '');
            if (body) this.#receive(label, envelope, body);
        });
    }

    /**
     * @param {string} label
     * @param {import('./data_frame.js').Envelope} envelope
     * @param {Uint8Array} bytes
     */
    #receive(label, { ids, directed }, bytes) {
        const body = decodeBody(bytes);
        if (!body) return;
        const from = ids[0] ?? '';
        const { kind, topic, piece } = body;
        const content = piece ? this.#join(`${label} ${from}`, from, topic, piece, body.content) : body.content;
        const data = content ? fromContent(kind, content) : undefined;
        if (data === undefined) return;
        this.emit('message', { member: this.#findMember(from), from, data, topic, directed });
    }

    /**
     * @param {string} sender
     * @param {string} from
     * @param {string} topic
     * @param {import('./data_frame.js').Piece} piece
     * @param {Uint8Array} content
     * @returns {Uint8Array | null} the whole message, when it is
     */
    #join(sender, from, topic, piece, content) {
        const whole = this.#pieces.add(sender, piece, content);
        const received = whole ? piece.total : this.#pieces.got(sender, piece.message);
        if (received > 0) this.emit('progress', { from, topic, received, size: piece.total });
        return whole;
    }
}

/**
 * @param {SendOptions['to']} to
 * @returns {string[]}
 */
function idsOf(to) {
    if (to === undefined) return [];
    const ids = [to].flat().map((member) => (typeof member === 'string' ? member : member.id));
    if (ids.length === 0) throw new RangeError('`to` names nobody; leave it out to reach everybody.');
    return ids;
}
