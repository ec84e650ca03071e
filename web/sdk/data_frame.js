/**
 * The frame of messages on data channels with the protocol `roost.data.v1`, as docs/data-channels.md
 * describes it: whom a message is for or who sent it, its topic, what it is, and which piece of it.
 */

export const PROTOCOL = 'roost.data.v1';

const VERSION = 1;
const DIRECTED = 0x80;
const PIECE = 0x40;
const SEALED = 0x20;
const IDS_MAX = 64;

/** What the bytes are. */
export const Kind = /** @type {const} */ ({ binary: 0, text: 1, json: 2 });

/**
 * @typedef {object} Piece of a message that is sent in several frames
 * @property {number} message counts the sender's messages in pieces
 * @property {number} total bytes of the whole message
 * @property {number} offset of this piece in it
 *
 * @typedef {object} Body what is encrypted in rooms with end-to-end encryption
 * @property {number} kind one of Kind
 * @property {string} topic
 * @property {Piece | null} piece
 * @property {Uint8Array} content
 *
 * @typedef {object} Envelope what the server reads
 * @property {string[]} ids to the server: whom it is for (none: everybody); from it: the sender (none: the server)
 * @property {boolean} directed it was not for everybody
 * @property {boolean} sealed
 * @property {Uint8Array} body
 */

/**
 * @param {Body} body
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeBody({ kind, topic, piece, content }) {
    const topicBytes = new TextEncoder().encode(topic);
    if (topicBytes.length > 255) throw new RangeError('A topic has at most 255 bytes.');
    let at = 2 + topicBytes.length;
    const bytes = new Uint8Array(at + (piece ? 12 : 0) + content.length);
    bytes.set([kind | (piece ? PIECE : 0), topicBytes.length]);
    bytes.set(topicBytes, 2);
    if (piece) {
        const view = new DataView(bytes.buffer);
        view.setUint32(at, piece.message);
        view.setUint32(at + 4, piece.total);
        view.setUint32(at + 8, piece.offset);
        at += 12;
    }
    bytes.set(content, at);
    return bytes;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Body | null} null: not one that we know
 */
export function decodeBody(bytes) {
    const end = 2 + bytes[1];
    const hasPiece = (bytes[0] & PIECE) !== 0;
    const at = end + (hasPiece ? 12 : 0);
    if (bytes.length < 2 || at > bytes.length) return null;
    /** @type {Piece | null} */
    let piece = null;
    if (hasPiece) {
        const view = new DataView(bytes.buffer, bytes.byteOffset + end);
        piece = { message: view.getUint32(0), total: view.getUint32(4), offset: view.getUint32(8) };
    }
    const topic = new TextDecoder().decode(bytes.subarray(2, end));
    return { kind: bytes[0] & ~(DIRECTED | PIECE), topic, piece, content: bytes.subarray(at) };
}

/**
 * Of a body that is sealed the kind is hidden, too; of others it stands where the server sees it.
 *
 * @param {string[]} ids
 * @param {Uint8Array} body
 * @param {boolean} sealed
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeEnvelope(ids, body, sealed) {
    if (ids.length > IDS_MAX) throw new RangeError(`A message is for at most ${IDS_MAX} members.`);
    const names = ids.map((id) => new TextEncoder().encode(id));
    const rest = sealed ? body : body.subarray(1);
    let at = 3;
    const bytes = new Uint8Array(at + names.reduce((sum, name) => sum + 1 + name.length, 0) + rest.length);
    bytes.set([VERSION, sealed ? SEALED : body[0], names.length]);
    for (const name of names) {
        bytes[at] = name.length;
        bytes.set(name, at + 1);
        at += 1 + name.length;
    }
    bytes.set(rest, at);
    return bytes;
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {Envelope | null} null: not one that we know
 */
export function decodeEnvelope(buffer) {
    const bytes = new Uint8Array(buffer);
    if (bytes.length < 4 || bytes[0] !== VERSION) return null;
    const ids = [];
    let at = 3;
    for (let count = bytes[2]; count > 0 && at < bytes.length; count--) {
        ids.push(new TextDecoder().decode(bytes.subarray(at + 1, at + 1 + bytes[at])));
        at += 1 + bytes[at];
    }
    if (at >= bytes.length) return null;
    const sealed = (bytes[1] & SEALED) !== 0;
    const directed = (bytes[1] & DIRECTED) !== 0;
    if (sealed) return { ids, directed, sealed, body: bytes.subarray(at) };
    // the kind before the rest, as in what is sealed
    const body = bytes.slice(at - 1);
    body[0] = bytes[1];
    return { ids, directed, sealed, body };
}

/**
 * What an application gives and gets: text, bytes, or anything that JSON can say.
 *
 * @param {unknown} message
 * @returns {{kind: number, blob: Blob | null, bytes: Uint8Array | null, size: number}}
 */
export function toContent(message) {
    if (message instanceof Blob) {
        return { kind: Kind.binary, blob: message, bytes: null, size: message.size };
    }
    if (message instanceof ArrayBuffer) return withBytes(Kind.binary, new Uint8Array(message));
    if (ArrayBuffer.isView(message)) {
        const { buffer, byteOffset, byteLength } = message;
        return withBytes(Kind.binary, new Uint8Array(buffer, byteOffset, byteLength));
    }
    const json = typeof message === 'string' ? undefined : JSON.stringify(message);
    if (typeof message !== 'string' && json === undefined) {
        throw new TypeError('A message is text, bytes, a Blob, or what JSON can say.');
    }
    const text = json ?? /** @type {string} */ (message);
    return withBytes(json === undefined ? Kind.text : Kind.json, new TextEncoder().encode(text));
}

/**
 * @param {number} kind
 * @param {Uint8Array} bytes
 */
function withBytes(kind, bytes) {
    return { kind, blob: null, bytes, size: bytes.length };
}

/**
 * @param {number} kind
 * @param {Uint8Array} content
 * @returns {unknown} text, a JSON value or an ArrayBuffer; undefined when it is not what it says it is
 */
export function fromContent(kind, content) {
    if (kind === Kind.binary) return content.slice().buffer;
    try {
        const text = new TextDecoder('utf-8', { fatal: true }).decode(content);
        if (kind === Kind.text) return text;
        return kind === Kind.json ? JSON.parse(text) : undefined;
    } catch {
        return undefined;
    }
}
