/**
 * End-to-end encryption of a room: the server passes frames on that it cannot read. Keys are per sender,
 * ratcheted when somebody joins and made anew when somebody leaves. See docs/e2ee.md.
 */

import { Emitter } from './emitter.js';
import { RoostError } from './errors.js';
import { ratchet } from './frame_keys.js';
import { KeyExchange, RoomSecret, decode, encode } from './key_exchange.js';

/** Who joins in this time gets keys of one ratchet step. */
const GATHER_MS = 50;
/** Who leaves in this time makes one new key. */
const LEAVE_MS = 300;
/** New keys are with all others before the first frame that needs them. */
const SWITCH_AFTER_MS = 1000;
/** Who has said nothing by then has no key. */
const SILENT_AFTER_MS = 5000;
const ASK_EVERY_MS = 1000;
const MESSAGES_MAX = 64;

/**
 * @typedef {import('./sframe.js').KeyId} KeyId
 * @typedef {import('./roster.js').Member} Member
 *
 * @typedef {object} E2eeOptions
 * @property {string | Uint8Array} key what all members know and the server does not: a passphrase, or at
 *     least 16 random bytes (`createKey()`)
 *
 * @typedef {'waiting' | 'secure' | 'wrong-key' | 'no-key' | 'failed'} MemberSecurity waiting: nothing heard
 *     yet; wrong-key: has another key than we; no-key: does not encrypt; failed: what comes in its name
 *     cannot be decrypted
 *
 * @typedef {object} E2eeEvents
 * @property {{member: Member, security: MemberSecurity}} member
 * @property {KeyId} rotated we send with a new key
 * @property {RoostError} error
 *
 * @typedef {object} Owner what it needs of its room
 * @property {() => Member} self
 * @property {() => Map<string, Member>} members
 * @property {(message: {data?: string, messages?: {to: string, data: string}[]}) => Promise<unknown>} send
 *
 * @typedef {{type: 'send-key', id: KeyId, secret: Uint8Array}
 *     | {type: 'receive-key', member: string, id: KeyId, secret: Uint8Array}
 *     | {type: 'forget', member: string}
 *     | {type: 'expect', tag: number, member: string | null}
 *     | {type: 'codecs', codecs: [number, string][]}
 *     | {type: 'seal', number: number, bytes: Uint8Array}
 *     | {type: 'open', number: number, bytes: Uint8Array, member: string}
 *     | {type: 'streams', transform: any, readable: ReadableStream, writable: WritableStream}} ToWorker
 * @typedef {{type: 'key-wanted', tag: number} | {type: 'receiver', tag: number, state: 'ok' | 'failed'}
 *     | {type: 'codec', codec: string} | {type: 'data', number: number, bytes: Uint8Array | null}} FromWorker
 */

/** @extends {Emitter<E2eeEvents>} */
export class E2ee extends Emitter {
    #room;
    #secret;
    #worker;
    /** @type {Owner | null} */
    #owner = null;
    /** @type {KeyExchange | null} */
    #exchange = null;
    /** The own sending key. */
    #id = { sender: (crypto.getRandomValues(new Uint32Array(1))[0] | 0x80000000) >>> 0, generation: 0, step: 0 };
    /** @type {Uint8Array} */
    #chain = crypto.getRandomValues(new Uint8Array(32));
    /** @type {{id: KeyId, chain: Uint8Array} | null} a new key that is being given out */
    #next = null;
    /** @type {Map<string, MemberSecurity>} by member */
    #states = new Map();
    /** @type {Map<string, {tag: number, member: string | null}>} mediaTrack id -> its receiver */
    #receivers = new Map();
    #tags = 0;
    /** @type {WeakSet<object>} senders and receivers with a transform */
    #attached = new WeakSet();
    /** @type {Set<string>} who is to get our key */
    #owed = new Set();
    #ratchetDue = false;
    /** @type {Set<ReturnType<typeof setTimeout>>} */
    #timers = new Set();
    /** @type {Map<string, ReturnType<typeof setTimeout>>} by what for */
    #due = new Map();
    #askedAt = -Infinity;
    /** @type {Map<number, (bytes: Uint8Array | null) => void>} data messages that the worker has */
    #questions = new Map();
    #lastQuestion = 0;
    /** What must not overtake each other. */
    #work = Promise.resolve();
    #closed = false;

    /**
     * @param {string} room
     * @param {RoomSecret} secret
     * @param {Worker} worker
     */
    constructor(room, secret, worker) {
        super();
        this.#room = room;
        this.#secret = secret;
        this.#worker = worker;
        worker.onmessage = ({ data }) => this.#fromWorker(data);
        worker.onerror = () => this.emit('error', new RoostError('e2ee-failed'));
        this.#useKey();
    }

