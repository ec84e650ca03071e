/**
 * A room from one member's view: who is here, what they publish, what we publish, chat and
 * moderation. Remote tracks come as MediaStreamTrack objects; where they travel is not visible here.
 */

import { RoomData } from './data.js';
import { openCamera, openMicrophone, openScreen } from './devices.js';
import { Emitter } from './emitter.js';
import { RoostError } from './errors.js';
import { MediaConnection } from './media.js';
import { OwnTracks } from './own_tracks.js';
import { StatsReader } from './quality.js';
import { Roster } from './roster.js';
import { Subscriptions } from './subscriptions.js';
import { Wishes } from './wishes.js';

const STATS_EVERY_MS = 2000;

/**
 * @typedef {import('./roster.js').Member} Member
 * @typedef {import('./roster.js').RemoteTrack} RemoteTrack
 * @typedef {import('./local_track.js').LocalTrack} LocalTrack
 * @typedef {import('./own_tracks.js').PublishOptions} PublishOptions
 *
 * @typedef {object} JoinOptions
 * @property {string} [name] display name; the client's name otherwise
 * @property {string} [token] a token that admits to the room
 * @property {import('./e2ee.js').E2eeOptions} [e2ee] encrypt end to end with this key
 * @property {boolean} [data] false: no data messages, and nothing of `room.data`
 * @property {boolean} [autoSubscribe] receive every track without asking; true by default
 * @property {number} [playoutDelay] milliseconds for which pictures are held back before they are shown;
 *     0 for robots and games; by default the browser chooses
 *
 * @typedef {object} ChatMessage
 * @property {Member | null} member its writer, when still here
 * @property {string} from
 * @property {string} name
 * @property {string} text
 * @property {string} [to] set on private texts
 * @property {Date} time
 * @property {boolean} own
 *
 * @typedef {'connected' | 'reconnecting' | 'closed'} RoomState
 *
 * @typedef {object} RoomEvents
 * @property {RoomState} state signaling; media may go on while it reconnects
 * @property {import('./media.js').MediaConnectionState} media state of sound and picture
 * @property {Member} member-joined
 * @property {Member} member-updated
 * @property {{member: Member, reason: import('./protocol.js').LeftReason}} member-left
 * @property {RemoteTrack} track-published
 * @property {RemoteTrack} track-updated
 * @property {RemoteTrack} track-unpublished
 * @property {RemoteTrack} track-attached it has a mediaTrack to show or play from now on
 * @property {RemoteTrack} track-detached it has none any more
 * @property {LocalTrack} local-track-published
 * @property {LocalTrack} local-track-updated
 * @property {LocalTrack} local-track-unpublished
 * @property {{member: Member, level: number}[]} speakers who speaks, loudest first
 * @property {ChatMessage} chat
 * @property {boolean} locked
 * @property {import('./quality.js').ConnectionStats} stats every two seconds
 * @property {Map<string, number>} quality member id -> score 1 to 5; the own one tells of sending
 * @property {RoostError} error something failed that nobody asked for
 * @property {RoostError} removed we were taken out of the room
 */

/** @extends {Emitter<RoomEvents>} */
export class Room extends Emitter {
    #signaling;
    #ice;
    #options;
    #roster;
    /** @type {MediaConnection} */
    #media;
    #own;
    #subscriptions;
    #statsReader = new StatsReader();
    /** @type {ReturnType<typeof setInterval>} */
    #statsTimer;
    /** @type {RoomState} */
    #state = 'connected';
    #wishes;
    #offs;

