/**
 * A track that we publish. It outlives devices and connections: muting a camera releases the
 * device, another camera may take its place, a new PeerConnection sends it on.
 */

import { RoostError } from './errors.js';

/**
 * @typedef {import('./media.js').Publication} Publication
 *
 * @typedef {object} LocalTrackOwner what a track needs of its room or call
 * @property {(track: LocalTrack) => void} changed the track's state is to be told to others
 * @property {(track: LocalTrack) => void} ended its device or screen went away by itself
 */

export class LocalTrack {
    #owner;
    #open;
    #switching = Promise.resolve();
    #ended = () => this.#owner.ended(this);

    /**
     * @param {Publication} publication
     * @param {LocalTrackOwner} owner
     * @param {() => Promise<MediaStreamTrack>} [open] opens the device again after it was released
     */
    constructor(publication, owner, open) {
        /** @readonly what the media connection sends */
        this.publication = publication;
        this.#owner = owner;
        this.#open = open;
        /** Muted by a moderator: the server forwards nothing of it. */
        this.blocked = false;
        publication.mediaTrack?.addEventListener('ended', this.#ended);
    }

    /** The server's id; null until it has answered. */
    get id() {
        return this.publication.id;
    }

    get kind() {
        return this.publication.kind;
    }

    get source() {
        return this.publication.source;
    }

    get muted() {
        return this.publication.muted;
    }

    /** What is sent now; null while a released camera is muted. */
    get mediaTrack() {
        return this.publication.mediaTrack;
    }

    /** Stops sending. A camera that the SDK opened is switched off, so its light goes out. */
    async mute() {
        if (this.muted) return;
        this.publication.muted = true;
        if (this.mediaTrack) this.mediaTrack.enabled = false;
        this.#owner.changed(this);
        if (this.kind === 'video' && this.#open) await this.replace(null);
    }

    /**
     * Sends again, opening the device if it was released.
     *
     * @throws {RoostError} the device cannot be opened; the track stays muted
     */
    async unmute() {
        if (!this.muted) return;
        if (!this.mediaTrack) {
            if (!this.#open) throw new RoostError('wrong-state');
            await this.replace(await this.#open());
        }
        this.publication.muted = false;
        if (this.mediaTrack) this.mediaTrack.enabled = true;
        this.#owner.changed(this);
    }

    /**
     * Sends another track in this one's place, without negotiation. The former one is stopped.
     *
     * @param {MediaStreamTrack | null} mediaTrack
     * @param {() => Promise<MediaStreamTrack>} [open] opens this device again after a mute
     * @returns {Promise<void>}
     */
    replace(mediaTrack, open) {
        if (open) this.#open = open;
        this.#switching = this.#switching.then(async () => {
            const before = this.mediaTrack;
            if (before === mediaTrack) return;
            this.publication.mediaTrack = mediaTrack;
            before?.removeEventListener('ended', this.#ended);
            mediaTrack?.addEventListener('ended', this.#ended);
            if (mediaTrack) mediaTrack.enabled = !this.muted;
            await this.publication.transceiver?.sender.replaceTrack(mediaTrack);
            before?.stop();
            this.#owner.changed(this);
        });
        return this.#switching;
    }

    /** Lets go of the device. */
    release() {
        this.mediaTrack?.removeEventListener('ended', this.#ended);
        this.mediaTrack?.stop();
    }
}
