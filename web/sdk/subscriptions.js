/** Which tracks of others a member receives, as far as that was said. */

const UNSUBSCRIBE_AFTER_MS = 3000;

/** @typedef {import('./roster.js').RemoteTrack} RemoteTrack */

export class Subscriptions {
    #request;
    #quietly;
    /** @type {Map<string, ReturnType<typeof setTimeout>>} track id -> when to unsubscribe it */
    #leaving = new Map();
    /** @type {Set<string>} track ids that we unsubscribed */
    #unsubscribed = new Set();

    /**
     * @param {(type: 'subscribe' | 'unsubscribe', fields: {tracks: string[]}) => Promise<unknown>} request
     * @param {(work: Promise<unknown>) => void} quietly runs what nobody waits for
     */
    constructor(request, quietly) {
        this.#request = request;
        this.#quietly = quietly;
    }

    /** @param {RemoteTrack[]} tracks */
    async subscribe(tracks) {
        const ids = tracks.map(({ id }) => id);
        for (const id of ids) this.#unsubscribed.delete(id);
        if (ids.length > 0) await this.#request('subscribe', { tracks: ids });
    }

    /** @param {RemoteTrack[]} tracks */
    async unsubscribe(tracks) {
        const ids = tracks.map(({ id }) => id);
        for (const id of ids) this.#unsubscribed.add(id);
        if (ids.length > 0) await this.#request('unsubscribe', { tracks: ids });
    }

    /**
     * @param {Iterable<RemoteTrack>} tracks all of the room
     * @param {Set<RemoteTrack>} shown videos that are to be seen
     */
    setVisible(tracks, shown) {
        /** @type {RemoteTrack[]} */
        const back = [];
        for (const track of tracks) {
            if (track.kind !== 'video') continue;
            if (shown.has(track)) {
                clearTimeout(this.#leaving.get(track.id));
                this.#leaving.delete(track.id);
                if (this.#unsubscribed.has(track.id)) back.push(track);
            } else if (!this.#unsubscribed.has(track.id) && !this.#leaving.has(track.id)) {
                this.#leaving.set(track.id, setTimeout(() => this.#leave(track), UNSUBSCRIBE_AFTER_MS));
            }
        }
        this.#quietly(this.subscribe(back));
    }

    /** In a new session the server has forgotten them. */
    forget() {
        this.#unsubscribed.clear();
    }

    close() {
        for (const timer of this.#leaving.values()) clearTimeout(timer);
    }

    /** @param {RemoteTrack} track */
    #leave(track) {
        this.#leaving.delete(track.id);
        if (track.member.tracks.has(track.id)) this.#quietly(this.unsubscribe([track]));
    }
}
