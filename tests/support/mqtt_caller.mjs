// A device that calls and is called over MQTT as docs/mqtt.md describes it: mqtt.js, JSON, and two topics.
import assert from 'node:assert/strict';

import { Client } from './mqtt.mjs';
import { Refused } from './native_client.mjs';

export class Caller {
    /** All that came, in order; what a test has taken is marked. */
    messages = [];
    #lastId = 0;
    #read = 0;

    /** A client of that user; `clientId` names the device. It has subscribed to nothing. */
    static async connect(server, { clientId, username, ...options }) {
        const caller = new Caller();
        caller.user = username;
        const level = (name) => name.replace(/[%/+#]/g, encodeURIComponent);
        caller.front = `roost/v1/${level(username)}/${level(clientId)}`;
        caller.client = await Client.connect(server, { clientId, username, ...options });
        return caller;
    }

    /** Callable. */
    static async start(server, options) {
        const caller = await Caller.connect(server, options);
        assert.equal(await caller.client.subscribe(`${caller.front}/event`, 1), 1);
        return caller;
    }

    #readAll() {
        for (; this.#read < this.client.inbox.length; this.#read++) {
            const { topic, text } = this.client.inbox[this.#read];
            if (topic === `${this.front}/event`) this.messages.push(JSON.parse(text));
        }
    }

    async #next(what, matches, timeoutMs = 30000) {
        const end = Date.now() + timeoutMs;
        for (;;) {
            this.#readAll();
            const found = this.messages.find((message) => !message.taken && matches(message));
            if (found) return Object.assign(found, { taken: true });
            const seen = this.client.inbox.length;
            await this.client.next((message) => this.client.inbox.indexOf(message) >= seen, end - Date.now())
                .catch((problem) => { throw new Error(`no ${what}: ${problem.message}`); });
        }
    }

    /** Publishes a request and returns its id. */
    async send(type, fields = {}, options = { qos: 1 }) {
        const id = ++this.#lastId;
        await this.client.publish(`${this.front}/request`, JSON.stringify({ type, id, ...fields }), options);
        return id;
    }

    async request(type, fields = {}) {
        const id = await this.send(type, fields);
        const reply = await this.#next(`reply to ${type}`, (message) => message.id === id);
        if (reply.type === 'error') throw new Refused(reply);
        assert.equal(reply.type, 'ok');
        return reply.result;
    }

    /** The next event of a type, once each. */
    event(type, matches = () => true, timeoutMs = 30000) {
        return this.#next(type, (message) => message.type === type && message.id === undefined && matches(message), timeoutMs);
    }

    /** Events of a type that came so far and were not taken. */
    pending(type) {
        this.#readAll();
        return this.messages.filter((message) => message.type === type && !message.taken);
    }
}
