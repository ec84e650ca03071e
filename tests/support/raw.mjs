// Bytes over TCP as no client library would send them, and what comes back.
import { once } from 'node:events';
import { connect } from 'node:net';

import { patienceMs } from './until.mjs';

export class RawConnection {
    received = Buffer.alloc(0);
    ended = false;
    #waiters = [];

    /** @param {import('node:net').Socket} socket connected, or about to be */
    constructor(socket) {
        this.socket = socket;
        socket.on('data', (chunk) => {
            this.received = Buffer.concat([this.received, chunk]);
            this.#wake();
        });
        for (const event of ['end', 'close', 'error'])
            socket.on(event, () => {
                this.ended = true;
                this.#wake();
            });
    }

    static async open(port, host = '127.0.0.1') {
        const socket = connect({ port, host, allowHalfOpen: true });
        const connection = new RawConnection(socket);
        await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
        return connection;
    }

    #wake() {
        for (const waiter of this.#waiters.splice(0)) waiter();
    }

    send(bytes) {
        this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
        return this;
    }

    get text() { return this.received.toString('latin1'); }

    /** Takes `count` bytes off the front. */
    take(count) {
        const taken = this.received.subarray(0, count);
        this.received = this.received.subarray(count);
        return taken;
    }

    async until(isEnough, timeoutMs = patienceMs) {
        const end = Date.now() + timeoutMs;
        while (!isEnough()) {
            const left = end - Date.now();
            if (left <= 0) throw new Error(`nothing more came; so far: ${JSON.stringify(this.text.slice(0, 2000))}`);
            if (this.ended && !isEnough()) throw new Error(`the connection ended; so far: ${JSON.stringify(this.text.slice(0, 2000))}`);
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, left);
                this.#waiters.push(() => { clearTimeout(timer); resolve(); });
            });
        }
    }

    /** Until the server has closed. Returns how long that took. */
    async untilEnd(timeoutMs = patienceMs) {
        const begin = Date.now();
        await this.until(() => this.ended, timeoutMs);
        return Date.now() - begin;
    }

    /** The next HTTP answer: its body by Content-Length (none for `method` HEAD), else none. */
    async answer({ method = 'GET', timeoutMs = patienceMs } = {}) {
        await this.until(() => this.text.includes('\r\n\r\n'), timeoutMs);
        const head = this.take(this.received.indexOf('\r\n\r\n') + 4).toString('latin1');
        const [line, ...fields] = head.trimEnd().split('\r\n');
        const headers = {};
        for (const field of fields) {
            const [name, ...value] = field.split(':');
            const key = name.toLowerCase();
            headers[key] = key in headers ? `${headers[key]}, ${value.join(':').trim()}` : value.join(':').trim();
        }
        const status = Number(line.split(' ')[1]);
        const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304;
        const length = bodiless ? 0 : Number(headers['content-length'] ?? 0);
        await this.until(() => this.received.length >= length, timeoutMs);
        return { line, status, headers, body: this.take(length) };
    }

    close() {
        this.socket.destroy();
    }
}
