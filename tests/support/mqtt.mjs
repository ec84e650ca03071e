// The broker of a server under test, and clients that others wrote: mqtt.js and mosquitto's programs.
import { spawn } from 'node:child_process';

import mqtt from 'mqtt';

import { Server } from './server.mjs';
import { patienceMs, until } from './until.mjs';

/** How a client reaches the broker; `https` is MQTT over TLS on the port of HTTPS. */
export const transports = ['tcp', 'tls', 'ws', 'wss', 'https'];
/** As mqtt.js numbers them: 3.1, 3.1.1 and 5.0. */
export const versions = [3, 4, 5];

/** A server that listens for MQTT everywhere; `mqttPort` and `mqttTlsPort` are what the system chose. */
export async function startMqtt({ set = {}, ...options } = {}) {
    const server = await Server.start({
        sanitized: true, ...options,
        set: { 'mqtt.tcp': true, 'mqtt.tls': true, 'mqtt.port': 0, 'mqtt.tls_port': 0, 'mqtt.sys_interval': '1s', ...set },
    });
    const { port, tls_port } = await server.logged(({ message }) => message === 'MQTT listens');
    return Object.assign(server, { mqttPort: port, mqttTlsPort: tls_port });
}

export function addressOf(server, transport, host = '127.0.0.1') {
    return {
        tcp: `mqtt://${host}:${server.mqttPort}`,
        tls: `mqtts://${host}:${server.mqttTlsPort}`,
        ws: `ws://${host}:${server.httpPort}/mqtt`,
        wss: `wss://${host}:${server.httpsPort}/mqtt`,
        https: `mqtts://${host}:${server.httpsPort}`,
    }[transport];
}

/** A connection of mqtt.js that keeps what comes. */
export class Client {
    inbox = [];
    #waiters = [];

    /**
     * Connects once; an error has the reason code of CONNACK in `code`.
     * @param {{transport?: string, version?: number, host?: string}} options and those of mqtt.js
     */
    static async connect(server, { transport = 'tcp', version = 5, host, ...options } = {}) {
        const client = new Client();
        client.version = version;
        client.name = `${transport} ${version}`;
        client.mqtt = mqtt.connect(addressOf(server, transport, host), {
            protocolVersion: version, protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
            reconnectPeriod: 0, connectTimeout: patienceMs, rejectUnauthorized: false, ...options,
        });
        client.mqtt.on('message', (topic, payload, { qos, retain, dup, properties }) => {
            client.inbox.push({ topic, text: payload.toString(), payload, qos, retain, dup, properties });
            client.#wake();
        });
        client.mqtt.on('disconnect', (packet) => { client.goodbye = packet.reasonCode; });
        client.closed = new Promise((resolve) => client.mqtt.once('close', () => {
            client.isClosed = true;
            client.#wake();
            resolve();
        }));
        client.connack = await new Promise((resolve, reject) => {
            client.mqtt.once('connect', resolve);
            client.mqtt.once('error', reject);
            client.mqtt.once('close', () => reject(new Error('closed before CONNACK')));
        }).catch((problem) => {
            client.mqtt.on('error', () => {});
            client.mqtt.end(true);
            throw problem;
        });
        client.mqtt.on('error', (problem) => { client.problem = problem; });
        return client;
    }

    #wake() {
        for (const waiter of this.#waiters.splice(0)) waiter();
    }

    get sessionPresent() { return this.connack.sessionPresent; }
    get texts() { return this.inbox.map(({ text }) => text); }

    /** Returns what was granted: QoS, or 128 and more for a refusal. */
    async subscribe(filter, qos = 0, options = {}) {
        const granted = await new Promise((resolve, reject) => {
            this.mqtt.subscribe(filter, { qos, ...options }, (problem, grants, packet) =>
                (packet ? resolve(packet.granted) : problem ? reject(problem) : resolve(grants.map((grant) => grant.qos))));
        });
        return granted[0];
    }

    publish(topic, payload, options = {}) {
        return this.mqtt.publishAsync(topic, payload, options);
    }

    /** The first message that matches, here already or to come. */
    async next(matches = () => true, timeoutMs = patienceMs) {
        const end = Date.now() + timeoutMs;
        for (let at = 0; ;) {
            for (; at < this.inbox.length; at++) if (matches(this.inbox[at])) return this.inbox[at];
            const left = end - Date.now();
            if (left <= 0 || this.isClosed)
                throw new Error(`${this.name}: not received; so far ${JSON.stringify(this.texts.slice(-50))}`);
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, left);
                this.#waiters.push(() => { clearTimeout(timer); resolve(); });
            });
        }
    }

    /** Says goodbye. */
    end() {
        return this.mqtt.endAsync();
    }

    /** Is gone without a word. */
    async kill() {
        this.mqtt.stream.destroy();
        await this.closed;
    }
}

const mosquittoVersions = { 3: 'mqttv31', 4: 'mqttv311', 5: 'mqttv5' };

/** One of mosquitto's programs, from its start to its end. */
export class Mosquitto {
    output = '';
    errors = '';

    /** @param {'pub'|'sub'} what @param {string} ca the authority's certificate, for TLS */
    constructor(server, what, { transport = 'tcp', version = 4, ca, args = [], input } = {}) {
        const port = { tcp: server.mqttPort, tls: server.mqttTlsPort, https: server.httpsPort }[transport];
        const tls = transport === 'tcp' ? [] : ['--cafile', ca];
        const alpn = transport === 'https' ? ['--tls-alpn', 'mqtt'] : [];
        // what it prints is to come line by line
        this.child = spawn('stdbuf', ['-oL', `mosquitto_${what}`, '-h', '127.0.0.1', '-p', `${port}`, '-V', mosquittoVersions[version], ...tls, ...alpn, ...args]);
        this.child.stdout.on('data', (chunk) => { this.output += chunk; });
        this.child.stderr.on('data', (chunk) => { this.errors += chunk; });
        this.ended = new Promise((resolve, reject) => {
            this.child.once('error', reject);
            this.child.once('close', (status) => resolve({ status, output: this.output, errors: this.errors }));
        });
        // most do not read it
        this.child.stdin.on('error', () => {}).end(input ?? '');
    }

    /** Runs mosquitto_pub to its end. */
    static publish(server, options) {
        return new Mosquitto(server, 'pub', options).ended;
    }

    /**
     * mosquitto_sub, once it has subscribed; its output is a line for each message: topic, QoS, whether it was retained,
     * and payload. It ends after `count` messages, or fails when they do not come.
     */
    static async subscribe(server, { count, args = [], ...options }) {
        const mark = 'message: ';
        const subscriber = new Mosquitto(server, 'sub', { ...options, args: ['-d', '-C', `${count}`, '-W', `${patienceMs / 1000}`, '-F', `${mark}%t %q %r %p`, ...args] });
        subscriber.ended = subscriber.ended.then(({ output, ...rest }) => ({ ...rest, output: output.split('\n')
            .filter((line) => line.startsWith(mark)).map((line) => `${line.slice(mark.length)}\n`).join('') }));
        await until('mosquitto_sub has subscribed', () => subscriber.child.exitCode !== null || subscriber.output.includes('Subscribed (mid'), patienceMs, 10);
        return subscriber;
    }
}
