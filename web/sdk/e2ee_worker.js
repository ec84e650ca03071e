/**
 * Encrypts and decrypts encoded frames, off the page's main thread: one worker per room. What it cannot
 * decrypt it drops, so that nobody hears noise.
 */

import { ReceiveKeys, ReplayWindow, SendKey } from './frame_keys.js';
import { FrameError, protectData, protectFrame, unprotectData, unprotectFrame } from './sframe.js';

const FAILED_AFTER_MS = 1000;
const ASK_EVERY_MS = 1000;
/** Frames of another member than a slot is said to hold pass this long: messages and media race. */
const MISMATCH_MS = 1000;

/**
 * @typedef {import('./e2ee.js').ToWorker} ToWorker
 * @typedef {import('./e2ee.js').FromWorker} FromWorker
 *
 * @typedef {object} Transform
 * @property {'send' | 'receive'} side
 * @property {number} tag the page's name for a receiver
 * @property {'audio' | 'video'} kind
 */

/** @type {SendKey | null} */
let sendKey = null;
const receiveKeys = new ReceiveKeys();
/** @type {SendKey | null} */
let dataSendKey = null;
const dataKeys = new ReceiveKeys(undefined, 'data');
/** @type {Map<string, ReplayWindow>} member -> the data messages that came from it */
const dataReplays = new Map();
/** Data messages are worked on one after the other. */
let dataWork = Promise.resolve();
/** @type {Map<number, string>} payload type -> codec */
const codecs = new Map();
/** @type {Map<number, Receiver>} by tag */
const receivers = new Map();
/** @type {Map<number, string | null>} tag -> whose frames are to come; may be told before the receiver is there */
const expected = new Map();

/** @param {FromWorker} message */
const tell = (message) => self.postMessage(message);

class Receiver {
    #tag;
    #requestKeyFrame;
    #replays = new ReplayWindow();
    #state = '';
    #failingSince = 0;
    #askedAt = -Infinity;
    #mismatchSince = 0;

    /**
     * @param {number} tag
     * @param {() => void} requestKeyFrame
     */
    constructor(tag, requestKeyFrame) {
        this.#tag = tag;
        this.#requestKeyFrame = requestKeyFrame;
    }

    /** Other content comes from now on. */
    renew() {
        this.#failingSince = this.#mismatchSince = 0;
        this.#state = '';
        this.#replays.clear();
    }