    /**
     * Made by client.join().
     *
     * @param {import('./signaling.js').Signaling} signaling
     * @param {import('./ice.js').IceServers} ice
     * @param {JoinOptions & {room: string, name: string}} options
     * @param {import('./protocol.js').JoinResult} joined
     * @param {import('./e2ee.js').E2ee | null} [e2ee]
     */
    constructor(signaling, ice, options, joined, e2ee = null) {
        super();
        /** @readonly end-to-end encryption; null in rooms that the server can listen to */
        this.e2ee = e2ee;
        this.#signaling = signaling;
        this.#ice = ice;
        this.#options = options;
        /** @readonly */
        this.name = joined.room;
        this.limits = joined.limits;
        this.locked = joined.locked;
        this.#roster = new Roster(this, joined, e2ee !== null);
        /** @readonly messages to other members; null when joined without */
        this.data = options.data === false ? null : new RoomData((id) => this.members.get(id) ?? null, e2ee);
        this.on('member-left', ({ member }) => this.data?.memberLeft(member));
        this.#own = new OwnTracks(
            {
                media: () => (this.#state === 'closed' ? null : this.#media),
                mute: (track, muted) => this.#quietly(signaling.request('mute', { track, muted })),
                quietly: (work) => this.#quietly(work),
            },
            this,
        );
        this.#subscriptions = new Subscriptions(
            (type, fields) => signaling.request(type, fields),
            (work) => this.#quietly(work),
        );
        this.#media = this.#makeMedia(joined);
        this.#statsTimer = setInterval(() => void this.#measure(), STATS_EVERY_MS);
        this.#offs = [
            signaling.on('message', (message) => this.#receive(message)),
            signaling.on('resumed', () => void this.#media.lookAgain()),
            signaling.on('renewed', () => void this.#rejoin()),
            signaling.on('state', (state) => this.#signalingChanged(state)),
        ];
        this.#wishes = new Wishes(
            () => this.#roster.tracks(),
            (tracks) => this.#quietly(this.#signaling.request('wish', { tracks })),
        );
        if (!e2ee) return;
        this.#offs.push(
            this.on('member-joined', (member) => e2ee.memberJoined(member)),
            this.on('member-left', ({ member }) => e2ee.memberLeft(member)),
            e2ee.on('error', (error) => this.emit('error', error)),
        );
        this.#startE2ee();
    }

    /** The own member. */
    get self() {
        return this.#roster.self;
    }

    /** Members by id in the order of joining, the own one included. */
    get members() {
        return this.#roster.members;
    }

    /** Tracks that we publish. */
    get localTracks() {
        return this.#own.all;
    }

    get state() {
        return this.#state;
    }

    get mediaState() {
        return this.#media.state;
    }

    /** The RTCPeerConnection in use; null before the first negotiation. */
    get peerConnection() {
        return this.#media.peerConnection;
    }

    /**
     * Publishes a track, or all tracks of a stream.
     *
     * @template {MediaStreamTrack | MediaStream} Media
     * @param {Media} media
     * @param {PublishOptions} [options]
     * @returns {Promise<Media extends MediaStream ? LocalTrack[] : LocalTrack>}
     */
    async publish(media, options = {}) {
        /** @type {MediaStreamTrack[]} */
        const tracks = media instanceof MediaStream ? media.getTracks() : [/** @type {any} */ (media)];
        const published = await this.#own.publish(tracks.map((track) => ({ track, options })));
        return /** @type {any} */ (media instanceof MediaStream ? published : published[0]);
    }

