/**
 * Tells the server how video tracks are shown: by the elements that attach() filled, or as the
 * application said.
 */

import { onShownChange, whereShown } from './shown.js';

/**
 * @typedef {object} Wish
 * @property {number} [width] of the place where the track is shown, in pixels of the screen; none: as large as there is
 * @property {number} [height]
 * @property {number} [priority] 0 to 255: who is served first when the path is narrow; 100 is usual
 * @property {boolean} [paused] send nothing of it
 * @property {number} [frameRate] pictures per second that are enough; none: as many as there are
 * @property {boolean} [detail] on a narrow path, keep its size rather than its frame rate; screens do so anyhow
 */

const PRIORITY = 100;
const SCREEN_PRIORITY = 150;
/** The server takes so many in one message. */
const BATCH = 64;

export class Wishes {
    #tracks;
    #send;
    #off;
    /** @type {Map<string, Wish>} track id -> what the application said */
    #own = new Map();
    /** @type {Map<string, string>} track id -> what was sent last, as text */
    #sent = new Map();

    /**
     * @param {() => Iterable<import('./roster.js').RemoteTrack>} tracks
     * @param {(tracks: import('./protocol.js').TrackWish[]) => void} send
     */
    constructor(tracks, send) {
        this.#tracks = tracks;
        this.#send = send;
        this.#off = onShownChange(() => this.update());
    }

    /**
     * @param {import('./roster.js').RemoteTrack} track
     * @param {Wish | null} wish null: by its elements again
     */
    set(track, wish) {
        if (wish) this.#own.set(track.id, wish);
        else this.#own.delete(track.id);
        this.update();
    }

    /** Sends what has changed. */
    update() {
        /** @type {import('./protocol.js').TrackWish[]} */
        const changes = [];
        const ids = new Set();
        for (const track of this.#tracks()) {
            ids.add(track.id);
            const wish = this.#wish(track);
            const text = wish && JSON.stringify(wish);
            if (!wish || !text || this.#sent.get(track.id) === text) continue;
            this.#sent.set(track.id, text);
            changes.push(wish);
        }
        for (const id of [...this.#sent.keys(), ...this.#own.keys()]) {
            if (ids.has(id)) continue;
            this.#sent.delete(id);
            this.#own.delete(id);
        }
        for (let at = 0; at < changes.length; at += BATCH) this.#send(changes.slice(at, at + BATCH));
    }

    /** The server has forgotten everything: a new session. */
    renew() {
        this.#sent.clear();
        this.update();
    }

    close() {
        this.#off();
    }

    /**
     * @param {import('./roster.js').RemoteTrack} track
     * @returns {import('./protocol.js').TrackWish | null} null: nothing is known, and nothing was said
     */
    #wish(track) {
        if (track.kind !== 'video') return null;
        const own = this.#own.get(track.id);
        const shown = track.mediaTrack && whereShown(track.mediaTrack);
        if (!own && !shown && !this.#sent.has(track.id)) return null;
        const sized = own?.width !== undefined || own?.height !== undefined;
        return {
            track: track.id,
            width: Math.round((sized ? own?.width : shown?.width) ?? 0),
            height: Math.round((sized ? own?.height : shown?.height) ?? 0),
            priority: own?.priority ?? (track.source === 'screen' ? SCREEN_PRIORITY : PRIORITY),
            paused: own?.paused ?? (shown ? !shown.visible : false),
            ...(own?.frameRate ? { frame_rate: Math.min(255, Math.round(own.frameRate)) } : {}),
            ...(own?.detail === undefined ? {} : { detail: own.detail }),
        };
    }
}
