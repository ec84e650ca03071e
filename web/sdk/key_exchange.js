/**
 * How members of an encrypted room give each other their frame keys. All know the room's secret, which
 * the server does not; what they say to each other is authenticated with it and, between two, encrypted
 * with a key agreed upon for this session (ECDH), so that the secret alone opens nothing later.
 *
 *     hello  a session's public key, authenticated with the room's secret
 *     key    a sender's secret for one other member
 */

import { hkdf } from './sframe.js';

const VERSION = 'roost e2ee 1';
const CURVE = { name: 'ECDH', namedCurve: 'P-256' };
/** OWASP's advice for PBKDF2 with SHA-256. */
const ITERATIONS = 600_000;
const KEY_BYTES_MIN = 16;
const CONSONANTS = 'bdfghjklmnprstvz';
const VOWELS = 'aiou';

const encoder = new TextEncoder();

/**
 * @typedef {import('./sframe.js').KeyId} KeyId
 *
 * @typedef {object} Hello
 * @property {string} key public key, base64url
 * @property {boolean} reply its sender is new here, or lacks our key
 *
 * @typedef {{hello: Hello} | {key: {id: KeyId, secret: Uint8Array}} | {wrong: true, reply: boolean} | null} Heard
 */

/** What follows from a room's secret. */
export class RoomSecret {
    /**
     * @param {CryptoKey} hmac
     * @param {Uint8Array} pairSalt
     * @param {string} words
     */
    constructor(hmac, pairSalt, words) {
        this.hmac = hmac;
        this.pairSalt = pairSalt;
        this.words = words;
    }

    /**
     * @param {string | Uint8Array} key a passphrase, or at least 16 random bytes
     * @param {string} room its name: the same passphrase gives other keys elsewhere
     * @returns {Promise<RoomSecret>}
     */
    static async derive(key, room) {
        const salt = encoder.encode(`${VERSION} ${room}`);
        const raw = typeof key === 'string' ? encoder.encode(key.normalize('NFC')) : key;
        let root;
        if (typeof key !== 'string' && raw.length >= KEY_BYTES_MIN) {
            root = await hkdf(raw, 'root', 256, salt);
        } else {
            const material = await crypto.subtle.importKey('raw', exact(raw), 'PBKDF2', false, ['deriveBits']);
            const algorithm = { name: 'PBKDF2', hash: 'SHA-256', salt: exact(salt), iterations: ITERATIONS };
            root = new Uint8Array(await crypto.subtle.deriveBits(algorithm, material, 256));
        }
        const algorithm = { name: 'HMAC', hash: 'SHA-256' };
        const auth = exact(await hkdf(root, 'auth', 256));
        const hmac = await crypto.subtle.importKey('raw', auth, algorithm, false, ['sign', 'verify']);
        return new RoomSecret(hmac, await hkdf(root, 'pair', 256), sayable(await hkdf(root, 'words', 64)));
    }
}

/** One member's part, for one session in the room. */
export class KeyExchange {
    #secret;
    #self;
    #pair;
    #publicKey;
    /** @type {Map<string, {publicKey: string, send: CryptoKey, receive: CryptoKey}>} by member */
    #peers = new Map();

    /**
     * @param {RoomSecret} secret
     * @param {string} self the own member id
     * @param {CryptoKeyPair} pair
     * @param {string} publicKey
     */
    constructor(secret, self, pair, publicKey) {
        this.#secret = secret;
        this.#self = self;
        this.#pair = pair;
        this.#publicKey = publicKey;
    }

    /**
     * @param {RoomSecret} secret
     * @param {string} self
     */
    static async make(secret, self) {
        const pair = await crypto.subtle.generateKey(CURVE, false, ['deriveBits']);
        const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
        return new KeyExchange(secret, self, pair, encode(raw));
    }

    /** @param {string} member */
    knows(member) {
        return this.#peers.has(member);
    }

