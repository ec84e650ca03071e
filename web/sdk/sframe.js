/**
 * SFrame (RFC 9605) for encoded frames, with the suite AES_128_GCM_SHA256_128, in a shape that browsers
 * and media servers still packetize: a few bytes that they look at stay clear, and one byte behind the
 * SFrame object says how to take it apart.
 *
 *     | clear bytes | SFrame header | ciphertext | tag | form and number of clear bytes |
 *
 * H.264 keeps its parameter sets and the beginning of its first slice, and escapes the rest as the
 * inside of a NAL unit. AV1 puts the whole into one OBU. Nothing here knows threads or pages.
 */

const SUITE = 4; // RFC 9605, 4.5: AES_128_GCM_SHA256_128
const KEY_BITS = 128;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KID_BYTES = 7;

/** How an object sits in its frame: the upper three bits of the last byte. */
const FORM_PLAIN = 0;
const FORM_H264 = 1;
const FORM_AV1 = 2;

const OBU_SEQUENCE_HEADER = 1;
const OBU_FRAME = 6;

/** The NAL unit's header, and as much of the slice header as depacketizers read. */
const H264_CLEAR = 6;

const NOTHING = new Uint8Array();

const encoder = new TextEncoder();

/**
 * @typedef {object} FrameKey
 * @property {CryptoKey} key
 * @property {Uint8Array} salt
 *
 * @typedef {object} KeyId names one key of one sender
 * @property {number} sender 32 bits, the highest one set
 * @property {number} generation 16 bits; a new secret
 * @property {number} step 8 bits; how often that secret was ratcheted
 *
 * @typedef {KeyId & {counter: number, size: number}} Header
 *
 * @typedef {'no-key' | 'not-authentic' | 'not-encrypted' | 'codec'} FrameProblem
 */

export class FrameError extends Error {
    /** @param {FrameProblem} problem */
    constructor(problem) {
        super(problem);
        this.problem = problem;
    }
}

/**
 * HKDF with SHA-256 and no salt, as RFC 9605 extracts and expands.
 *
 * @param {Uint8Array} secret
 * @param {Uint8Array | string} info
 * @param {number} bits
 * @param {Uint8Array} [salt]
 * @returns {Promise<Uint8Array>}
 */
export async function hkdf(secret, info, bits, salt = new Uint8Array()) {
    const key = await crypto.subtle.importKey('raw', view(secret), 'HKDF', false, ['deriveBits']);
    const bytes = typeof info === 'string' ? encoder.encode(info) : info;
    const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: view(salt), info: view(bytes) };
    return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, bits));
}

/**
 * RFC 9605, 4.4.2.
 *
 * @param {Uint8Array} baseKey
 * @param {Uint8Array} kid 8 bytes, big-endian
 * @returns {Promise<FrameKey>}
 */
export async function deriveFrameKey(baseKey, kid) {
    const suite = Uint8Array.of(0, SUITE);
    const info = (/** @type {string} */ label) => concat(encoder.encode(`SFrame 1.0 Secret ${label} `), kid, suite);
    const raw = await hkdf(baseKey, info('key'), KEY_BITS);
    const key = await crypto.subtle.importKey('raw', view(raw), 'AES-GCM', false, ['encrypt', 'decrypt']);
    return { key, salt: await hkdf(baseKey, info('salt'), NONCE_BYTES * 8) };
}

/**
 * @param {KeyId} id
 * @returns {Uint8Array} the KID in 8 bytes
 */
export function kidBytes({ sender, generation, step }) {
    const bytes = new Uint8Array(8);
    const data = new DataView(bytes.buffer);
    data.setUint32(1, sender);
    data.setUint16(5, generation);
    data.setUint8(7, step);
    return bytes;
}

/**
 * RFC 9605, 4.3: |X| K |Y| C | KID | CTR. Our KID always takes 7 bytes.
 *
 * @param {KeyId} id
 * @param {number} counter
 * @returns {Uint8Array}
 */
