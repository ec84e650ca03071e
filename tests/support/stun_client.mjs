// STUN and TURN written from the RFCs (8489, 8656, 6062), without a look at ours: every byte can be chosen.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as tcpConnect, isIPv6 } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

import { patienceMs } from './until.mjs';

export const method = { binding: 0x001, allocate: 0x003, refresh: 0x004, send: 0x006, data: 0x007, permission: 0x008, channel: 0x009, connect: 0x00a, connectionBind: 0x00b, connectionAttempt: 0x00c };
export const attribute = {
    mappedAddress: 0x0001, username: 0x0006, integrity: 0x0008, errorCode: 0x0009, unknown: 0x000a, channelNumber: 0x000c, lifetime: 0x000d,
    xorPeer: 0x0012, data: 0x0013, realm: 0x0014, nonce: 0x0015, xorRelayed: 0x0016, family: 0x0017, evenPort: 0x0018, transport: 0x0019,
    dontFragment: 0x001a, accessToken: 0x001b, integritySha256: 0x001c, passwordAlgorithm: 0x001d, userhash: 0x001e, xorMapped: 0x0020, token: 0x0022,
    connectionId: 0x002a, additionalFamily: 0x8000, passwordAlgorithms: 0x8002, software: 0x8022, alternateServer: 0x8023, fingerprint: 0x8028,
    responseOrigin: 0x802b, otherAddress: 0x802c, thirdParty: 0x802e, ticket: 0x8030,
};
const cookie = Buffer.from([0x21, 0x12, 0xa4, 0x42]);
const classes = ['request', 'indication', 'success', 'error'];

/** The 14 bits of a type: class bits lie within those of the method. */
const typeOf = (of, kind) => (of & 0xf) | ((kind & 1) << 4) | ((of & 0x70) << 1) | ((kind & 2) << 7) | ((of & 0xf80) << 2);

/** 4 or 16 bytes of an address in any spelling. */
export function addressBytes(text) {
    if (!isIPv6(text)) return Buffer.from(text.split('.').map(Number));
    const embedded = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
    const plain = embedded ? `${embedded[1]}${((embedded[2] << 8) | embedded[3]).toString(16)}:${((embedded[4] << 8) | embedded[5]).toString(16)}` : text;
    const [head, tail] = plain.split('::').map((half) => half.split(':').filter(Boolean).map((group) => parseInt(group, 16)));
    const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill(0), ...tail];
    const bytes = Buffer.alloc(16);
    groups.forEach((group, index) => bytes.writeUInt16BE(group, index * 2));
    return bytes;
}

export function addressText(bytes) {
    return bytes.length === 4 ? bytes.join('.') : Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');
}

const mask = (transaction) => Buffer.concat([cookie, transaction]);

/** The value of an XOR-... attribute. */
export function xorAddress({ address, port }, transaction) {
    const bytes = addressBytes(address);
    const head = Buffer.from([0, bytes.length === 4 ? 1 : 2, 0, 0]);
    head.writeUInt16BE(port ^ 0x2112, 2);
    return Buffer.concat([head, bytes.map((byte, index) => byte ^ mask(transaction)[index])]);
}

function readXorAddress(value, transaction) {
    return { port: value.readUInt16BE(2) ^ 0x2112, address: addressText(Buffer.from(value.subarray(4).map((byte, index) => byte ^ mask(transaction)[index]))) };
}

/**
 * Bytes of a message. Attributes are pairs of a type and a value; `key` adds MESSAGE-INTEGRITY.
 *
 * @param {{of: number, kind?: number, transaction?: Buffer, attributes?: [number, Buffer][], key?: Buffer}} message
 */
export function encode({ of, kind = 0, transaction = randomBytes(12), attributes = [], key }) {
    const list = attributes.map(([type, value]) => {
        const head = Buffer.alloc(4);
        head.writeUInt16BE(type, 0);
        head.writeUInt16BE(value.length, 2);
        return Buffer.concat([head, value, Buffer.alloc(-value.length & 3)]);
    });
    const build = (more) => {
        const body = Buffer.concat(list);
        const head = Buffer.alloc(4);
        head.writeUInt16BE(typeOf(of, kind), 0);
        head.writeUInt16BE(body.length + more, 2);
        return Buffer.concat([head, cookie, transaction, body]);
    };
    if (key) {
        const code = createHmac('sha1', key).update(build(24)).digest();
        list.push(Buffer.concat([Buffer.from([0, 8, 0, 20]), code]));
    }
    return build(0);
}

