/**
 * Joins messages that came in pieces. What others can make us hold is bounded: in bytes per message,
 * and in messages per sender that are not whole yet.
 */

const MESSAGES_MAX = 8;

/**
 * @typedef {object} Assembly
 * @property {Uint8Array<ArrayBuffer>} bytes grows as pieces come, so that a promise alone costs nothing
 * @property {number} total
 * @property {number} got
 * @property {Set<number>} offsets of what came, so that nothing counts twice
 */

export class Pieces {
    #sizeMax;
    /** @type {Map<string, Map<number, Assembly>>} by sender, by number; oldest first */
    #senders = new Map();

    /** @param {number} sizeMax bytes of a message; longer ones are dropped */
    constructor(sizeMax) {
        this.#sizeMax = sizeMax;
    }

    /**
     * @param {string} sender
     * @param {import('./data_frame.js').Piece} piece
     * @param {Uint8Array} content
     * @returns {Uint8Array | null} the whole message, once this was the last piece of it
     */
    add(sender, { message, total, offset }, content) {
        if (total > this.#sizeMax || offset + content.length > total) return null;
        const messages = this.#senders.get(sender) ?? new Map();
        this.#senders.set(sender, messages);
        const assembly = messages.get(message) ?? this.#begin(messages, message, total);
        if (assembly.total !== total || assembly.offsets.has(offset)) return null;
        assembly.bytes = withRoom(assembly.bytes, offset + content.length, total);
        assembly.bytes.set(content, offset);
        assembly.offsets.add(offset);
        assembly.got += content.length;
        if (assembly.got < total) return null;
        messages.delete(message);
        return assembly.bytes.subarray(0, total);
    }

    /**
     * @param {string} sender
     * @param {number} message
     * @returns {number} bytes that are here of a message that is not whole yet
     */
    got(sender, message) {
        return this.#senders.get(sender)?.get(message)?.got ?? 0;
    }

    /** @param {string} sender who has left, or whose channel began anew */
    forget(sender) {
        this.#senders.delete(sender);
    }

    clear() {
        this.#senders.clear();
    }

    /**
     * @param {Map<number, Assembly>} messages
     * @param {number} message
     * @param {number} total
     * @returns {Assembly}
     */
    #begin(messages, message, total) {
        const [oldest] = messages.keys();
        if (messages.size === MESSAGES_MAX && oldest !== undefined) messages.delete(oldest);
        const assembly = { bytes: new Uint8Array(0), total, got: 0, offsets: new Set() };
        messages.set(message, assembly);
        return assembly;
    }
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {number} size that is needed
 * @param {number} most that will ever be
 * @returns {Uint8Array<ArrayBuffer>}
 */
function withRoom(bytes, size, most) {
    if (size <= bytes.length) return bytes;
    const grown = new Uint8Array(Math.min(most, Math.max(size, 2 * bytes.length)));
    grown.set(bytes);
    return grown;
}
