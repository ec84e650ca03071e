/**
 * The signaling connection: requests and events as JSON over one WebSocket that is replaced when
 * it breaks. A session survives its socket: after a break the client resumes it, gets what it
 * missed and sends again what was not answered, so callers of request() notice nothing but time.
 */

import { Emitter } from './emitter.js';
import { RoostError, serverError } from './errors.js';

const VERSION = 1;
const SUBPROTOCOL = 'roost.v1';
/** The session was resumed on another connection: this one must not come back. */
const CLOSE_TAKEN_OVER = 4000;
/** The user has disconnected this device from another one. */
const CLOSE_REVOKED = 4001;
const OPEN_TIMEOUT_MS = 8000;
const REQUEST_TIMEOUT_MS = 20000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5000;
/** Servers answer a ping at once: longer silence than this, where there is doubt, is a lost connection. */
const CHECK_MS = 1000;
/** A timer that is later than this tells of a page that was stopped, not of a server that is silent. */
const LATE_MS = 200;

/**
 * @typedef {'connecting' | 'open' | 'reconnecting' | 'closed'} SignalingState
 *
 * @typedef {object} SignalingEvents
 * @property {SignalingState} state
 * @property {{attempt: number, delayMs: number}} retry the next attempt to reconnect is planned
 * @property {import('./protocol.js').ServerEvent} message an event of the server
 * @property {null} resumed the session goes on over another connection
 * @property {import('./protocol.js').HelloResult} renewed the old session is gone, a new one began
 * @property {RoostError} failed the server refuses; no more attempts
 *
 * @typedef {object} PendingRequest
 * @property {string} text what was sent
 * @property {(result: any) => void} resolve
 * @property {(error: RoostError) => void} reject
 * @property {ReturnType<typeof setTimeout>} timer
 */

/** @extends {Emitter<SignalingEvents>} */
export class Signaling extends Emitter {
    #url;
    /** @type {WebSocket | null} */
    #socket = null;
    /** @type {import('./protocol.js').HelloResult | null} */
    #session = null;
    /** @type {SignalingState} */
    #state = 'closed';
    #lastSeq = 0;
    #lastId = 0;
    #heardAt = 0;
    /** @type {(answered: boolean) => void} called with each message, and when the socket is dropped */
    #checked = () => {};
    /** @type {Promise<boolean> | null} see check() */
    #checking = null;
    #lostAt = 0;
    #attempt = 0;
    /** Counts the attempts to come back: a newer one makes those before it void. */
    #latest = 0;
    /** @type {Map<number, PendingRequest>} in the order of sending */
    #pending = new Map();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #retryTimer;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #heartbeat;
    #online = () => this.#retryNow();

    /** @param {string} url of the WebSocket */
    constructor(url) {
        super();
        this.#url = url;
    }

    get state() {
        return this.#state;
    }

