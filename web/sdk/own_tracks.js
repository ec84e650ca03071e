/**
 * What a member publishes: the tracks, how they are sent, and what the server is told of them. They outlive the
 * media connection; a new one is given all of them.
 */

import { roomEncodings } from './encodings.js';
import { RoostError } from './errors.js';
import { LocalTrack } from './local_track.js';

/**
 * @typedef {import('./protocol.js').Source} Source
 * @typedef {import('./media.js').MediaConnection} MediaConnection
 *
 * @typedef {object} PublishOptions
 * @property {Source} [source] `camera` and `microphone` by default, by the track's kind
 * @property {string} [name]
 * @property {boolean} [muted] starts muted
 * @property {boolean} [simulcast] send three sizes, or one; by default as many as the picture is large enough for
 * @property {string} [scalabilityMode] layers inside a stream, as in `L1T3` or `L3T3_KEY`, where the browser
 *     encodes them (VP9 and AV1 in sizes and frame rates, VP8 and H.264 in frame rates)
 * @property {'detail' | 'text' | 'motion'} [content] what the encoder shall keep of a video: sharpness or
 *     smoothness. Screens are sent for detail
 * @property {string} [codec] preferred codec; `video/VP8` and `audio/opus` by default
 * @property {RTCRtpEncodingParameters[]} [encodings] instead of the defaults
 *
 * @typedef {object} Wanted a track to be published
 * @property {MediaStreamTrack} track
 * @property {PublishOptions} options
 * @property {() => Promise<MediaStreamTrack>} [open] opens its device again after a mute
 *
 * @typedef {object} OwnTracksOwner what they need of their room
 * @property {() => MediaConnection | null} media where they are sent; null when the room is closed
 * @property {(track: string, muted: boolean) => void} mute tells the server
 * @property {(work: Promise<unknown>) => void} quietly runs what nobody waits for
 */

export class OwnTracks {
    /** @type {Set<LocalTrack>} */
    #tracks = new Set();
    #owner;
    #events;

    /**
     * @param {OwnTracksOwner} owner
     * @param {import('./room.js').Room} events where changes are told
     */
    constructor(owner, events) {
        this.#owner = owner;
        this.#events = events;
    }

    /** @returns {LocalTrack[]} */
    get all() {
        return [...this.#tracks];
    }

    /**
     * Publishes tracks by one offer.
     *
     * @param {Wanted[]} wanted
     * @returns {Promise<LocalTrack[]>}
     */
    async publish(wanted) {
        const media = this.#owner.media();
        if (!media) throw new RoostError('wrong-state');
        const locals = wanted.map((one) => this.#make(one));
        await Promise.all(locals.map(({ publication }) => media.publish(publication)));
        for (const local of locals) {
            this.#events.emit('local-track-published', local);
            this.#tellMuted(local); // it may have changed while the offer was under way
        }
        return locals;
    }

    /** @param {LocalTrack} local to be released and sent no longer */
    async unpublish(local) {
        if (!this.#tracks.delete(local)) return;
        local.release();
        this.#events.emit('local-track-unpublished', local);
        await this.#owner.media()?.unpublish(local.publication);
    }

    /** Sends all of them over a new media connection, which knows none. */
    sendAgain() {
        for (const { publication } of this.#tracks) {
            publication.transceiver = null;
            publication.id = null;
            this.#forMedia((media) => media.publish(publication));
        }
    }

    /** @param {import('./protocol.js').DemandEvent} message what of a track is watched */
    demanded({ track, layers }) {
        const local = this.#find(track);
        if (local) this.#forMedia((media) => media.setDemand(local.publication, layers));
    }

    /** @param {import('./protocol.js').Track} wire what the server says of one of them */
    updated(wire) {
        const local = this.#find(wire.id);
        if (!local || local.blocked === wire.blocked) return;
        local.blocked = wire.blocked;
        this.#events.emit('local-track-updated', local);
    }

    /** Lets go of all devices. */
    close() {
        for (const local of this.#tracks) local.release();
        this.#tracks.clear();
    }

    /** @param {string} id of the server */
    #find(id) {
        return this.all.find((local) => local.id === id);
    }

    /** @param {(media: MediaConnection) => Promise<unknown>} work */
    #forMedia(work) {
        const media = this.#owner.media();
        if (media) this.#owner.quietly(work(media));
    }

    /**
     * @param {Wanted} wanted
     * @returns {LocalTrack}
     */
    #make({ track, options, open }) {
        const kind = /** @type {import('./protocol.js').Kind} */ (track.kind);
        const source = options.source ?? (kind === 'video' ? 'camera' : 'microphone');
        const muted = options.muted ?? false;
        track.enabled = !muted;
        if (kind === 'video' && options.content) track.contentHint = options.content;
        const local = new LocalTrack(
            {
                kind,
                source,
                muted,
                toldMuted: muted,
                name: options.name,
                mediaTrack: track,
                encodings: options.encodings ?? roomEncodings(source, track, options),
                codec: options.codec ?? (kind === 'video' ? 'video/VP8' : 'audio/opus'),
                id: null,
                transceiver: null,
            },
            { changed: (changed) => this.#changed(changed), ended: (ended) => this.#ended(ended) },
            open,
        );
        this.#tracks.add(local);
        return local;
    }

    /** @param {LocalTrack} local */
    #changed(local) {
        this.#events.emit('local-track-updated', local);
        this.#tellMuted(local);
    }

    /** @param {LocalTrack} local */
    #tellMuted({ publication }) {
        const { id, muted } = publication;
        if (!id || publication.toldMuted === muted || !this.#owner.media()) return;
        publication.toldMuted = muted;
        this.#owner.mute(id, muted);
    }

    /** @param {LocalTrack} local whose device or screen went away */
    #ended(local) {
        const screen = local.source === 'screen' || local.source === 'screen_audio';
        if (!screen) this.#events.emit('error', new RoostError('device-lost'));
        this.#owner.quietly(this.unpublish(local));
    }
}