export function writeHeader(id, counter) {
    const kid = kidBytes(id).subarray(8 - KID_BYTES);
    const config = 0x80 | ((KID_BYTES - 1) << 4);
    if (counter < 8) return concat(Uint8Array.of(config | counter), kid);
    const bytes = [];
    for (let rest = counter; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
    return concat(Uint8Array.of(config | 0x08 | (bytes.length - 1)), kid, Uint8Array.from(bytes));
}

/**
 * @param {Uint8Array} bytes
 * @returns {Header | null} null: no header of ours
 */
export function readHeader(bytes) {
    const config = bytes[0];
    if (bytes.length < 1 + KID_BYTES || config >> 4 !== (0x80 >> 4 | (KID_BYTES - 1))) return null;
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const id = { sender: data.getUint32(1), generation: data.getUint16(5), step: data.getUint8(7) };
    let size = 1 + KID_BYTES;
    if (!(config & 0x08)) return { ...id, counter: config & 0x07, size };
    const length = (config & 0x07) + 1;
    if (length > 6 || bytes.length < size + length) return null;
    let counter = 0;
    for (const end = size + length; size < end; size++) counter = counter * 256 + bytes[size];
    return { ...id, counter, size };
}

/**
 * Encrypts a frame.
 *
 * @param {Uint8Array} frame
 * @param {string} codec as in `video/VP8`
 * @param {KeyId} id
 * @param {FrameKey} key
 * @param {number} counter never twice with one key
 * @returns {Promise<Uint8Array>}
 * @throws {FrameError} a codec whose frames we cannot take apart
 */
export async function protectFrame(frame, codec, id, key, counter) {
    const { form, at, clear } = layout(frame, codec.toLowerCase());
    const shown = frame.subarray(at, at + clear);
    const header = writeHeader(id, counter);
    const sealed = await crypto.subtle.encrypt(
        gcm(key, counter, header, shown),
        key.key,
        view(frame.subarray(at + clear)),
    );
    const object = concat(header, new Uint8Array(sealed), Uint8Array.of((form << 5) | (clear + 1)));
    if (form === FORM_AV1) return wrapObu(frame, object);
    if (form === FORM_H264) return concat(frame.subarray(0, at + clear), escapeNal(object));
    return concat(shown, object);
}

/**
 * Decrypts a frame.
 *
 * @param {Uint8Array} frame
 * @param {(header: Header) => Promise<FrameKey | null>} findKey
 * @returns {Promise<{data: Uint8Array, header: Header}>}
 * @throws {FrameError}
 */
export async function unprotectFrame(frame, findKey) {
    const { before, object } = takeApart(frame);
    const header = readHeader(object);
    const body = header && object.subarray(header.size, object.length - 1);
    if (!header || !body || body.length < TAG_BYTES) throw new FrameError('not-encrypted');
    const key = await findKey(header);
    if (!key) throw new FrameError('no-key');
    const clear = (object[object.length - 1] & 0x1f) - 1;
    const shown = before.subarray(before.length - clear);
    const algorithm = gcm(key, header.counter, object.subarray(0, header.size), shown);
    try {
        const opened = await crypto.subtle.decrypt(algorithm, key.key, view(body));
        return { data: concat(before, new Uint8Array(opened)), header };
    } catch {
        throw new FrameError('not-authentic');
    }
}

/**
 * Encrypts a data message: an SFrame object as it is.
 *
 * @param {Uint8Array} message
 * @param {KeyId} id
 * @param {FrameKey} key of data: derived for them alone
 * @param {number} counter never twice with one key
 * @returns {Promise<Uint8Array>}
 */
export async function protectData(message, id, key, counter) {
    const header = writeHeader(id, counter);
    const sealed = await crypto.subtle.encrypt(gcm(key, counter, header, NOTHING), key.key, view(message));
    return concat(header, new Uint8Array(sealed));
}

/**
 * Decrypts a data message.
 *
 * @param {Uint8Array} object
 * @param {(header: Header) => Promise<FrameKey | null>} findKey
 * @returns {Promise<{data: Uint8Array, header: Header} | null>} null: no key, or not authentic
 */
export async function unprotectData(object, findKey) {
    const header = readHeader(object);
    const key = header && object.length >= header.size + TAG_BYTES && (await findKey(header));
    if (!header || !key) return null;
    const algorithm = gcm(key, header.counter, object.subarray(0, header.size), NOTHING);
    try {
        const opened = await crypto.subtle.decrypt(algorithm, key.key, view(object.subarray(header.size)));
        return { data: new Uint8Array(opened), header };
    } catch {
        return null;
    }
}

/**
 * What of a frame stays readable: `clear` bytes from `at`; before them lies what packetizers may change.
 *
 * @param {Uint8Array} frame
 * @param {string} codec
 */
function layout(frame, codec) {
    switch (codec) {
        case 'video/vp8':
            // RFC 6386, 9.1: whether it is a key frame, and a key frame's size
            return { form: FORM_PLAIN, at: 0, clear: Math.min(frame.length, frame[0] & 1 ? 1 : 10) };
        case 'video/h264': {
            const at = firstSlice(frame);
            if (at < 0) throw new FrameError('codec');
            return { form: FORM_H264, at, clear: Math.min(H264_CLEAR, frame.length - at) };
        }
        case 'video/av1':
            return { form: FORM_AV1, at: 0, clear: 0 };
        case 'video/vp9': // all that anybody needs is in the payload descriptor
            return { form: FORM_PLAIN, at: 0, clear: 0 };
        default:
            if (!codec.startsWith('audio/')) throw new FrameError('codec');
            return { form: FORM_PLAIN, at: 0, clear: 0 };
    }
}

/**
 * @param {Uint8Array} frame
 * @returns {{before: Uint8Array, object: Uint8Array}} what was left readable, and the SFrame object with
 *     its last byte
 */
function takeApart(frame) {
    const last = frame[frame.length - 1] ?? 0;
    const form = last >> 5;
    const clear = (last & 0x1f) - 1;
    const start = form === FORM_H264 ? firstSlice(frame) : 0;
    if (clear < 0 || start < 0 || start + clear >= frame.length) throw new FrameError('not-encrypted');
    const before = frame.subarray(0, start + clear);
    const rest = frame.subarray(start + clear);
    if (form === FORM_H264) return { before, object: unescapeNal(rest) };
    if (form === FORM_AV1) return { before, object: unwrapObu(rest) };
    return { before, object: rest };
}

/**
 * @param {Uint8Array} frame H.264 with start codes
 * @returns {number} where the first slice's NAL unit begins, or -1
 */
function firstSlice(frame) {
    for (let at = 0; at + 3 < frame.length; at++) {
        if (frame[at] !== 0 || frame[at + 1] !== 0 || frame[at + 2] !== 1) continue;
        const type = frame[at + 3] & 0x1f;
        if (type >= 1 && type <= 5) return at + 3;
        at += 2;
    }
    return -1;
}

/**
 * Puts a 3 where a start code would appear (H.264, 7.4.1).
 *
 * @param {Uint8Array} bytes
 * @returns {Uint8Array}
 */
function escapeNal(bytes) {
    const out = new Uint8Array(bytes.length + (bytes.length >> 1) + 1);
    let size = 0;
    let zeros = 0;
    for (const byte of bytes) {
        if (zeros === 2 && byte <= 3) {
            out[size++] = 3;
            zeros = 0;
        }
        out[size++] = byte;
        zeros = byte === 0 ? zeros + 1 : 0;
    }
    return out.subarray(0, size);
}

/**
 * @param {Uint8Array} bytes
 * @returns {Uint8Array}
 */
function unescapeNal(bytes) {
    const out = new Uint8Array(bytes.length);
    let size = 0;
    let zeros = 0;
    for (const byte of bytes) {
        if (zeros === 2 && byte === 3) {
            zeros = 0;
            continue;
        }
        out[size++] = byte;
        zeros = byte === 0 ? zeros + 1 : 0;
    }
    return out.subarray(0, size);
}

/**
 * Packetizers only take what is a sequence of OBUs: one, which says it is a frame and repeats the layer
 * that the frame's OBUs told. A sequence header stands before it, as a mark of key frames; it is inside,
 * too, and nobody need trust this one.
 *
 * @param {Uint8Array} frame
 * @param {Uint8Array} object
 * @returns {Uint8Array}
 */
function wrapObu(frame, object) {
    const units = [...readObus(frame)];
    const sequence = units.find(({ type }) => type === OBU_SEQUENCE_HEADER);
    const layer = units.find(({ extension }) => extension !== undefined)?.extension;
    const head = layer === undefined ? [(OBU_FRAME << 3) | 2] : [(OBU_FRAME << 3) | 6, layer];
    for (let rest = object.length; ; rest >>>= 7) {
        head.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80);
        if (rest < 0x80) break;
    }
    return concat(sequence?.whole ?? new Uint8Array(), Uint8Array.from(head), object);
}