    /** What the server said at the beginning of the session. */
    get session() {
        if (!this.#session) throw new RoostError('wrong-state');
        return this.#session;
    }

    /**
     * Opens the first connection and session.
     *
     * @throws {RoostError} server-unreachable, version-unsupported, server-full...
     */
    async open() {
        this.#setState('connecting');
        try {
            this.#adopt(await this.#dial());
            this.#session = await this.#hello();
        } catch (error) {
            this.close();
            throw error;
        }
        this.#startHeartbeat();
        globalThis.addEventListener?.('online', this.#online);
        this.#setState('open');
    }

    /**
     * Sends a request and waits for its reply, over a reconnect if need be.
     *
     * @template {keyof import('./protocol.js').RequestMap} Type
     * @param {Type} type
     * @param {Omit<import('./protocol.js').RequestMap[Type], 'type' | 'id'>} [fields]
     * @returns {Promise<import('./protocol.js').ResultMap[Type]>} the reply's result
     * @throws {RoostError} the server's refusal, request-timeout or connection-closed
     */
    request(type, fields) {
        if (this.#state === 'closed') return Promise.reject(new RoostError('connection-closed'));
        const id = ++this.#lastId;
        const text = JSON.stringify({ type, id, ...fields });
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => {
                if (this.#pending.delete(id)) reject(new RoostError('request-timeout'));
            }, REQUEST_TIMEOUT_MS + (this.#session?.resume_within_ms ?? 0));
            this.#pending.set(id, { text, resolve, reject, timer });
            if (this.#state !== 'reconnecting') this.#send(text);
        });
    }

    /** Ends the session; the server is told. */
    close() {
        if (this.#socket?.readyState === WebSocket.OPEN) {
            this.#send(JSON.stringify({ type: 'goodbye', id: ++this.#lastId }));
        }
        this.#stop(new RoostError('connection-closed'));
    }

    /**
     * Finds out whether the connection still works, where there is reason to doubt it: the network has
     * changed, or media has stopped. One that does not answer is replaced at once. An answer over another
     * connection is none: it may have come over another network.
     *
     * @param {number} [withinMs] that are waited for the answer, unless a check is under way
     * @returns {Promise<boolean>} whether the server has answered
     */
    check(withinMs = CHECK_MS) {
        this.#checking ??= this.#checkOnce(withinMs).finally(() => (this.#checking = null));
        return this.#checking;
    }

    /** Drops the socket as a broken network would: for tests of resuming. */
    interrupt() {
        this.#lost();
    }

    /** @param {SignalingState} state */
    #setState(state) {
        if (this.#state === state) return;
        this.#state = state;
        this.emit('state', state);
    }

    /**
     * @param {number} withinMs
     * @returns {Promise<boolean>}
     */
    #checkOnce(withinMs) {
        if (this.#state !== 'open' || !this.#socket) return Promise.resolve(false);
        return new Promise((resolve) => {
            /** @type {ReturnType<typeof setTimeout>} */
            let timer;
            const wait = () => {
                const begun = performance.now();
                timer = setTimeout(() => {
                    if (performance.now() - begun > withinMs + LATE_MS) return wait(); // the answer may be here, unread
                    this.#lost();
                    this.#retryNow();
                }, withinMs);
            };
            this.#checked = (answered) => {
                clearTimeout(timer);
                resolve(answered);
            };
            wait();
            this.#ping();
        });
    }

    /** @returns {Promise<WebSocket>} an open socket */
    #dial() {
        return new Promise((resolve, reject) => {
            /** @type {WebSocket} */
            let socket;
            try {
                socket = new WebSocket(this.#url, SUBPROTOCOL);
            } catch (cause) {
                reject(new RoostError('server-unreachable', { cause }));
                return;
            }
            const fail = () => {
                clearTimeout(timer);
                socket.onopen = socket.onclose = socket.onerror = null;
                socket.close();
                reject(new RoostError('server-unreachable'));
            };
            const timer = setTimeout(fail, OPEN_TIMEOUT_MS);
            socket.onerror = fail;
            socket.onclose = fail;
            socket.onopen = () => {
                clearTimeout(timer);
                resolve(socket);
            };
        });
    }

    /** @param {WebSocket} socket */
    #adopt(socket) {
        this.#socket = socket;
        this.#heardAt = Date.now();
        socket.onmessage = (event) => this.#receive(event.data);
        socket.onerror = null;
        socket.onclose = (event) => {
            if (this.#socket !== socket) return;
            if (event.code === CLOSE_TAKEN_OVER || event.code === CLOSE_REVOKED) {
                const error = new RoostError(event.code === CLOSE_REVOKED ? 'device-revoked' : 'replaced');
                this.emit('failed', error);
                this.#stop(error);
            } else {
                this.#lost();
            }
        };
    }

    /** @returns {Promise<import('./protocol.js').HelloResult>} */
    #hello() {
        return this.#handshake({ type: 'hello', version: VERSION, client: 'roost.js 0.1' });
    }

    /**
     * The first request on a connection: it is never sent again on another one.
     *
     * @param {Record<string, unknown>} message
     * @returns {Promise<any>}
     */
    #handshake(message) {
        const id = ++this.#lastId;
        return new Promise((resolve, reject) => {
            const end = () => {
                clearTimeout(timer);
                this.#pending.delete(id);
            };
            const timer = setTimeout(() => {
                end();
                reject(new RoostError('server-unreachable'));
            }, OPEN_TIMEOUT_MS);
            this.#pending.set(id, {
                text: '',
                resolve: (result) => (end(), resolve(result)),
                reject: (error) => (end(), reject(error)),
                timer,
            });
            this.#send(JSON.stringify({ ...message, id }));
        });
    }

    /** @param {string} text */
    #send(text) {
        if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(text);
    }

    /** @param {unknown} data */
    #receive(data) {
        this.#heardAt = Date.now();
        this.#checked(true);
        /** @type {Record<string, any>} */
        let message;
        try {
            message = JSON.parse(String(data));
        } catch {
            console.error('roost: the server sent something that is not JSON');
            return;
        }
        if (typeof message.seq === 'number') {
            if (message.seq <= this.#lastSeq) return; // a repetition after a resume
            this.#lastSeq = message.seq;
        }
        if (message.type === 'ok' || message.type === 'error') this.#settle(message);
        else if (message.type !== 'pong') {
            this.emit('message', /** @type {import('./protocol.js').ServerEvent} */ (message));
        }
    }

    /** @param {Record<string, any>} reply */
    #settle(reply) {
        const pending = this.#pending.get(reply.id);
        if (!pending) return;
        clearTimeout(pending.timer);
        this.#pending.delete(reply.id);
        if (reply.type === 'ok') pending.resolve(reply.result ?? {});
        else pending.reject(serverError(reply.error ?? reply));
    }

    #startHeartbeat() {
        clearInterval(this.#heartbeat);
        const { heartbeat_ms, dead_after_ms } = this.session;
        this.#heartbeat = setInterval(() => {
            if (this.#state !== 'open') return;
            if (Date.now() - this.#heardAt > dead_after_ms) this.#lost();
            else this.#ping();
        }, heartbeat_ms);
    }

    /** The connection broke: keep the session and come back. */
    #lost() {
        this.#dropSocket();
        if (this.#state !== 'open') return; // open() or the retry loop sees to it
        this.#lostAt = Date.now();
        this.#attempt = 0;
        this.#setState('reconnecting');
        this.#planRetry();
    }

    #planRetry() {
        const base = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#attempt);
        const delayMs = Math.round(base * (0.75 + Math.random() / 2));
        this.emit('retry', { attempt: ++this.#attempt, delayMs });
        clearTimeout(this.#retryTimer);
        this.#retryTimer = setTimeout(() => void this.#retry(), delayMs);
    }

    #ping() {
        this.#send(JSON.stringify({ type: 'ping', last_seq: this.#lastSeq }));
    }

    #retryNow() {
        if (this.#state === 'open') {
            void this.check(); // the network changed
        } else if (this.#state === 'reconnecting' && !this.#socket) {
            clearTimeout(this.#retryTimer);
            void this.#retry();
        }
    }

    async #retry() {
        const attempt = ++this.#latest;
        const isVoid = () => this.#state !== 'reconnecting' || attempt !== this.#latest;
        try {
            const socket = await this.#dial();
            if (isVoid()) return socket.close();
            this.#adopt(socket);
            const resumed = await this.#resume();
            if (!resumed) await this.#renew();
            for (const { text } of [...this.#pending.values()]) this.#send(text);
            this.#setState('open');
            if (resumed) this.emit('resumed', null);
        } catch (error) {
            if (isVoid()) return;
            this.#dropSocket();
            if (error instanceof RoostError && error.code === 'version-unsupported') {
                this.emit('failed', error);
                this.#stop(error);
            } else {
                this.#planRetry();
            }
        }
    }

    /** @returns {Promise<boolean>} false when the session is gone */
    async #resume() {
        const { session, resume_token, resume_within_ms } = this.session;
        if (Date.now() - this.#lostAt > resume_within_ms + OPEN_TIMEOUT_MS) return false;
        try {
            await this.#handshake({
                type: 'resume',
                session,
                resume_token,
                last_seq: this.#lastSeq,
            });
            return true;
        } catch (error) {
            const code = error instanceof RoostError ? error.code : '';
            if (code !== 'resume-unknown' && code !== 'resume-lost') throw error;
            return false;
        }
    }

    /** The session is gone: begin a new one, and let the owner join again. */
    async #renew() {
        this.#lastSeq = 0;
        this.#rejectPending(new RoostError('session-lost'));
        this.#session = await this.#hello();
        this.#startHeartbeat();
        this.emit('renewed', this.#session);
    }

    #dropSocket() {
        const socket = this.#socket;
        this.#socket = null;
        this.#checked(false);
        if (!socket) return;
        socket.onmessage = socket.onclose = socket.onerror = null;
        socket.close();
    }

    /** @param {RoostError} reason */
    #rejectPending(reason) {
        const pending = [...this.#pending.values()];
        this.#pending.clear();
        for (const request of pending) {
            clearTimeout(request.timer);
            request.reject(reason);
        }
    }

    /** @param {RoostError} reason */
    #stop(reason) {
        clearTimeout(this.#retryTimer);
        clearInterval(this.#heartbeat);
        globalThis.removeEventListener?.('online', this.#online);
        this.#dropSocket();
        this.#rejectPending(reason);
        this.#setState('closed');
    }
}