    /** Members that we can send keys to. */
    get peers() {
        return [...this.#peers.keys()];
    }

    /** @param {string} member */
    forget(member) {
        this.#peers.delete(member);
    }

    /**
     * @param {boolean} reply wants the others' keys
     * @returns {Promise<string>}
     */
    async hello(reply) {
        const signed = helloText(this.#self, this.#publicKey);
        const mac = new Uint8Array(await crypto.subtle.sign('HMAC', this.#secret.hmac, exact(signed)));
        return JSON.stringify({ t: 'hello', p: this.#publicKey, r: reply, m: encode(mac) });
    }

    /**
     * @param {string} member whose hello we have
     * @param {KeyId} id
     * @param {Uint8Array} secret
     * @returns {Promise<string>}
     */
    async key(member, id, secret) {
        const peer = /** @type {{send: CryptoKey}} */ (this.#peers.get(member));
        const iv = crypto.getRandomValues(new Uint8Array(12));
        const algorithm = { name: 'AES-GCM', iv, additionalData: exact(keyText(id)) };
        const sealed = new Uint8Array(await crypto.subtle.encrypt(algorithm, peer.send, exact(secret)));
        return JSON.stringify({ t: 'key', s: id.sender, g: id.generation, c: id.step, i: encode(iv), k: encode(sealed) });
    }

    /**
     * @param {string} from
     * @param {string} data what came
     * @returns {Promise<Heard>} wrong: said with another secret; null: nothing to understand
     */
    async hear(from, data) {
        try {
            const said = JSON.parse(data);
            if (said.t === 'hello') return await this.#hearHello(from, said);
            if (said.t === 'key') return await this.#hearKey(from, said);
        } catch {
            // not ours, or garbled: as if nobody had spoken
        }
        return null;
    }

    /**
     * @param {string} from
     * @param {{p: string, r: boolean, m: string}} said
     * @returns {Promise<Heard>}
     */
    async #hearHello(from, { p, r, m }) {
        const signed = exact(helloText(from, p));
        const authentic = await crypto.subtle.verify('HMAC', this.#secret.hmac, exact(decode(m)), signed);
        if (!authentic) return { wrong: true, reply: r === true };
        if (this.#peers.get(from)?.publicKey !== p) {
            const key = await crypto.subtle.importKey('raw', exact(decode(p)), CURVE, false, []);
            const algorithm = { name: 'ECDH', public: key };
            const shared = new Uint8Array(await crypto.subtle.deriveBits(algorithm, this.#pair.privateKey, 256));
            this.#peers.set(from, {
                publicKey: p,
                send: await this.#pairKey(shared, [this.#self, this.#publicKey, from, p]),
                receive: await this.#pairKey(shared, [from, p, this.#self, this.#publicKey]),
            });
        }
        return { hello: { key: p, reply: r === true } };
    }

    /**
     * @param {string} from
     * @param {{s: number, g: number, c: number, i: string, k: string}} said
     * @returns {Promise<Heard>}
     */
    async #hearKey(from, { s, g, c, i, k }) {
        const peer = this.#peers.get(from);
        if (!peer) return null;
        const id = { sender: s, generation: g, step: c };
        const algorithm = { name: 'AES-GCM', iv: exact(decode(i)), additionalData: exact(keyText(id)) };
        const secret = await crypto.subtle.decrypt(algorithm, peer.receive, exact(decode(k)));
        return { key: { id, secret: new Uint8Array(secret) } };
    }

    /**
     * @param {Uint8Array} shared
     * @param {string[]} parts from whom, to whom
     */
    async #pairKey(shared, parts) {
        const info = `${VERSION} pair\0${parts.join('\0')}`;
        const raw = await hkdf(shared, info, 256, this.#secret.pairSalt);
        return crypto.subtle.importKey('raw', exact(raw), 'AES-GCM', false, ['encrypt', 'decrypt']);
    }
}

/**
 * @param {string} member
 * @param {string} publicKey
 */
function helloText(member, publicKey) {
    return encoder.encode(`${VERSION} hello\0${member}\0${publicKey}`);
}

/** @param {KeyId} id */
function keyText({ sender, generation, step }) {
    return encoder.encode(`${VERSION} key\0${sender}\0${generation}\0${step}`);
}

/**
 * Four syllable pairs that can be read to each other in any language.
 *
 * @param {Uint8Array} bytes 8
 * @returns {string}
 */
function sayable(bytes) {
    const words = [];
    for (let at = 0; at < bytes.length; at += 2) {
        const bits = (bytes[at] << 8) | bytes[at + 1];
        const letter = (/** @type {number} */ shift) => CONSONANTS[(bits >> shift) & 15];
        const vowel = (/** @type {number} */ shift) => VOWELS[(bits >> shift) & 3];
        words.push(letter(12) + vowel(10) + letter(6) + vowel(4) + letter(0));
    }
    return words.join(' ');
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} base64url without padding
 */
export function encode(bytes) {
    return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
export function decode(text) {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
function exact(bytes) {
    return /** @type {Uint8Array<ArrayBuffer>} */ (bytes);
}
