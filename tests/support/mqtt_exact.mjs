// A client of MQTT 3.1.1 or 5.0 that does all that QoS 1 and 2 ask of it, over connections that break at any moment: what it has
// not been acknowledged it sends again, and what it was sent again it takes once (4.3, 4.4). Packets are put together and
// taken apart by mqtt-packet.
import { connect } from 'node:net';

import { generate, parser } from 'mqtt-packet';

const RETRY_MS = 15;

export class ExactClient {
    /** What came, as often as it came. @type {{topic: string, text: string, size: number, qos: number, retain: boolean, properties?: object}[]} */
    inbox = [];
    /** Connections that were told of no session though there had been one. */
    sessionsLost = 0;
    connections = 0;
    #greeted = false;
    #online = false;
    #ended = false;
    #next = 0;
    /** By packet identifier, in the order of their sending. */
    #outgoing = new Map();
    /** Identifiers of QoS 2 messages that came and were not released. */
    #incoming = new Set();
    #controls = new Map();

    /**
     * @param {() => number} port where the server is now
     * @param {{version?: 4 | 5, will?: object, properties?: object}} [options] of mqtt-packet's CONNECT
     */
    constructor(clientId, port, { version = 4, ...connects } = {}) {
        this.clientId = clientId;
        this.port = port;
        this.version = version;
        this.connects = connects;
        this.#connect();
    }

    #connect() {
        if (this.#ended) return;
        this.#online = false;
        const socket = connect({ host: '127.0.0.1', port: this.port(), noDelay: true });
        const packets = parser({ protocolVersion: this.version });
        this.socket = socket;
        socket.once('connect', () => this.#send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: this.version, clean: false, clientId: this.clientId, keepalive: 60, ...this.connects }));
        socket.on('data', (bytes) => packets.parse(bytes));
        packets.on('packet', (packet) => this.#handle(packet));
        packets.on('error', (problem) => { this.problem = problem; });
        socket.on('error', () => {});
        socket.once('close', () => setTimeout(() => this.#connect(), RETRY_MS));
    }

    #send(packet) {
        this.socket.write(generate(packet, { protocolVersion: this.version }));
    }

    #handle(packet) {
        const { cmd, messageId } = packet;
        if (cmd === 'connack') this.#resume(packet);
        else if (cmd === 'publish') this.#take(packet);
        else if (cmd === 'pubrel') {
            this.#incoming.delete(messageId);
            this.#send({ cmd: 'pubcomp', messageId });
        } else if (cmd === 'pubrec') {
            const own = this.#outgoing.get(messageId);
            if (own) own.released = true;
            this.#send({ cmd: 'pubrel', messageId });
        } else if (cmd === 'puback' || cmd === 'pubcomp') {
            const own = this.#outgoing.get(messageId);
            this.#outgoing.delete(messageId);
            own?.resolve();
        } else if (cmd === 'suback') {
            this.#controls.get(messageId)?.resolve(packet.granted);
            this.#controls.delete(messageId);
        }
    }

    #resume({ returnCode, reasonCode, sessionPresent }) {
        const code = this.version === 5 ? reasonCode : returnCode;
        if (code !== 0) {
            this.problem = new Error(`refused: ${code}`);
            return;
        }
        this.sessionPresent = sessionPresent;
        if (this.#greeted && !sessionPresent) this.sessionsLost++;
        this.#greeted = true;
        this.#online = true;
        this.connections++;
        for (const { packet } of this.#controls.values()) this.#send(packet);
        for (const [messageId, { packet, released }] of this.#outgoing)
            this.#send(released ? { cmd: 'pubrel', messageId } : { ...packet, dup: true });
    }

    #take({ topic, payload, qos, retain, messageId, properties }) {
        if (qos === 2) this.#send({ cmd: 'pubrec', messageId });
        if (qos === 2 && this.#incoming.has(messageId)) return;
        if (qos === 2) this.#incoming.add(messageId);
        this.inbox.push({ topic, text: payload.subarray(0, 64).toString(), size: payload.length, qos, retain, properties });
        if (qos === 1) this.#send({ cmd: 'puback', messageId });
    }

    #identifier() {
        do this.#next = this.#next % 65535 + 1; while (this.#outgoing.has(this.#next) || this.#controls.has(this.#next));
        return this.#next;
    }

    get unacknowledged() { return this.#outgoing.size; }

    /** Ends once it was acknowledged, over as many connections as that takes. QoS 1 or 2. */
    publish(topic, payload, { qos = 1, retain = false, properties } = {}) {
        const messageId = this.#identifier();
        const packet = { cmd: 'publish', topic, payload, qos, retain, dup: false, messageId, properties };
        const acknowledged = new Promise((resolve) => this.#outgoing.set(messageId, { packet, released: false, resolve }));
        if (this.#online) this.#send(packet);
        return acknowledged;
    }

    subscribe(topic, qos) {
        const messageId = this.#identifier();
        const packet = { cmd: 'subscribe', messageId, subscriptions: [{ topic, qos }] };
        const granted = new Promise((resolve) => this.#controls.set(messageId, { packet, resolve }));
        if (this.#online) this.#send(packet);
        return granted;
    }

    end() {
        this.#ended = true;
        this.socket.destroy();
    }
}