    /** This browser can encrypt frames. */
    static get supported() {
        return (
            typeof globalThis.crypto?.subtle === 'object' &&
            ('RTCRtpScriptTransform' in globalThis || usesStreams())
        );
    }

    /** @returns {Uint8Array} a key for a new room */
    static createKey() {
        return crypto.getRandomValues(new Uint8Array(16));
    }

    /**
     * Used by client.join().
     *
     * @param {string} room
     * @param {E2eeOptions} options
     * @returns {Promise<E2ee>}
     */
    static async prepare(room, { key }) {
        if (!E2ee.supported) throw new RoostError('e2ee-unsupported');
        if (key.length === 0) throw new RoostError('e2ee-no-key');
        return new E2ee(room, await RoomSecret.derive(key, room), makeWorker());
    }

    /** Words that are the same for all who have the same key: to be read to each other. */
    get words() {
        return this.#secret.words;
    }

    /**
     * @param {Member} member another one
     * @returns {MemberSecurity}
     */
    security(member) {
        return this.#states.get(member.id) ?? 'waiting';
    }

    /** Everybody here has the key. */
    get secure() {
        return [...this.#others()].every((member) => this.security(member) === 'secure');
    }

    /** What we send with now: generation and step grow. */
    get keyId() {
        return { ...this.#id };
    }

    /**
     * Takes another secret in place of the room's. Others are heard again once they have it, too.
     *
     * @param {string | Uint8Array} key
     */
    async setKey(key) {
        if (key.length === 0) throw new RoostError('e2ee-no-key');
        this.#secret = await RoomSecret.derive(key, this.#room);
        await this.#inTurn(async () => {
            this.#renew();
            await this.#begin();
        });
    }

    /** Sends with a new key soon: done by itself when somebody leaves. */
    rotate() {
        return this.#inTurn(() => this.#rotate());
    }

    /** ---- used by the room ---- */

    /** @param {Owner} owner */
    start(owner) {
        this.#owner = owner;
        void this.#inTurn(() => this.#begin());
    }

    /** @param {Member} member */
    memberJoined(member) {
        this.#watch(member);
    }

    /** @param {Member} member */
    memberLeft(member) {
        this.#states.delete(member.id);
        this.#owed.delete(member.id);
        const had = this.#exchange?.knows(member.id);
        this.#exchange?.forget(member.id);
        this.#post({ type: 'forget', member: member.id });
        if (had) this.#later('rotate', LEAVE_MS, () => void this.rotate());
    }

    /**
     * @param {string} from
     * @param {string} data
     */
    receive(from, data) {
        void this.#inTurn(() => this.#hear(from, data));
    }

    /** ---- used by the media connection ---- */

    /** @returns {object} what a PeerConnection needs for this */
    get configuration() {
        return usesStreams() ? { encodedInsertableStreams: true } : {};
    }

    /** @param {RTCRtpTransceiver} transceiver in which we send */
    protect({ sender }) {
        this.#attach(sender, { side: 'send', tag: 0 });
    }

    /** @param {RTCRtpTransceiver} transceiver in which we receive */
    unprotect({ receiver }) {
        const tag = ++this.#tags;
        this.#receivers.set(receiver.track.id, { tag, member: null });
        this.#attach(receiver, { side: 'receive', tag });
    }

    /**
     * A slot's content changed.
     *
     * @param {MediaStreamTrack} mediaTrack
     * @param {string | null} member whose track it is
     */
    filled(mediaTrack, member) {
        const receiver = this.#receivers.get(mediaTrack.id);
        if (!receiver) return;
        receiver.member = member;
        this.#post({ type: 'expect', tag: receiver.tag, member });
    }

    /** @param {string} sdp of an answer: its payload types */
    learnCodecs(sdp) {
        /** @type {[number, string][]} */
        const codecs = [];
        let kind = '';
        for (const line of sdp.split('\r\n')) {
            kind = /^m=(\w+)/.exec(line)?.[1] ?? kind;
            const match = /^a=rtpmap:(\d+) ([^/]+)/.exec(line);
            if (match) codecs.push([Number(match[1]), `${kind}/${match[2]}`]);
        }
        this.#post({ type: 'codecs', codecs });
    }

    /**
     * Encrypts a data message. For room.data, as `open`.
     *
     * @param {Uint8Array} bytes
     * @returns {Promise<Uint8Array>}
     */
    async seal(bytes) {
        const sealed = await this.#askWorker((number) => ({ type: 'seal', number, bytes }));
        if (!sealed) throw new RoostError('e2ee-failed');
        return sealed;
    }

    /**
     * @param {Uint8Array} bytes
     * @param {string} member who is said to have sent them
     * @returns {Promise<Uint8Array | null>} null: it did not, or this came before, or there is no key
     */
    open(bytes, member) {
        return this.#askWorker((number) => ({ type: 'open', number, bytes, member }));
    }

