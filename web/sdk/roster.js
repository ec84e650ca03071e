/**
 * Who is in a room and what they publish, kept up to date from the server's events. Objects keep
 * their identity while they exist, so that an application may hold on to them.
 */

/**
 * @typedef {object} Member
 * @property {string} id
 * @property {string} name
 * @property {string} [user] user name that a token vouched for
 * @property {boolean} self
 * @property {boolean} moderator
 * @property {boolean} away its signaling is lost at the moment; media may go on
 * @property {import('./protocol.js').MediaState} media
 * @property {string} [status]
 * @property {Map<string, RemoteTrack>} tracks by id; empty for the own member
 *
 * @typedef {object} RemoteTrack
 * @property {string} id
 * @property {Member} member
 * @property {import('./protocol.js').Kind} kind
 * @property {import('./protocol.js').Source} source
 * @property {string} [name]
 * @property {boolean} muted by its publisher
 * @property {boolean} blocked by a moderator
 * @property {boolean} live the server receives packets of it
 * @property {boolean} encrypted end to end: without the room's key there is nothing to show or play
 * @property {import('./protocol.js').Pause} pause why the server does not send this video now: 'none' when
 *   it does, 'path' when the way here carries too little, 'server' when the server has too much to do
 * @property {MediaStreamTrack | null} mediaTrack what to show or play; null while not received
 */

export class Roster {
    #events;
    #decrypts;
    /** @type {string} */
    #selfId;
    /** @type {Map<string, Member>} */
    #members = new Map();
    /** @type {Map<string, {mid: string, mediaTrack: MediaStreamTrack}>} track id -> its slot */
    #filled = new Map();

    /**
     * @param {import('./room.js').Room} events where changes are told
     * @param {import('./protocol.js').JoinResult} joined
     * @param {boolean} [decrypts] only encrypted tracks are shown; else only those that are not
     */
    constructor(events, joined, decrypts = false) {
        this.#events = events;
        this.#decrypts = decrypts;
        this.#selfId = joined.self;
        for (const member of joined.members) this.#add(member);
        for (const track of joined.tracks) this.#addTrack(track);
    }

    get members() {
        return this.#members;
    }