    /**
     * Opens a camera and publishes it. Muting it later switches the camera off.
     *
     * @param {import('./devices.js').CameraOptions & PublishOptions & {track?: MediaStreamTrack}} [options]
     *     track: a camera that is open already
     * @returns {Promise<LocalTrack>}
     */
    async camera(options = {}) {
        const open = () => openCamera(options);
        const track = options.track ?? (await open());
        const [local] = await this.#own.publish([
            { track, open, options: { ...options, source: 'camera' } },
        ]);
        return local;
    }

    /**
     * Opens a microphone and publishes it.
     *
     * @param {import('./devices.js').MicrophoneOptions & PublishOptions & {track?: MediaStreamTrack}} [options]
     * @returns {Promise<LocalTrack>}
     */
    async microphone(options = {}) {
        const open = () => openMicrophone(options);
        const track = options.track ?? (await open());
        const [local] = await this.#own.publish([
            { track, open, options: { ...options, source: 'microphone' } },
        ]);
        return local;
    }

    /**
     * Asks for a screen, window or tab and publishes it, with its sound where there is any.
     *
     * @param {{frameRate?: number, audio?: boolean} & PublishOptions} [options]
     * @returns {Promise<LocalTrack[]>} the picture first
     */
    async screen(options = {}) {
        const stream = await openScreen(options);
        const tracks = [...stream.getVideoTracks(), ...stream.getAudioTracks()];
        return this.#own.publish(
            tracks.map((track) => ({
                track,
                options: {
                    ...options,
                    source: track.kind === 'video' ? 'screen' : 'screen_audio',
                },
            })),
        );
    }

    /**
     * Stops publishing and lets go of the device.
     *
     * @param {LocalTrack} local
     */
    async unpublish(local) {
        await this.#own.unpublish(local);
    }

    /** @param {RemoteTrack[]} tracks to receive; with autoSubscribe all are unless unsubscribed */
    async subscribe(tracks) {
        await this.#subscriptions.subscribe(tracks);
    }

    /** @param {RemoteTrack[]} tracks not to receive any longer */
    async unsubscribe(tracks) {
        await this.#subscriptions.unsubscribe(tracks);
    }

    /**
     * Says which videos are to be seen. The others are unsubscribed after a moment, and come back
     * at once when they are named again. Sound is always received.
     *
     * @param {Set<RemoteTrack>} shown
     */
    setVisible(shown) {
        this.#subscriptions.setVisible(this.#roster.tracks(), shown);
    }

    /**
     * Writes to everybody, or to one member.
     *
     * @param {string} text
     * @param {Member} [to]
     */
    async chat(text, to) {
        await this.#signaling.request('chat', { text, ...(to ? { to: to.id } : {}) });
    }

    /** @param {{name?: string, status?: string}} changes of the own member; empty status: none */
    async update(changes) {
        await this.#signaling.request('update', changes);
        if (changes.name) this.#options = { ...this.#options, name: changes.name };
    }

    /**
     * Removes a member. Moderators only, as are lock, block, promote and end.
     *
     * @param {Member} member
     * @param {string} [message] a sentence for them
     */
    async kick(member, message) {
        await this.#signaling.request('kick', { member: member.id, ...(message ? { message } : {}) });
    }

    /** @param {boolean} locked whether nobody else may join */
    async lock(locked) {
        await this.#signaling.request('lock', { locked });
    }

    /**
     * Mutes somebody's track at the server, or lifts that.
     *
     * @param {RemoteTrack} track
     * @param {boolean} blocked
     */
    async block(track, blocked) {
        await this.#signaling.request('block', { track: track.id, blocked });
    }

    /**
     * Says how large a video track is to be and how much it matters, or that nothing of it is wanted
     * for a while. Without it the server goes by the elements that `attach` filled: their size, and
     * whether anybody can see them.
     *
     * @param {RemoteTrack} track
     * @param {import('./wishes.js').Wish | null} wish null: by its elements again
     */
    setWish(track, wish) {
        this.#wishes.set(track, wish);
    }

    /** @param {Member} member to become a moderator, too */
    async promote(member) {
        await this.#signaling.request('promote', { member: member.id });
    }

    /** Ends the room for everybody. */
    async end() {
        await this.#signaling.request('end');
    }

    /** Finds new network paths at once; happens by itself when the network changes. */
    restartIce() {
        this.#media.restartIce();
    }

    /** @returns {Promise<import('./quality.js').ConnectionStats | null>} null before the first offer */
    async stats() {
        const connection = this.#media.peerConnection;
        if (!connection) return null;
        const report = await connection.getStats();
        /** @type {Record<string, any>[]} */
        const reports = [];
        report.forEach((entry) => reports.push(entry));
        return this.#statsReader.read(reports);
    }

    /** Leaves the room and lets go of all devices. */
    async leave() {
        if (this.#state === 'closed') return;
        const told = this.#signaling.request('leave').catch(() => {});
        this.#close();
        await told;
    }

    #close() {
        clearInterval(this.#statsTimer);
        this.#wishes.close();
        this.#subscriptions.close();
        for (const off of this.#offs) off();
        this.#own.close();
        this.#media.close();
        this.data?.close();
        this.e2ee?.close();
        this.#setState('closed');
    }

    #startE2ee() {
        this.e2ee?.start({
            self: () => this.self,
            members: () => this.members,
            send: (message) => this.#signaling.request('keys', message),
        });
    }

    /** @param {RoomState} state */
    #setState(state) {
        if (this.#state === state) return;
        this.#state = state;
        this.emit('state', state);
    }

    /**
     * @param {import('./protocol.js').JoinResult} joined
     * @returns {MediaConnection}
     */
    #makeMedia(joined) {
        this.#ice.take(joined.ice_servers);
        const media = new MediaConnection(
            this.#ice,
            (offer) => this.#signaling.request('offer', { ...offer }),
            (withinMs) => this.#signaling.check(withinMs),
            this.e2ee,
            this.data,
        );
        media.on('state', (state) => this.emit('media', state));
        media.on('error', (error) => this.emit('error', error));
        media.on('slot', (slot) => this.#roster.fill(slot));
        this.#quietly(media.setSlots(joined.slots));
        return media;
    }

    /** @param {import('./signaling.js').SignalingState} state */
    #signalingChanged(state) {
        if (this.#state === 'closed') return;
        if (state === 'open') this.#setState('connected');
        else if (state === 'reconnecting') this.#setState('reconnecting');
        else if (state === 'closed') this.#close();
    }

    /** The session was lost: joins anew, with the tracks that we publish. */
    async #rejoin() {
        const { room, name, token, autoSubscribe, playoutDelay } = this.#options;
        try {
            const joined = await this.#signaling.request(
                'join',
                joinFields(room, name, token, autoSubscribe, playoutDelay),
            );
            if (this.#state === 'closed') return;
            this.#media.close();
            this.#subscriptions.forget();
            this.#roster.replace(joined);
            this.#media = this.#makeMedia(joined);
            this.#wishes.renew();
            this.#startE2ee();
            this.#own.sendAgain();
        } catch (error) {
            this.#remove(error instanceof RoostError ? error : new RoostError('session-lost'));
        }
    }

    /** @param {RoostError} reason */
    #remove(reason) {
        this.#close();
        this.emit('removed', reason);
    }

    /** @param {import('./protocol.js').ServerEvent} message an event of the server */
    #receive(message) {
        if (this.#roster.receive(message)) return;
        switch (message.type) {
            case 'track_updated':
                this.#own.updated(message.track);
                break;
            case 'slots':
                this.#media.applySlots(message.changes);
                break;
            case 'slots_needed':
                this.#quietly(this.#media.setSlots({ audio: message.audio, video: message.video }));
                break;
            case 'demand':
                this.#own.demanded(message);
                break;
            case 'media_state':
                if (message.state === 'disconnected') this.#media.restartIce();
                else if (message.state === 'failed') this.#media.renew();
                break;
            case 'room_updated':
                this.locked = message.locked;
                this.emit('locked', message.locked);
                break;
            case 'keys':
                this.e2ee?.receive(message.from, message.data);
                break;
            case 'chat':
                this.emit('chat', {
                    member: this.members.get(message.from) ?? null,
                    from: message.from,
                    name: message.name,
                    text: message.text,
                    to: message.to,
                    time: new Date(message.time_ms),
                    own: message.from === this.self.id,
                });
                break;
            case 'removed':
                this.#remove(removedError(message));
                break;
        }
    }

    async #measure() {
        if (this.#media.state !== 'connected') return;
        const stats = await this.stats().catch(() => null);
        if (!stats) return;
        this.emit('stats', stats);
        /** @type {Map<string, number>} */
        const quality = new Map([[this.self.id, stats.sendScore]]);
        const scores = new Map(
            stats.tracks
                .filter(({ direction }) => direction === 'received')
                .map((track) => [track.mid, track.score]),
        );
        for (const slot of this.#media.slots) {
            const track = slot.track ? this.#roster.track(slot.track) : undefined;
            if (!track) continue;
            const score = scores.get(slot.mid) ?? 5;
            quality.set(track.member.id, Math.min(score, quality.get(track.member.id) ?? 5));
        }
        this.emit('quality', quality);
    }

    /**
     * For what runs in the background: failures become events, unless they are only the echo of a
     * connection that is being mended or closed.
     *
     * @param {Promise<unknown>} work
     */
    #quietly(work) {
        const echoes = ['session-lost', 'connection-closed', 'no-such-track', 'no-such-member', 'not-in-room'];
        work.catch((/** @type {unknown} */ cause) => {
            const error = cause instanceof RoostError ? cause : new RoostError('unknown', { cause });
            if (!echoes.includes(error.code)) this.emit('error', error);
        });
    }
}

/**
 * @param {string} room
 * @param {string} name
 * @param {string | undefined} token
 * @param {boolean | undefined} autoSubscribe
 * @param {number | undefined} playoutDelay
 * @returns {Omit<import('./protocol.js').JoinRequest, 'type' | 'id'>}
 */
export function joinFields(room, name, token, autoSubscribe, playoutDelay) {
    return {
        room,
        name,
        ...(token ? { token } : {}),
        ...(autoSubscribe === false ? { auto_subscribe: false } : {}),
        ...(playoutDelay === undefined ? {} : { playout_delay: playoutDelay }),
    };
}

/**
 * @param {{reason: import('./protocol.js').LeftReason, message: string, room?: string | null, token?: string | null}} event
 * @returns {RoostError}
 */
function removedError({ reason, message, room, token }) {
    switch (reason) {
        case 'kicked':
            return new RoostError('kicked', { sentence: message });
        case 'ended':
            return new RoostError('room-ended');
        case 'moved':
            return new RoostError('moved', { moved: { room: room ?? '', token: token ?? '' } });
        default:
            return new RoostError('session-lost');
    }
}
