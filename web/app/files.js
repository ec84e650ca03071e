/**
 * Files of the chat. A file is only announced to everybody; whoever wants it asks its owner, who sends
 * it to that one alone, as fast as both can. So nobody gets bytes that nobody asked for, and a slow
 * reader is waited for.
 */

import { Emitter } from '../sdk/roost.js';

/** What one message of the SDK holds. */
export const FILE_SIZE_MAX = 64 * 1024 * 1024;

const OFFER = 'roost.file';
const GET = 'roost.file.get';
const CONTENT = 'roost.file.content:';
const NAME_MAX = 255;
/** Pieces that do not go on for so long are no more to come: its owner's connection has changed. */
const GOES_ON_WITHIN_MS = 15_000;

/**
 * @typedef {object} SharedFile
 * @property {string} key of its owner and its number
 * @property {string} name
 * @property {number} size
 * @property {string} from id of the member who has it
 * @property {boolean} own
 *
 * @typedef {object} Asked
 * @property {boolean} sent the question has gone out, and not only waits for the connection
 * @property {ReturnType<typeof setTimeout>} [timer] runs out when no more of it comes
 *
 * @typedef {object} FilesEvents
 * @property {SharedFile} shared
 * @property {{key: string, received: number}} progress of one that we asked for
 * @property {{key: string, file: SharedFile, content: Blob}} received
 * @property {string} lost it was on its way when a connection changed, and may be asked for again; the key
 * @property {string} gone its owner has left; the key
 */

/** @extends {Emitter<FilesEvents>} */
export class Files extends Emitter {
    #room;
    #data;
    /** @type {Map<string, File>} our own, by number */
    #own = new Map();
    /** @type {Map<string, SharedFile>} those of others, by key */
    #others = new Map();
    /** @type {Map<string, Asked>} those that we want, by key */
    #wanted = new Map();
    #offs;

    /**
     * @param {import('../sdk/roost.js').Room} room
     * @param {import('../sdk/roost.js').RoomData} data
     */
    constructor(room, data) {
        super();
        this.#room = room;
        this.#data = data;
        this.#offs = [
            data.on('message', (message) => this.#receive(message)),
            data.on('progress', ({ from, topic, received }) => {
                const key = keyOf(from, topic.slice(CONTENT.length));
                if (topic.startsWith(CONTENT)) this.#progress(key, received);
            }),
            data.on('open', () => this.#wanted.forEach(({ sent }, key) => sent && this.#lost(key))),
            room.on('member-left', ({ member }) => this.#left(member.id)),
        ];
    }

    /**
     * @param {File} file at most FILE_SIZE_MAX
     */
    async share(file) {
        const number = String(this.#own.size + 1);
        const { size } = file;
        const name = file.name.slice(0, NAME_MAX);
        this.#own.set(number, file);
        await this.#data.send({ number, name, size }, { topic: OFFER });
        this.emit('shared', { key: keyOf('', number), name, size, from: this.#room.self.id, own: true });
    }

    /** @param {string} key of a file that somebody shared */
    async get(key) {
        const file = this.#others.get(key);
        if (!file || this.#wanted.has(key)) return;
        /** @type {Asked} */
        const asked = { sent: false };
        this.#wanted.set(key, asked);
        try {
            await this.#data.send({ number: numberOf(key) }, { to: file.from, topic: GET });
            asked.sent = true;
        } catch (error) {
            this.#lost(key);
            throw error;
        }
    }

    close() {
        for (const off of this.#offs) off();
        for (const key of this.#wanted.keys()) this.#forget(key);
        this.clear();
    }

    /** @param {import('../sdk/data.js').DataMessage} message */
    #receive({ from, data, topic }) {
        if (topic === OFFER) this.#offered(from, data);
        else if (topic === GET) this.#send(from, data?.number);
        else if (topic.startsWith(CONTENT)) this.#received(keyOf(from, topic.slice(CONTENT.length)), data);
    }

    /**
     * @param {string} from
     * @param {any} offer what a stranger says
     */
    #offered(from, offer) {
        const { number, name, size } = offer ?? {};
        const good = typeof number === 'string' && typeof name === 'string';
        if (!good || !Number.isInteger(size) || size < 0 || size > FILE_SIZE_MAX || name.length > NAME_MAX) return;
        const key = keyOf(from, number);
        if (this.#others.has(key)) return;
        const file = { key, name, size, from, own: false };
        this.#others.set(key, file);
        this.emit('shared', file);
    }

    /**
     * @param {string} to
     * @param {unknown} number
     */
    #send(to, number) {
        const file = this.#own.get(String(number));
        // who has left meanwhile, or a file that cannot be read any more: the other side waits no longer than we are here
        if (file) this.#data.send(file, { to, topic: `${CONTENT}${number}` }).catch(() => {});
    }

    /**
     * @param {string} key
     * @param {number} received bytes
     */
    #progress(key, received) {
        const asked = this.#wanted.get(key);
        if (!asked) return;
        clearTimeout(asked.timer);
        asked.timer = setTimeout(() => this.#lost(key), GOES_ON_WITHIN_MS);
        this.emit('progress', { key, received });
    }

    /**
     * @param {string} key
     * @param {unknown} content
     */
    #received(key, content) {
        const file = this.#others.get(key);
        if (!file || !(content instanceof ArrayBuffer) || !this.#forget(key)) return;
        this.emit('received', { key, file, content: new Blob([content], { type: 'application/octet-stream' }) });
    }

    /** @param {string} key of one that we asked for and that will not come */
    #lost(key) {
        if (this.#forget(key)) this.emit('lost', key);
    }

    /**
     * @param {string} key
     * @returns {boolean} whether it was wanted
     */
    #forget(key) {
        clearTimeout(this.#wanted.get(key)?.timer);
        return this.#wanted.delete(key);
    }

    /** @param {string} member */
    #left(member) {
        for (const { key, from } of this.#others.values()) {
            if (from !== member) continue;
            this.#others.delete(key);
            this.#forget(key);
            this.emit('gone', key);
        }
    }
}

/**
 * @param {string} member
 * @param {string} number
 */
function keyOf(member, number) {
    return `${member}/${number}`;
}

/** @param {string} key */
function numberOf(key) {
    return key.slice(key.indexOf('/') + 1);
}

/**
 * @param {number} bytes
 * @returns {string} such as "2.3 MB"
 */
export function sizeText(bytes) {
    const units = ['B', 'kB', 'MB'];
    let value = bytes;
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
        value /= 1000;
        unit++;
    }
    return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/**
 * Gives the user what was received, as a download.
 *
 * @param {string} name
 * @param {Blob} content
 */
export function save(name, content) {
    const url = URL.createObjectURL(content);
    const link = document.createElement('a');
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