/** A message, or null when the bytes are none. Padding other than zero is an error: it would be someone's data. */
export function decode(bytes) {
    if (bytes.length < 20 || bytes[0] > 3 || !bytes.subarray(4, 8).equals(cookie) || bytes.readUInt16BE(2) + 20 > bytes.length) return null;
    const type = bytes.readUInt16BE(0);
    const message = {
        of: (type & 0xf) | ((type >> 1) & 0x70) | ((type >> 2) & 0xf80), kind: classes[((type >> 4) & 1) | ((type >> 7) & 2)],
        transaction: bytes.subarray(8, 20), attributes: new Map(), size: bytes.length, error: 0, reason: '',
    };
    for (let at = 20; at + 4 <= bytes.length;) {
        const size = bytes.readUInt16BE(at + 2);
        const value = bytes.subarray(at + 4, at + 4 + size);
        const name = bytes.readUInt16BE(at);
        if (!message.attributes.has(name)) message.attributes.set(name, value);
        at += 4 + size;
        for (; at & 3; at++) if (bytes[at] !== 0) throw new Error(`padding of attribute ${name} is not zero`);
    }
    const error = message.attributes.get(attribute.errorCode);
    if (error) {
        message.error = error[2] * 100 + error[3];
        message.reason = error.subarray(4).toString();
    }
    message.address = (name) => (message.attributes.has(name) ? readXorAddress(message.attributes.get(name), message.transaction) : undefined);
    message.text = (name) => message.attributes.get(name)?.toString();
    return message;
}

const number32 = (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
};

/** A client over one transport. */
export class StunClient {
    #waiters = new Map();
    #stream = Buffer.alloc(0);
    /** What peers sent: `{peer, channel, data}`. */
    received = [];
    /** Indications and data that nobody asked for, whole. */
    messages = [];
    ended = false;
    key;