    /** The PeerConnection is gone, and its receivers with it. */
    connectionGone() {
        this.#receivers.clear();
    }

    close() {
        if (this.#closed) return;
        this.#closed = true;
        for (const timer of this.#timers) clearTimeout(timer);
        this.#worker.terminate();
        for (const answer of this.#questions.values()) answer(null);
        this.#questions.clear();
        this.#chain.fill(0);
    }

    /** ---- inside ---- */

    /** Says hello to all; after a new join, too. */
    async #begin() {
        const owner = this.#owner;
        if (!owner || this.#closed) return;
        this.#exchange = await KeyExchange.make(this.#secret, owner.self().id);
        for (const id of this.#states.keys()) this.#post({ type: 'forget', member: id });
        this.#states.clear();
        for (const member of this.#others()) this.#watch(member);
        await owner.send({ data: await this.#exchange.hello(true) });
    }

    /** @param {Member} member */
    #watch(member) {
        this.#setState(member, this.#states.get(member.id) ?? 'waiting');
        this.#timer(SILENT_AFTER_MS, () => {
            if (this.security(member) === 'waiting') this.#setState(member, 'no-key');
        });
    }

    /**
     * @param {string} from
     * @param {string} data
     */
    async #hear(from, data) {
        const member = this.#owner?.members().get(from);
        const exchange = this.#exchange;
        // who is not in the list that the user sees gets nothing
        if (!member || member.self || !exchange) return;
        const knew = exchange.knows(from);
        const heard = await exchange.hear(from, data);
        if (!heard) return;
        if ('wrong' in heard) {
            if (knew) return;
            this.#setState(member, 'wrong-key');
            // so that it learns the same of us
            if (heard.reply) await this.#owner?.send({ messages: [{ to: from, data: await exchange.hello(false) }] });
        } else if ('key' in heard) {
            this.#post({ type: 'receive-key', member: from, ...heard.key });
            this.#setState(member, 'secure');
        } else {
            if (heard.hello.reply) {
                await this.#owner?.send({ messages: [{ to: from, data: await exchange.hello(false) }] });
                if (!knew) this.#ratchetDue = true; // it shall not read what was sent before
            }
            if (heard.hello.reply || !knew) {
                this.#owed.add(from);
                this.#later('give', GATHER_MS, () => void this.#inTurn(() => this.#give()));
            }
        }
    }

    /** Gives our key to those who need it. */
    async #give() {
        if (this.#ratchetDue) {
            this.#ratchetDue = false;
            if (this.#id.step === 255) this.#renew();
            else {
                this.#chain = await ratchet(this.#chain);
                this.#id = { ...this.#id, step: this.#id.step + 1 };
                this.#useKey();
            }
        }
        const owed = [...this.#owed];
        this.#owed.clear();
        await this.#tellKey(owed, this.#id, this.#chain);
        if (this.#next) await this.#tellKey(owed, this.#next.id, this.#next.chain);
    }

    async #rotate() {
        const exchange = this.#exchange;
        if (!exchange || this.#closed) return;
        const generation = ((this.#next?.id ?? this.#id).generation + 1) & 0xffff;
        const next = {
            id: { sender: this.#id.sender, generation, step: 0 },
            chain: crypto.getRandomValues(new Uint8Array(32)),
        };
        this.#next = next;
        await this.#tellKey(exchange.peers, next.id, next.chain);
        this.#timer(SWITCH_AFTER_MS, () => {
            if (this.#next !== next) return; // a newer one comes
            this.#next = null;
            this.#id = next.id;
            this.#chain = next.chain;
            this.#useKey();
        });
    }

    /** A new key at once: nobody has the former one's successor. */
    #renew() {
        this.#next = null;
        this.#id = { ...this.#id, generation: (this.#id.generation + 1) & 0xffff, step: 0 };
        this.#chain = crypto.getRandomValues(new Uint8Array(32));
        this.#useKey();
        for (const member of this.#exchange?.peers ?? []) this.#owed.add(member);
    }

    #useKey() {
        this.#post({ type: 'send-key', id: this.#id, secret: this.#chain });
        this.emit('rotated', this.keyId);
    }

    /**
     * @param {string[]} members
     * @param {KeyId} id
     * @param {Uint8Array} secret
     */
    async #tellKey(members, id, secret) {
        const exchange = this.#exchange;
        if (!exchange) return;
        const messages = [];
        for (const to of members) {
            if (exchange.knows(to)) messages.push({ to, data: await exchange.key(to, id, secret) });
        }
        for (let at = 0; at < messages.length; at += MESSAGES_MAX) {
            await this.#owner?.send({ messages: messages.slice(at, at + MESSAGES_MAX) });
        }
    }

    /** @param {FromWorker} message */
    #fromWorker(message) {
        if (message.type === 'data') {
            this.#questions.get(message.number)?.(message.bytes);
            this.#questions.delete(message.number);
            return;
        }
        if (message.type === 'codec') {
            this.emit('error', new RoostError('e2ee-codec', { sentence: `Frames of ${message.codec || 'this codec'} cannot be encrypted.` }));
            return;
        }
        const receiver = [...this.#receivers.values()].find(({ tag }) => tag === message.tag);
        const member = receiver?.member && this.#owner?.members().get(receiver.member);
        if (!member) return;
        if (message.type === 'key-wanted') this.#askFor(member);
        else if (message.state === 'ok') this.#setState(member, 'secure');
        else if (this.#exchange?.knows(member.id)) this.#setState(member, 'failed');
        else if (this.security(member) !== 'wrong-key') this.#setState(member, 'no-key');
    }

    /** @param {Member} member whose key we lack */
    #askFor(member) {
        if (performance.now() - this.#askedAt < ASK_EVERY_MS) return;
        this.#askedAt = performance.now();
        void this.#inTurn(async () => {
            const data = await this.#exchange?.hello(true);
            if (data) await this.#owner?.send({ messages: [{ to: member.id, data }] });
        });
    }

    /**
     * @param {Member} member
     * @param {MemberSecurity} security
     */
    #setState(member, security) {
        if (this.#states.get(member.id) === security) return;
        this.#states.set(member.id, security);
        this.emit('member', { member, security });
    }

    *#others() {
        for (const member of this.#owner?.members().values() ?? []) if (!member.self) yield member;
    }

    /**
     * @param {any} target sender or receiver
     * @param {{side: 'send' | 'receive', tag: number}} transform
     */
    #attach(target, transform) {
        if (this.#attached.has(target)) return;
        this.#attached.add(target);
        if (usesStreams()) {
            const { readable, writable } = target.createEncodedStreams();
            this.#worker.postMessage({ type: 'streams', transform, readable, writable }, [readable, writable]);
        } else {
            const { RTCRtpScriptTransform } = /** @type {any} */ (globalThis);
            target.transform = new RTCRtpScriptTransform(this.#worker, transform);
        }
    }

    /**
     * @param {(number: number) => ToWorker} question
     * @returns {Promise<Uint8Array | null>}
     */
    #askWorker(question) {
        if (this.#closed) return Promise.resolve(null);
        const number = ++this.#lastQuestion;
        return new Promise((resolve) => {
            this.#questions.set(number, resolve);
            this.#post(question(number));
        });
    }

    /** @param {ToWorker} message */
    #post(message) {
        if (!this.#closed) this.#worker.postMessage(message);
    }

    /**
     * One after the other; failures are told, but those of a connection that is being mended: hello
     * comes again after it.
     *
     * @param {() => Promise<void>} work
     */
    #inTurn(work) {
        this.#work = this.#work.then(work).catch((cause) => {
            if (this.#closed || (cause instanceof RoostError && cause.code !== 'unknown')) return;
            this.emit('error', new RoostError('e2ee-failed', { cause }));
        });
        return this.#work;
    }

    /**
     * @param {string} what
     * @param {number} delayMs
     * @param {() => void} work
     */
    #later(what, delayMs, work) {
        if (this.#due.has(what)) return;
        this.#due.set(
            what,
            this.#timer(delayMs, () => {
                this.#due.delete(what);
                work();
            }),
        );
    }

