/**
 * Joins messages that came in pieces. What others can make us hold is bounded: in bytes per message,
 * and in messages per sender that are not whole yet.
 */

const MESSAGES_MAX = 8;
/** Each piece costs some hundred bytes beside its own. */
const PIECE_MIN = 1024;

/**
 * @typedef {object} Assembly
 * @property {number} total
 * @property {number} got
 * @property {Map<number, Uint8Array>} parts that came, by offset: a promise alone costs nothing
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
        const end = offset + content.length;
        if (content.length === 0 || total > this.#sizeMax || end > total) return null;
        if (content.length < PIECE_MIN && end < total) return null;
        const messages = this.#senders.get(sender) ?? new Map();
        this.#senders.set(sender, messages);
        const assembly = messages.get(message) ?? this.#begin(messages, message, total);
        if (assembly.total !== total || assembly.parts.has(offset)) return null;
        assembly.parts.set(offset, content);
        assembly.got += content.length;
        if (assembly.got < total) return null;
        messages.delete(message);
        const whole = new Uint8Array(total);
        for (const [at, part] of assembly.parts) whole.set(part, at);
        return whole;
    }

    /**
     * @param {string} sender
     * @param {number} message
     * @returns {number} bytes that are here of a message that is not whole yet
     */
    got(sender, message) {
        return this.#senders.get(sender)?.get(message)?.got ?? 0;
    }

    /** @param {string} sender who has left */
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
        const assembly = { total, got: 0, parts: new Map() };
        messages.set(message, assembly);
        return assembly;
    }
}