    /** @param {{port: number, host?: string, transport?: 'udp'|'tcp'|'tls', from?: string, ca?: string}} options from: own address */
    static async open({ port, host = '127.0.0.1', transport = 'udp', from, ca }) {
        const client = new StunClient();
        client.transport = transport;
        client.host = host;
        client.port = port;
        if (transport === 'udp') {
            const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
            client.socket = socket;
            socket.on('message', (bytes) => client.#take(bytes));
            socket.on('error', () => {});
            socket.bind(0, from);
            await once(socket, 'listening');
            client.write = (bytes) => socket.send(bytes, port, host);
            client.close = () => socket.close();
        } else {
            const options = { port, host, localAddress: from };
            const socket = transport === 'tls' ? tlsConnect({ ...options, ca, rejectUnauthorized: Boolean(ca), servername: 'localhost' }) : tcpConnect(options);
            client.socket = socket;
            socket.on('data', (chunk) => client.#cut(chunk));
            for (const event of ['end', 'close', 'error'])
                socket.on(event, () => {
                    client.ended = true;
                    for (const wake of client.#waiters.values()) wake(null);
                });
            await Promise.race([once(socket, transport === 'tls' ? 'secureConnect' : 'connect'), once(socket, 'close')]);
            client.write = (bytes) => socket.write(bytes);
            client.close = () => socket.destroy();
        }
        return client;
    }

    #cut(chunk) {
        this.#stream = Buffer.concat([this.#stream, chunk]);
        while (this.#stream.length >= 4) {
            const channel = this.#stream[0] >> 6 === 1;
            const size = this.#stream.readUInt16BE(2) + (channel ? 4 : 20);
            const whole = channel ? (size + 3) & ~3 : size;
            if (this.#stream.length < whole) return;
            this.#take(this.#stream.subarray(0, size));
            this.#stream = this.#stream.subarray(whole);
        }
    }

    #take(bytes) {
        if (bytes[0] >> 6 === 1) {
            this.received.push({ channel: bytes.readUInt16BE(0), data: bytes.subarray(4, 4 + bytes.readUInt16BE(2)) });
            return;
        }
        const message = decode(bytes);
        const waiter = message && this.#waiters.get(message.transaction.toString('hex'));
        if (waiter) return waiter(message);
        if (message?.of === method.data) this.received.push({ peer: message.address(attribute.xorPeer), data: message.attributes.get(attribute.data) });
        this.messages.push(message ?? bytes);
    }

    /** Sends a request and waits for its answer; null when none comes. Over UDP it is sent again meanwhile. */
    async ask(of, attributes = [], { key = this.key, timeoutMs = patienceMs, transaction = randomBytes(12) } = {}) {
        const bytes = encode({ of, transaction, attributes: typeof attributes === 'function' ? attributes(transaction) : attributes, key });
        const name = transaction.toString('hex');
        const again = this.transport === 'udp' ? setInterval(() => this.write(bytes), 500) : undefined;
        try {
            return await new Promise((resolve) => {
                const timer = setTimeout(() => resolve(null), timeoutMs);
                this.#waiters.set(name, (message) => { clearTimeout(timer); resolve(message); });
                if (this.ended) resolve(null);
                this.write(bytes);
            });
        } finally {
            clearInterval(again);
            this.#waiters.delete(name);
        }
    }

    /** Attributes of the long-term mechanism. */
    #credentials() {
        return [[attribute.username, Buffer.from(this.username)], [attribute.realm, Buffer.from(this.realm)], [attribute.nonce, this.nonce]];
    }

    /** As `ask`, with credentials once they are known; a stale nonce is replaced. */
    async request(of, attributes = [], options = {}) {
        const all = (transaction) => [...(typeof attributes === 'function' ? attributes(transaction) : attributes), ...this.#credentials()];
        const answer = await this.ask(of, all, options);
        if (answer?.error !== 438 || options.once) return answer;
        this.nonce = answer.attributes.get(attribute.nonce);
        return this.ask(of, all, options);
    }

    /** Learns realm and nonce, and takes credentials for all that follows. */
    async challenge({ username, credential }) {
        const answer = await this.ask(method.allocate, [[attribute.transport, Buffer.from([17, 0, 0, 0])]], { key: undefined });
        if (answer?.error !== 401) throw new Error(`no challenge but ${answer?.error ?? answer?.kind}`);
        this.username = username;
        this.realm = answer.text(attribute.realm);
        this.nonce = answer.attributes.get(attribute.nonce);
        this.key = createHash('md5').update(`${username}:${this.realm}:${credential}`).digest();
        return answer;
    }

    /** An allocation; throws on an error. */
    async allocate(credentials, { family, lifetimeS, protocol = 17, extra = [] } = {}) {
        if (!this.key) await this.challenge(credentials);
        const answer = await this.request(method.allocate, [[attribute.transport, Buffer.from([protocol, 0, 0, 0])],
            ...(family ? [[attribute.family, Buffer.from([family === 4 ? 1 : 2, 0, 0, 0])]] : []),
            ...(lifetimeS === undefined ? [] : [[attribute.lifetime, number32(lifetimeS)]]), ...extra]);
        if (answer?.kind !== 'success') throw Object.assign(new Error(`no allocation: ${answer?.error ?? 'no answer'}`), { answer });
        this.relayed = answer.address(attribute.xorRelayed);
        return answer;
    }

    refresh(lifetimeS) { return this.request(method.refresh, [[attribute.lifetime, number32(lifetimeS)]]); }

    permission(...addresses) {
        return this.request(method.permission, (transaction) => addresses.map((address) => [attribute.xorPeer, xorAddress({ address, port: 9 }, transaction)]));
    }

    channel(number, peer) {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt16BE(number);
        return this.request(method.channel, (transaction) => [[attribute.channelNumber, bytes], [attribute.xorPeer, xorAddress(peer, transaction)]]);
    }

    connectPeer(peer) { return this.request(method.connect, (transaction) => [[attribute.xorPeer, xorAddress(peer, transaction)]]); }

    /** A Send indication. */
    send(peer, data) {
        const transaction = randomBytes(12);
        this.write(encode({ of: method.send, kind: 1, transaction, attributes: [[attribute.xorPeer, xorAddress(peer, transaction)], [attribute.data, data]] }));
    }

    sendChannel(number, data) {
        const head = Buffer.alloc(4);
        head.writeUInt16BE(number, 0);
        head.writeUInt16BE(data.length, 2);
        this.write(Buffer.concat([head, data, Buffer.alloc(this.transport === 'udp' ? 0 : -data.length & 3)]));
    }
}