    /**
     * @param {number} delayMs
     * @param {() => void} work
     */
    #timer(delayMs, work) {
        const timer = setTimeout(() => {
            this.#timers.delete(timer);
            if (!this.#closed) work();
        }, delayMs);
        this.#timers.add(timer);
        return timer;
    }
}

/**
 * A room's key as text for the part of an address that browsers keep to themselves.
 *
 * @param {Uint8Array} key
 */
export function keyToText(key) {
    return encode(key);
}

/**
 * @param {string} text
 * @returns {string | Uint8Array} what was made by createKey(), or a passphrase
 */
export function keyFromText(text) {
    if (/^[\w-]{22}$/.test(text)) return decode(text);
    return text;
}

/** Older Chromium only. */
function usesStreams() {
    return (
        !('RTCRtpScriptTransform' in globalThis) &&
        'createEncodedStreams' in (globalThis.RTCRtpSender?.prototype ?? {})
    );
}

/** @returns {Worker} also where the SDK comes from another origin */
function makeWorker() {
    const url = new URL('./e2ee_worker.js', import.meta.url);
    if (url.origin === globalThis.location?.origin) return new Worker(url, { type: 'module' });
    const text = `import ${JSON.stringify(url.href)};`;
    const blob = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
    return new Worker(blob, { type: 'module' });
}
