/** The own microphone and camera during a call: on, off, another device; the same for rooms and calls. */

import { Emitter, openCamera, openMicrophone } from '../../sdk/roost.js';
import { saveSettings, settings } from '../settings.js';
import { t } from '../texts.js';
import { announce } from './announce.js';
import { TalkDetector, measureLevel } from './level.js';

/**
 * @typedef {import('../../sdk/roost.js').LocalTrack} LocalTrack
 * @typedef {import('../../sdk/roost.js').Room | import('../../sdk/roost.js').Call} Target
 *
 * @typedef {object} OwnDevicesEvents
 * @property {null} changed
 * @property {boolean} talking-muted somebody talks though the microphone is off; false: no more
 * @property {unknown} error
 */

/** @extends {Emitter<OwnDevicesEvents>} */
export class OwnDevices extends Emitter {
    #target;
    #busy = false;
    /** @type {(() => void) | null} */
    #stopLevel = null;
    /** @type {MediaStreamTrack | null} */
    #measured = null;
    #talking = false;
    #closed = false;

    /** @param {Target} target */
    constructor(target) {
        super();
        this.#target = target;
    }

    /** @returns {LocalTrack | undefined} */
    get microphone() {
        return this.#target.localTracks.find(({ source }) => source === 'microphone');
    }

    /** @returns {LocalTrack | undefined} */
    get camera() {
        return this.#target.localTracks.find(({ source }) => source === 'camera');
    }

    get microphoneOn() {
        const { microphone } = this;
        return microphone !== undefined && !microphone.muted;
    }

    get cameraOn() {
        const { camera } = this;
        return camera !== undefined && !camera.muted;
    }

    /**
     * Publishes what the lobby opened, or is still opening: who joins while the browser asks about the
     * camera is seen once they answered. A microphone that is off is published muted, so that it can be
     * switched on at once.
     *
     * @param {import('./local_media.js').LocalMedia} media
     * @returns {Promise<void>}
     */
    start(media) {
        return this.#run(async () => {
            await media.settled;
            if (this.#closed) return media.stop();
            const { microphoneOn } = media;
            const { camera, microphone } = media.release();
            /** @type {Promise<LocalTrack>[]} */
            const work = [];
            if (microphone) {
                work.push(
                    this.#target.microphone({ track: microphone, muted: !microphoneOn, ...idOf(microphone) }),
                );
            }
            if (camera) work.push(this.#target.camera({ track: camera, ...idOf(camera) }));
            await Promise.all(work);
        });
    }

    /** @returns {Promise<void>} */
    toggleMicrophone() {
        return this.#run(async () => {
            const { microphone } = this;
            if (!microphone) await this.#target.microphone(chosen('microphone'));
            else if (microphone.muted) await microphone.unmute();
            else await microphone.mute();
            announce(t(this.microphoneOn ? 'live.unmuted' : 'live.muted'));
        });
    }

    /** @returns {Promise<void>} */
    toggleCamera() {
        return this.#run(async () => {
            const { camera } = this;
            if (!camera) await this.#target.camera(chosen('camera'));
            else if (camera.muted) await camera.unmute();
            else await camera.mute();
            announce(t(this.cameraOn ? 'live.cameraOn' : 'live.cameraOff'));
        });
    }

    /**
     * @param {'camera' | 'microphone'} kind
     * @param {string} deviceId
     */
    choose(kind, deviceId) {
        saveSettings({ [kind]: deviceId });
        const local = this[kind];
        if (!local) return Promise.resolve();
        const open = () => (kind === 'camera' ? openCamera({ deviceId }) : openMicrophone({ deviceId }));
        return this.#run(async () => {
            if (local.mediaTrack) await local.replace(await open(), open);
            else await local.replace(null, open); // a camera that is off: used when it goes on
        });
    }

    /** Call when the target tells that a local track changed. */
    update() {
        const track = this.microphone?.mediaTrack ?? null;
        if (track !== this.#measured) {
            this.#stopLevel?.();
            this.#measured = track;
            const detector = new TalkDetector();
            this.#stopLevel = track
                ? measureLevel(track, (level) => this.#heard(!this.microphoneOn && detector.hear(level)))
                : null;
        }
        this.emit('changed', null);
    }

    close() {
        this.#closed = true;
        this.#stopLevel?.();
        this.clear();
    }

    /** @param {boolean} talking */
    #heard(talking) {
        if (talking === this.#talking) return;
        this.#talking = talking;
        this.emit('talking-muted', talking);
    }

    /**
     * One change after the other: a second press while a device opens does nothing.
     *
     * @param {() => Promise<void>} work
     */
    async #run(work) {
        if (this.#busy) return;
        this.#busy = true;
        try {
            await work();
        } catch (error) {
            this.emit('error', error);
        } finally {
            this.#busy = false;
            if (!this.#closed) this.update();
        }
    }
}

/** @param {'camera' | 'microphone'} kind */
function chosen(kind) {
    return settings[kind] ? { deviceId: settings[kind] } : {};
}

/** @param {MediaStreamTrack} track */
function idOf(track) {
    const { deviceId } = track.getSettings();
    return deviceId ? { deviceId } : {};
}
