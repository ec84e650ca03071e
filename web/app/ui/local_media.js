/**
 * Camera and microphone before they are published: the lobby opens them here and hands them to the
 * call. Each may be on, off or impossible, with the reason.
 */

import {
    Emitter,
    RoostError,
    openCamera,
    openCameraAndMicrophone,
    openMicrophone,
} from '../../sdk/roost.js';
import { saveSettings, settings } from '../settings.js';

/** @extends {Emitter<{changed: null}>} */
export class LocalMedia extends Emitter {
    /** @type {MediaStreamTrack | null} */
    camera = null;
    /** @type {MediaStreamTrack | null} */
    microphone = null;
    /** @type {RoostError | null} */
    cameraError = null;
    /** @type {RoostError | null} */
    microphoneError = null;
    /** The user wants to be seen. */
    cameraOn = true;
    /** The user wants to be heard. */
    microphoneOn = true;
    starting = false;
    /** @type {Promise<void> | null} */
    #opening = null;
    #stopped = false;

    /** Resolves once the user has answered for camera and microphone; at once when nothing is asked. */
    get settled() {
        return this.#opening ?? Promise.resolve();
    }

    /**
     * Opens both, asking the user once.
     *
     * @returns {Promise<void>}
     */
    start() {
        this.#stopped = false;
        this.#opening ??= this.#openBoth().finally(() => {
            this.#opening = null;
        });
        return this.#opening;
    }

    async #openBoth() {
        this.starting = true;
        this.emit('changed', null);
        try {
            if (this.cameraOn) {
                const found = await openCameraAndMicrophone({
                    camera: deviceOption(settings.camera),
                    microphone: deviceOption(settings.microphone),
                });
                this.#letGo();
                Object.assign(this, found);
            } else {
                await this.#open('microphone'); // nobody is asked for a camera that is not wanted
            }
            if (isMissing(this.cameraError) && settings.camera) await this.#forgetDevices();
        } catch (error) {
            this.cameraError = this.microphoneError = asRoostError(error);
        }
        this.starting = false;
        this.#apply();
    }

    /** @param {boolean} on */
    async setCamera(on) {
        this.cameraOn = on;
        if (!on) {
            this.camera?.stop();
            this.camera = null;
        } else if (!this.camera) {
            await this.#open('camera');
        }
        this.#apply();
    }

    /** @param {boolean} on */
    async setMicrophone(on) {
        this.microphoneOn = on;
        if (on && !this.microphone) await this.#open('microphone');
        this.#apply();
    }

    /**
     * Uses another device from now on, and remembers it.
     *
     * @param {'camera' | 'microphone'} kind
     * @param {string} deviceId empty: the system's default
     */
    async choose(kind, deviceId) {
        saveSettings({ [kind]: deviceId });
        if (kind === 'camera' && !this.cameraOn) return;
        this[kind]?.stop();
        this[kind] = null;
        await this.#open(kind);
        this.#apply();
    }

    /** Hands the tracks over: they are the caller's from now on. */
    release() {
        const { camera, microphone } = this;
        this.camera = this.microphone = null;
        return { camera, microphone };
    }

    /** Lets go of the devices, of those that are still being opened too. */
    stop() {
        this.#stopped = true;
        this.#letGo();
    }

    #letGo() {
        this.camera?.stop();
        this.microphone?.stop();
        this.camera = this.microphone = null;
    }

    /** @param {'camera' | 'microphone'} kind */
    async #open(kind) {
        try {
            const deviceId = settings[kind] || undefined;
            const track = await (kind === 'camera' ? openCamera({ deviceId }) : openMicrophone({ deviceId }));
            this[kind]?.stop(); // opened meanwhile
            this[kind] = track;
            this[`${kind}Error`] = null;
        } catch (error) {
            this[`${kind}Error`] = asRoostError(error);
        }
    }

    /** The remembered devices are not there any more. */
    async #forgetDevices() {
        saveSettings({ camera: '', microphone: '' });
        if (!this.camera) await this.#open('camera');
        if (!this.microphone) await this.#open('microphone');
    }

    #apply() {
        if (this.#stopped) this.#letGo();
        if (this.microphone) this.microphone.enabled = this.microphoneOn;
        if (this.camera && !this.cameraOn) {
            this.camera.stop();
            this.camera = null;
        }
        this.emit('changed', null);
    }
}

/** @param {RoostError | null} error */
function isMissing(error) {
    return error?.code === 'no-camera' || error?.code === 'no-microphone';
}

/**
 * @param {string} deviceId
 * @returns {{deviceId?: string}}
 */
function deviceOption(deviceId) {
    return deviceId ? { deviceId } : {};
}

/**
 * @param {unknown} error
 * @returns {RoostError}
 */
export function asRoostError(error) {
    return error instanceof RoostError ? error : new RoostError('unknown', { cause: error });
}