/**
 * @param {Uint8Array} bytes
 * @returns {Uint8Array}
 */
function unwrapObu(bytes) {
    for (const { type, content } of readObus(bytes)) {
        if (type === OBU_FRAME && content.length > 0) return content;
    }
    throw new FrameError('not-encrypted');
}

/**
 * AV1, 5.3.2: |F| type |X|S|-|, with X a byte of the layer, with S a size in groups of 7 bits.
 *
 * @param {Uint8Array} bytes
 */
function* readObus(bytes) {
    for (let at = 0; at < bytes.length; ) {
        const start = at;
        const head = bytes[at++];
        const extension = head & 0x04 ? bytes[at++] : undefined;
        let size = bytes.length - at;
        if (head & 0x02) {
            size = 0;
            for (let shift = 0; shift < 28; shift += 7) {
                const byte = bytes[at++] ?? 0;
                size |= (byte & 0x7f) << shift;
                if (byte < 0x80) break;
            }
        }
        if (at + size > bytes.length) return;
        const content = bytes.subarray(at, at + size);
        at += size;
        yield { type: (head >> 3) & 15, extension, content, whole: bytes.subarray(start, at) };
    }
}

/**
 * RFC 9605, 4.4.3: the nonce is the salt with the counter; header and clear bytes are authenticated.
 *
 * @param {FrameKey} key
 * @param {number} counter
 * @param {Uint8Array} header
 * @param {Uint8Array} shown
 * @returns {AesGcmParams}
 */
function gcm({ salt }, counter, header, shown) {
    const iv = salt.slice();
    for (let at = NONCE_BYTES - 1, rest = counter; rest > 0; at--, rest = Math.floor(rest / 256)) {
        iv[at] ^= rest % 256;
    }
    return { name: 'AES-GCM', iv: view(iv), additionalData: view(concat(header, shown)), tagLength: TAG_BYTES * 8 };
}

/**
 * @param {...Uint8Array} parts
 * @returns {Uint8Array}
 */
export function concat(...parts) {
    const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
        out.set(part, at);
        at += part.length;
    }
    return out;
}

/**
 * The types of WebCrypto want to know that no memory is shared.
 *
 * @param {Uint8Array} bytes
 */
function view(bytes) {
    return /** @type {Uint8Array<ArrayBuffer>} */ (bytes);
}
