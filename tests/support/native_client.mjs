// A client of the native protocol as docs/protocol.md describes it, written without a look at ours.
import assert from 'node:assert/strict';
import { once } from 'node:events';

import WebSocket from 'ws';

import { patienceMs } from './until.mjs';

/** A refusal, with the server's code and sentence. */
export class Refused extends Error {
    constructor({ code, message }) {
        super(`${code}: ${message}`);
        this.code = code;
        this.sentence = message;
    }
}

export class NativeClient {
    /** Codes of all refusals that any client got: what the tests have covered. */
    static codesSeen = new Set();

    /** All messages in the order in which they came, those of lost connections too. */
    messages = [];
    lastSeq = 0;
    #lastId = 0;
    #waiters = new Set();
    /** What the server did against the protocol. */
    #problem = null;

    constructor(server, options = {}) {
        this.server = server;
        this.options = options;
    }

    /** Connected, nothing said. */
    static async connect(server, options = {}) {
        const client = new NativeClient(server, options);
        await client.open();
        return client;
    }

    /** With a session. */
    static async start(server, options = {}) {
        const client = await NativeClient.connect(server, options);
        await client.hello();
        return client;
    }

    /** In a room. */
    static async join(server, room, name, fields = {}, options = {}) {
        const client = await NativeClient.start(server, options);
        client.joined = await client.request('join', { room, name, ...fields });
        client.member = client.joined.self;
        return client;
    }

    async open() {
        const socket = new WebSocket(`ws://127.0.0.1:${this.server.httpPort}/ws`, 'roost.v1', this.options);
        this.socket = socket;
        this.closed = once(socket, 'close').then(([code, reason]) => {
            const result = { code, reason: reason.toString() };
            if (this.socket === socket) {
                this.closeResult = result;
                this.#wake();
            }
            return result;
        });
        this.closeResult = null;
        socket.on('message', (data) => {
            try {
                this.#receive(socket, JSON.parse(data));
            } catch (problem) {
                this.#problem = problem;
                this.#wake();
            }
        });
        await once(socket, 'open');
    }

    #receive(socket, message) {
        if (socket !== this.socket) return;
        if (message.seq !== undefined) {
            // RFC 6455 keeps order, so numbers have no holes; what was seen may come once more
            assert.ok(message.seq <= this.lastSeq + 1, `seq ${message.seq} behind ${this.lastSeq}`);
            message.again = message.seq <= this.lastSeq;
            this.lastSeq = Math.max(this.lastSeq, message.seq);
        }
        if (message.type === 'error') {
            assert.match(message.code, /^[a-z_]+$/);
            assert.match(message.message, /^[A-Z"].*[.]$/, `no sentence: ${message.message}`);
            NativeClient.codesSeen.add(message.code);
        }
        this.messages.push(message);
        this.#wake();
    }

    #wake() {
        for (const waiter of [...this.#waiters]) waiter();
    }

    /** The first message that matches and that no `event` took before. */
    async #find(what, matches, timeoutMs) {
        const end = Date.now() + timeoutMs;
        for (;;) {
            if (this.#problem) throw this.#problem;
            const found = this.messages.find((message) => !message.taken && matches(message));
            if (found) return found;
            if (this.closeResult) throw new Error(`closed with ${JSON.stringify(this.closeResult)} while waiting for ${what}`);
            const left = end - Date.now();
            if (left <= 0) throw new Error(`no ${what}; got ${JSON.stringify(this.messages.slice(-10))}`);
            await new Promise((resolve) => {
                const done = () => {
                    clearTimeout(timer);
                    this.#waiters.delete(done);
                    resolve();
                };
                const timer = setTimeout(done, left);
                this.#waiters.add(done);
            });
        }
    }

    /** The next event of a type, once each. */
    async event(type, matches = () => true, timeoutMs = patienceMs) {
        const message = await this.#find(type, (one) => one.type === type && one.id === undefined && matches(one), timeoutMs);
        message.taken = true;
        return message;
    }

    /** Events of a type that came so far and were not taken. */
    pending(type) {
        return this.messages.filter((message) => message.type === type && !message.taken);
    }

    sendText(text) {
        this.socket.send(text);
    }

    /** Sends a request and returns its id. */
    send(type, fields = {}, id = ++this.#lastId) {
        this.#lastId = Math.max(this.#lastId, id);
        this.sendText(JSON.stringify({ type, id, ...fields }));
        return id;
    }

    /** The reply to a request. */
    async reply(id, timeoutMs = patienceMs) {
        const message = await this.#find(`reply to ${id}`, (one) => one.id === id, timeoutMs);
        message.taken = true;
        if (message.type === 'error') throw new Refused(message);
        assert.equal(message.type, 'ok');
        return message;
    }

    async request(type, fields = {}) {
        return (await this.reply(this.send(type, fields))).result;
    }

    async hello() {
        this.welcome = await this.request('hello', { version: 1, client: 'third party' });
        return this.welcome;
    }

    /** Everything before was handled: a round trip. */
    async settle() {
        this.sendText(JSON.stringify({ type: 'ping' }));
        await this.event('pong');
    }

    /** Ends TCP without a word. */
    async cut() {
        this.socket.terminate();
        await this.closed;
    }

    /** A new connection for the same session. */
    async resume(lastSeq = this.lastSeq) {
        await this.open();
        return this.request('resume', { session: this.welcome.session, resume_token: this.welcome.resume_token, last_seq: lastSeq });
    }

    async goodbye() {
        if (this.socket.readyState === WebSocket.OPEN) await this.request('goodbye').catch(() => {});
        this.socket.terminate();
    }
}

/** Fails unless the request is refused with this code. */
export async function refuses(promise, code) {
    const problem = await promise.then(() => assert.fail(`not refused with ${code}`), (reason) => reason);
    if (!(problem instanceof Refused)) throw problem;
    assert.equal(problem.code, code, problem.message);
    return problem;
}