    /** @param {any} frame */
    async transform(frame) {
        try {
            const { data, header } = await unprotectFrame(new Uint8Array(frame.data), (id) => receiveKeys.find(id));
            receiveKeys.used(header);
            if (!this.#fromExpected(receiveKeys.owner(header.sender)) || !this.#replays.take(header)) return false;
            frame.data = data.buffer;
            this.#failingSince = 0;
            if (this.#state === 'no-key' || this.#state === 'failed') this.#requestKeyFrame();
            this.#report('ok');
            return true;
        } catch (error) {
            this.#failed(error instanceof FrameError ? error.problem : 'not-authentic');
            return false;
        }
    }

    /** @param {string | null} member */
    #fromExpected(member) {
        const wanted = expected.get(this.#tag);
        if (!wanted || member === wanted) {
            this.#mismatchSince = 0;
            return true;
        }
        this.#mismatchSince ||= performance.now();
        if (performance.now() - this.#mismatchSince < MISMATCH_MS) return true;
        this.#report('failed');
        return false;
    }

    /** @param {import('./sframe.js').FrameProblem} problem */
    #failed(problem) {
        const now = performance.now();
        this.#failingSince ||= now;
        if (problem === 'no-key' && now - this.#askedAt > ASK_EVERY_MS) {
            this.#askedAt = now;
            if (this.#state !== 'failed') this.#state = 'no-key';
            tell({ type: 'key-wanted', tag: this.#tag });
        }
        if (now - this.#failingSince > FAILED_AFTER_MS) this.#report('failed');
    }

    /** @param {'ok' | 'failed'} state */
    #report(state) {
        if (this.#state === state) return;
        this.#state = state;
        tell({ type: 'receiver', tag: this.#tag, state });
    }
}

/** @param {any} frame */
async function encrypt(frame) {
    if (!sendKey) return false; // never in the clear
    const { mimeType, payloadType } = frame.getMetadata();
    const codec = mimeType || codecs.get(payloadType) || '';
    const { id } = sendKey;
    const { key, counter } = await sendKey.next();
    try {
        frame.data = (await protectFrame(new Uint8Array(frame.data), codec, id, key, counter)).buffer;
        return true;
    } catch {
        tell({ type: 'codec', codec });
        return false;
    }
}

/**
 * @param {Transform} options
 * @param {ReadableStream} readable
 * @param {WritableStream} writable
 * @param {() => void} requestKeyFrame
 */
function start({ side, tag }, readable, writable, requestKeyFrame) {
    let work = encrypt;
    if (side === 'receive') {
        const receiver = new Receiver(tag, requestKeyFrame);
        receivers.set(tag, receiver);
        work = (frame) => receiver.transform(frame);
    }
    const transform = new TransformStream({
        async transform(frame, controller) {
            if (await work(frame)) controller.enqueue(frame);
        },
    });
    readable
        .pipeThrough(transform)
        .pipeTo(writable)
        .catch(() => {}) // the connection is gone
        .finally(() => {
            receivers.delete(tag);
            expected.delete(tag);
        });
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array | null>}
 */
async function sealData(bytes) {
    if (!dataSendKey) return null;
    const { id } = dataSendKey;
    const { key, counter } = await dataSendKey.next();
    return protectData(bytes, id, key, counter);
}

/**
 * @param {Uint8Array} bytes
 * @param {string} member who is said to have sent it
 * @returns {Promise<Uint8Array | null>} null: it did not, or this is known already
 */
async function openData(bytes, member) {
    const opened = await unprotectData(bytes, (id) => dataKeys.find(id));
    if (!opened || dataKeys.owner(opened.header.sender) !== member) return null;
    dataKeys.used(opened.header);
    const replays = dataReplays.get(member) ?? new ReplayWindow();
    dataReplays.set(member, replays);
    return replays.take(opened.header) ? opened.data : null;
}

/**
 * @param {number} number
 * @param {() => Promise<Uint8Array | null>} work
 */
function answerData(number, work) {
    dataWork = dataWork.then(work).then(
        (bytes) => tell({ type: 'data', number, bytes }),
        () => tell({ type: 'data', number, bytes: null }),
    );
}

/** @type {any} */ (self).onrtctransform = (/** @type {any} */ { transformer }) => {
    const { options, readable, writable } = transformer;
    start(options, readable, writable, () => void transformer.sendKeyFrameRequest?.()?.catch?.(() => {}));
};

self.onmessage = (/** @type {MessageEvent<ToWorker>} */ { data: message }) => {
    switch (message.type) {
        case 'send-key':
            sendKey = new SendKey(message.id, message.secret);
            dataSendKey = new SendKey(message.id, message.secret, 'data');
            break;
        case 'receive-key':
            receiveKeys.add(message.member, message.id, message.secret);
            dataKeys.add(message.member, message.id, message.secret);
            break;
        case 'forget':
            receiveKeys.forget(message.member);
            dataKeys.forget(message.member);
            dataReplays.delete(message.member);
            break;
        case 'seal':
            answerData(message.number, () => sealData(message.bytes));
            break;
        case 'open':
            answerData(message.number, () => openData(message.bytes, message.member));
            break;
        case 'expect':
            expected.set(message.tag, message.member);
            receivers.get(message.tag)?.renew();
            break;
        case 'codecs':
            for (const [payloadType, codec] of message.codecs) codecs.set(payloadType, codec);
            break;
        case 'streams':
            start(message.transform, message.readable, message.writable, () => {});
            break;
    }
};
