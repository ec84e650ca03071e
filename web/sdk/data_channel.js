/**
 * A data channel that outlives its connection: when the room gets a new RTCPeerConnection, or the
 * server closed the channel because we did not keep up, it is opened again.
 */

import { Emitter } from './emitter.js';
import { RoostError } from './errors.js';

/** The browser's buffer: above, `ready` waits; it goes on when no more than LOW is left. */
const HIGH = 1024 * 1024;
const LOW = 256 * 1024;
const REOPEN_AFTER_MS = 1000;

/**
 * @typedef {object} DataChannelOptions
 * @property {boolean} [ordered] messages come in their order; true by default
 * @property {number} [maxRetransmits] unreliable: how often a message is sent again
 * @property {number} [maxPacketLifeTime] unreliable: milliseconds for which it is
 * @property {string} [protocol] channels meet when label and protocol are the same; none by default
 *
 * @typedef {object} DataChannelEvents
 * @property {null} open messages can be sent; also after each time that it was lost
 * @property {string | ArrayBuffer} message
 * @property {null} lost the connection or the server has closed it; messages may be missing until `open`
 * @property {null} closed for good
 */

/** @extends {Emitter<DataChannelEvents>} */
export class DataChannel extends Emitter {
    #options;
    /** @type {RTCPeerConnection | null} */
    #connection = null;
    /** @type {RTCDataChannel | null} */
    #channel = null;
    #closed = false;
    /** @type {Promise<void>} the last message that waits, so that none overtakes another */
    #last = Promise.resolve();
    /** @type {Set<() => void>} those that wait for room, or for the end */
    #waiting = new Set();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;

    /**
     * Made by room.data.
     *
     * @param {string} label
     * @param {DataChannelOptions} options
     */
    constructor(label, options) {
        super();
        /** @readonly */
        this.label = label;
        this.#options = options;
    }

    /** Bytes that the browser has not sent yet. */
    get bufferedAmount() {
        return this.#channel?.bufferedAmount ?? 0;
    }

    /** @returns {'connecting' | 'open' | 'closed'} */
    get state() {
        if (this.#closed) return 'closed';
        return this.#channel?.readyState === 'open' ? 'open' : 'connecting';
    }

    /** Resolves when a message can be sent without piling up; rejects when the channel is closed. */
    get ready() {
        return this.#wait();
    }

    /**
     * Sends a message as soon as there is room.
     *
     * @param {string | ArrayBuffer | ArrayBufferView | Blob} message at most 256 KiB
     * @returns {Promise<void>} settles when the browser has taken it
     * @throws {RoostError} connection-closed, data-too-large
     */
    send(message) {
        const sent = this.#last.then(async () => {
            const bytes = message instanceof Blob ? await message.arrayBuffer() : message;
            do await this.#wait();
            while (!this.sendNow(bytes));
        });
        this.#last = sent.catch(() => {});
        return sent;
    }

    /**
     * Sends a message at once.
     *
     * @param {string | ArrayBuffer | ArrayBufferView} message
     * @returns {boolean} false: not sent, since the channel is not open or its buffer is full
     * @throws {RoostError} data-too-large
     */
    sendNow(message) {
        const channel = this.#channel;
        if (channel?.readyState !== 'open' || channel.bufferedAmount > HIGH) return false;
        const size = typeof message === 'string' ? new TextEncoder().encode(message).length : message.byteLength;
        if (size > (this.#connection?.sctp?.maxMessageSize ?? 65536)) throw new RoostError('data-too-large');
        channel.send(/** @type {any} */ (message));
        return true;
    }

    /** Closes it for good. */
    close() {
        if (this.#closed) return;
        this.#closed = true;
        this.detach();
        this.emit('closed', null);
        this.#wake();
        this.clear();
    }

    /**
     * Opens it over a connection. For the SDK alone, as `detach`.
     *
     * @param {RTCPeerConnection} connection
     */
    attach(connection) {
        if (this.#closed) return;
        this.detach();
        this.#connection = connection;
        const channel = connection.createDataChannel(this.label, this.#options);
        this.#channel = channel;
        channel.binaryType = 'arraybuffer';
        channel.bufferedAmountLowThreshold = LOW;
        channel.onopen = () => {
            this.#wake();
            this.emit('open', null);
        };
        channel.onbufferedamountlow = () => this.#wake();
        channel.onmessage = ({ data }) => this.emit('message', data);
        channel.onclose = () => this.#lost(connection);
    }

    /** Its connection has ended. */
    detach() {
        clearTimeout(this.#timer);
        const channel = this.#channel;
        this.#channel = null;
        this.#connection = null;
        if (!channel) return;
        const wasOpen = channel.readyState === 'open';
        channel.onopen = channel.onbufferedamountlow = channel.onmessage = channel.onclose = null;
        channel.close();
        if (wasOpen && !this.#closed) this.emit('lost', null);
    }

    /** @param {RTCPeerConnection} connection */
    #lost(connection) {
        this.#channel = null;
        this.emit('lost', null);
        this.#timer = setTimeout(() => {
            if (this.#connection === connection && connection.connectionState !== 'closed') this.attach(connection);
        }, REOPEN_AFTER_MS);
    }

    async #wait() {
        for (;;) {
            if (this.#closed) throw new RoostError('connection-closed');
            if (this.#channel?.readyState === 'open' && this.#channel.bufferedAmount <= HIGH) return;
            await new Promise((resolve) => this.#waiting.add(() => resolve(null)));
        }
    }

    #wake() {
        const waiting = [...this.#waiting];
        this.#waiting.clear();
        for (const resume of waiting) resume();
    }
}