    /** @returns {Member} */
    get self() {
        return /** @type {Member} */ (this.#members.get(this.#selfId));
    }

    /** @returns {Generator<RemoteTrack>} all tracks of others */
    *tracks() {
        for (const member of this.#members.values()) yield* member.tracks.values();
    }

    /**
     * @param {string} id
     * @returns {RemoteTrack | undefined}
     */
    track(id) {
        for (const member of this.#members.values()) {
            const track = member.tracks.get(id);
            if (track) return track;
        }
        return undefined;
    }

    /**
     * Takes over the state after a new join, telling only what differs. Everybody has a new id
     * only if they joined anew, too.
     *
     * @param {import('./protocol.js').JoinResult} joined
     */
    replace(joined) {
        const stay = new Set(joined.members.map(({ id }) => id));
        const before = this.#selfId;
        const self = this.self;
        for (const member of [...this.#members.values()]) {
            if (member.id !== before && !stay.has(member.id)) this.#left(member.id, 'lost');
        }
        this.#members.delete(before);
        this.#selfId = joined.self;
        self.id = joined.self;
        this.#members.set(self.id, self);
        for (const wire of joined.members) {
            if (this.#members.has(wire.id)) this.#updated(wire);
            else this.#events.emit('member-joined', this.#add(wire));
        }
        const tracks = new Set(joined.tracks.map(({ id }) => id));
        for (const track of [...this.tracks()]) {
            if (!tracks.has(track.id)) this.#unpublished(track.member.id, track.id);
        }
        for (const wire of joined.tracks) this.#published(wire);
    }

    /**
     * A slot of the media connection has other content: attaches and detaches tracks.
     *
     * @param {import('./media.js').Slot} slot
     */
    fill(slot) {
        for (const [id, filled] of this.#filled) {
            if (filled.mid !== slot.mid || id === slot.track) continue;
            this.#filled.delete(id);
            this.#detach(this.track(id));
        }
        if (!slot.track) return;
        const track = this.track(slot.track);
        // another slot begins anew
        if (track && this.#filled.get(slot.track)?.mid !== slot.mid) track.pause = 'none';
        this.#filled.set(slot.track, { mid: slot.mid, mediaTrack: slot.mediaTrack });
        this.#attach(track);
    }

    /**
     * @param {import('./protocol.js').ServerEvent} message an event of the server
     * @returns {boolean} it was about members or their tracks
     */
    receive(message) {
        switch (message.type) {
            case 'member_joined':
                if (this.#members.has(message.member.id)) this.#updated(message.member);
                else this.#events.emit('member-joined', this.#add(message.member));
                return true;
            case 'member_updated':
                this.#updated(message.member);
                return true;
            case 'member_left':
                this.#left(message.member, message.reason);
                return true;
            case 'track_published':
                this.#published(message.track);
                return true;
            case 'track_updated':
                if (message.track.member === this.#selfId) return false;
                this.#published(message.track);
                return true;
            case 'track_paused':
                this.#paused(message.track, message.pause);
                return true;
            case 'track_unpublished':
                this.#unpublished(message.member, message.track);
                return true;
            case 'speakers':
                this.#events.emit('speakers', this.#speakers(message.speakers));
                return true;
            default:
                return false;
        }
    }

    /**
     * @param {import('./protocol.js').Member} wire
     * @returns {Member}
     */
    #add(wire) {
        const member = { ...wire, self: wire.id === this.#selfId, tracks: new Map() };
        this.#members.set(member.id, member);
        return member;
    }

    /** @param {import('./protocol.js').Member} wire */
    #updated(wire) {
        const member = this.#members.get(wire.id);
        if (!member) return;
        Object.assign(member, { status: undefined }, wire);
        this.#events.emit('member-updated', member);
    }

    /**
     * @param {string} id
     * @param {import('./protocol.js').LeftReason} reason
     */
    #left(id, reason) {
        const member = this.#members.get(id);
        if (!member) return;
        for (const track of [...member.tracks.values()]) this.#unpublished(id, track.id);
        this.#members.delete(id);
        this.#events.emit('member-left', { member, reason });
    }

    /**
     * @param {import('./protocol.js').Track} wire
     * @returns {RemoteTrack | undefined} the new track
     */
    #addTrack(wire) {
        const member = this.#members.get(wire.member);
        if (!member || member.self) return undefined;
        /** @type {RemoteTrack} */
        const track = { ...wire, member, pause: 'none', mediaTrack: null };
        member.tracks.set(track.id, track);
        return track;
    }

    /** @param {import('./protocol.js').Track} wire a new track, or what became of one */
    #published(wire) {
        const known = this.track(wire.id);
        if (known) {
            Object.assign(known, { name: undefined }, wire, { member: known.member });
            this.#events.emit('track-updated', known);
            return;
        }
        const track = this.#addTrack(wire);
        if (!track) return;
        this.#events.emit('track-published', track);
        this.#attach(track);
    }

    /**
     * @param {string} id
     * @param {import('./protocol.js').Pause} pause
     */
    #paused(id, pause) {
        const track = this.track(id);
        if (!track || track.pause === pause) return;
        track.pause = pause;
        this.#events.emit('track-updated', track);
    }

    /**
     * @param {string} memberId
     * @param {string} trackId
     */
    #unpublished(memberId, trackId) {
        const member = this.#members.get(memberId);
        const track = member?.tracks.get(trackId);
        if (!member || !track) return;
        this.#filled.delete(trackId);
        this.#detach(track);
        member.tracks.delete(trackId);
        this.#events.emit('track-unpublished', track);
    }

    /** @param {RemoteTrack | undefined} track */
    #attach(track) {
        const mediaTrack = track && this.#filled.get(track.id)?.mediaTrack;
        if (!track || !mediaTrack || track.mediaTrack === mediaTrack) return;
        if ((track.encrypted ?? false) !== this.#decrypts) return;
        track.mediaTrack = mediaTrack;
        this.#events.emit('track-attached', track);
    }

    /** @param {RemoteTrack | undefined} track */
    #detach(track) {
        if (!track?.mediaTrack) return;
        track.mediaTrack = null;
        track.pause = 'none';
        this.#events.emit('track-detached', track);
    }

    /** @param {import('./protocol.js').Speaker[]} speakers */
    #speakers(speakers) {
        /** @type {{member: Member, level: number}[]} */
        const known = [];
        for (const { member: id, level } of speakers) {
            const member = this.#members.get(id);
            if (member) known.push({ member, level });
        }
        return known;
    }
}
