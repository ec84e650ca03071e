/**
 * The frame keys of a room, in the worker: one sending key with its counter, and what others send with,
 * ratcheted forward as their frames ask. A frame's key id says whose it is, so a slot's content may
 * change before anybody told us.
 */

import { deriveFrameKey, hkdf, kidBytes } from './sframe.js';

const RATCHET = 'roost e2ee 1 ratchet';
const DATA = 'roost e2ee 1 data';
/** Former keys of a sender end so long after the first message of a new one; data may be late. */
const RETIRE_AFTER_MS = { frames: 10_000, data: 60_000 };
const STEPS_MAX = 255;
/** Counters this far behind the newest are too old to tell whether they were seen. */
const WINDOW = 2048;

/**
 * @typedef {import('./sframe.js').KeyId} KeyId
 * @typedef {import('./sframe.js').FrameKey} FrameKey
 *
 * @typedef {'frames' | 'data'} Use each has keys and counters of its own
 *
 * @typedef {object} Chain a sender's secret at one step
 * @property {string} member
 * @property {KeyId} id
 * @property {Uint8Array} secret
 * @property {Map<number, Promise<FrameKey>>} keys by step
 * @property {number} [retireAt]
 */

/**
 * @param {Uint8Array} secret
 * @returns {Promise<Uint8Array>} from which the former one cannot be found
 */
export function ratchet(secret) {
    return hkdf(secret, RATCHET, 256);
}

export class SendKey {
    #counter = 0;
    /** @type {Promise<FrameKey>} */
    #key;

    /**
     * @param {KeyId} id
     * @param {Uint8Array} secret
     * @param {Use} [use]
     */
    constructor(id, secret, use = 'frames') {
        /** @readonly */
        this.id = id;
        this.#key = deriveFor(use, secret, id);
    }

    /** @returns {Promise<{key: FrameKey, counter: number}>} */
    async next() {
        const counter = this.#counter++;
        return { key: await this.#key, counter };
    }
}

export class ReceiveKeys {
    /** @type {Map<string, Chain>} by sender and generation */
    #chains = new Map();
    /** @type {Map<number, string>} sender -> the member that it belongs to */
    #owners = new Map();
    #now;
    #use;

    /**
     * @param {() => number} [now]
     * @param {Use} [use]
     */
    constructor(now = () => performance.now(), use = 'frames') {
        this.#now = now;
        this.#use = use;
    }

    /**
     * @param {string} member
     * @param {KeyId} id
     * @param {Uint8Array} secret
     * @returns {boolean} false: the sender id is another member's
     */
    add(member, id, secret) {
        const owner = this.#owners.get(id.sender);
        if (owner !== undefined && owner !== member) return false;
        this.#owners.set(id.sender, member);
        const name = chainName(id);
        const known = this.#chains.get(name);
        if (known && known.id.step <= id.step) return true; // ours reaches as far
        this.#chains.set(name, { member, id, secret, keys: new Map() });
        return true;
    }

    /** @param {string} member whose keys are forgotten */
    forget(member) {
        for (const [name, chain] of this.#chains) if (chain.member === member) this.#chains.delete(name);
        for (const [sender, owner] of this.#owners) if (owner === member) this.#owners.delete(sender);
    }

    /** @param {number} sender */
    owner(sender) {
        return this.#owners.get(sender) ?? null;
    }

    /**
     * @param {KeyId} id
     * @returns {Promise<FrameKey | null>}
     */
    async find(id) {
        const chain = this.#chains.get(chainName(id));
        if (!chain || id.step < chain.id.step || (chain.retireAt ?? Infinity) < this.#now()) return null;
        let key = chain.keys.get(id.step);
        if (!key) {
            key = deriveAt(this.#use, chain, id);
            chain.keys.set(id.step, key);
        }
        return key;
    }

    /**
     * A frame of this key was authentic: former keys of the sender end soon.
     *
     * @param {KeyId} id
     */
    used(id) {
        for (const chain of this.#chains.values()) {
            if (chain.id.sender !== id.sender) continue;
            const former = ((id.generation - chain.id.generation) & 0xffff) < 0x8000;
            if (chain.id.generation !== id.generation && former) chain.retireAt ??= this.#now() + RETIRE_AFTER_MS[this.#use];
        }
        for (const [name, chain] of this.#chains) {
            if ((chain.retireAt ?? Infinity) < this.#now()) this.#chains.delete(name);
        }
    }
}

/**
 * @param {Use} use
 * @param {Uint8Array} secret
 * @param {KeyId} id
 */
async function deriveFor(use, secret, id) {
    return deriveFrameKey(use === 'data' ? await hkdf(secret, DATA, 256) : secret, kidBytes(id));
}

/**
 * @param {Use} use
 * @param {Chain} chain
 * @param {KeyId} id
 */
async function deriveAt(use, chain, id) {
    let { secret } = chain;
    for (let step = chain.id.step; step < Math.min(id.step, STEPS_MAX); step++) secret = await ratchet(secret);
    return deriveFor(use, secret, id);
}

/** @param {KeyId} id */
function chainName({ sender, generation }) {
    return `${sender}/${generation}`;
}

/** Counters that one receiver has seen of each key: a frame comes once. */
export class ReplayWindow {
    /** @type {Map<string, {newest: number, seen: Set<number>}>} */
    #keys = new Map();

    /**
     * @param {KeyId & {counter: number}} header of an authentic frame
     * @returns {boolean} it is new
     */
    take(header) {
        const name = `${chainName(header)}/${header.step}`;
        let window = this.#keys.get(name);
        if (!window) {
            if (this.#keys.size >= 8) this.#keys.delete(/** @type {string} */ (this.#keys.keys().next().value));
            this.#keys.set(name, (window = { newest: -1, seen: new Set() }));
        }
        const { counter } = header;
        if (counter <= window.newest - WINDOW || window.seen.has(counter)) return false;
        window.seen.add(counter);
        window.newest = Math.max(window.newest, counter);
        if (window.seen.size > 2 * WINDOW) {
            for (const old of window.seen) if (old <= window.newest - WINDOW) window.seen.delete(old);
        }
        return true;
    }

    clear() {
        this.#keys.clear();
    }
}
