/**
 * Cameras, microphones and screens: opening them with sensible settings and clear errors.
 */

import { RoostError, deviceError } from './errors.js';

/**
 * @typedef {object} CameraOptions
 * @property {string} [deviceId] a device of devices(); the browser's default otherwise
 * @property {'user' | 'environment'} [facing] front or back camera of a phone
 * @property {number} [height] wanted lines, 720 by default
 * @property {number} [frameRate] 30 by default
 * @property {MediaTrackConstraints} [constraints] more of them, or others
 *
 * @typedef {object} MicrophoneOptions
 * @property {string} [deviceId]
 * @property {boolean} [music] leave the sound as it is: no echo cancellation, no noise suppression
 * @property {MediaTrackConstraints} [constraints] more of them, or others
 */

/** @throws {RoostError} insecure-context or unsupported-browser */
export function requireMediaDevices() {
    if (globalThis.isSecureContext === false) throw new RoostError('insecure-context');
    if (!navigator.mediaDevices?.getUserMedia || typeof RTCPeerConnection === 'undefined') {
        throw new RoostError('unsupported-browser');
    }
}

/**
 * Opens a camera.
 *
 * @param {CameraOptions} [options]
 * @returns {Promise<MediaStreamTrack>}
 * @throws {RoostError}
 */
export async function openCamera(options = {}) {
    requireMediaDevices();
    return open({ video: cameraConstraints(options) }, 'camera');
}

/**
 * Opens a microphone with echo cancellation, noise suppression and automatic gain.
 *
 * @param {MicrophoneOptions} [options]
 * @returns {Promise<MediaStreamTrack>}
 * @throws {RoostError}
 */
export async function openMicrophone(options = {}) {
    requireMediaDevices();
    return open({ audio: microphoneConstraints(options) }, 'microphone');
}

/**
 * Opens camera and microphone with one question to the user. What cannot be had is null, with
 * the reason; nothing is thrown but insecure-context and unsupported-browser.
 *
 * @param {{camera?: CameraOptions, microphone?: MicrophoneOptions}} [options]
 * @returns {Promise<{camera: MediaStreamTrack | null, microphone: MediaStreamTrack | null, cameraError: RoostError | null, microphoneError: RoostError | null}>}
 * @throws {RoostError}
 */
export async function openCameraAndMicrophone(options = {}) {
    requireMediaDevices();
    try {
        const stream = await navigator.mediaDevices.getUserMedia({
            video: cameraConstraints(options.camera ?? {}),
            audio: microphoneConstraints(options.microphone ?? {}),
        });
        return {
            camera: stream.getVideoTracks()[0] ?? null,
            microphone: stream.getAudioTracks()[0] ?? null,
            cameraError: null,
            microphoneError: null,
        };
    } catch (error) {
        const denied = deviceError(error, 'camera');
        if (denied.code === 'permission-denied') {
            return { camera: null, microphone: null, cameraError: denied, microphoneError: denied };
        }
    }
    // one of the two is missing or busy: take the other
    const [camera, microphone] = await Promise.allSettled([
        openCamera(options.camera),
        openMicrophone(options.microphone),
    ]);
    return {
        camera: camera.status === 'fulfilled' ? camera.value : null,
        microphone: microphone.status === 'fulfilled' ? microphone.value : null,
        cameraError: camera.status === 'rejected' ? camera.reason : null,
        microphoneError: microphone.status === 'rejected' ? microphone.reason : null,
    };
}

/**
 * Asks for a screen, window or tab, with its sound where the browser offers that.
 *
 * @param {{frameRate?: number, audio?: boolean}} [options]
 * @returns {Promise<MediaStream>}
 * @throws {RoostError}
 */
export async function openScreen(options = {}) {
    requireMediaDevices();
    if (!navigator.mediaDevices.getDisplayMedia) throw new RoostError('screen-unsupported');
    try {
        const stream = await navigator.mediaDevices.getDisplayMedia({
            video: { frameRate: { ideal: options.frameRate ?? 15, max: 30 } },
            audio: options.audio ?? true,
        });
        for (const track of stream.getVideoTracks()) {
            if ('contentHint' in track) track.contentHint = 'detail';
        }
        return stream;
    } catch (error) {
        throw deviceError(error, 'screen');
    }
}

/** @returns {boolean} the browser can share the screen */
export function canShareScreen() {
    return typeof globalThis.navigator?.mediaDevices?.getDisplayMedia === 'function';
}

/**
 * The devices to choose from. Labels are empty until the user has allowed a device once.
 *
 * @returns {Promise<{cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}>}
 */
export async function listDevices() {
    const all = (await globalThis.navigator?.mediaDevices?.enumerateDevices?.()) ?? [];
    const named = all.filter((device) => device.deviceId !== '');
    return {
        cameras: named.filter((device) => device.kind === 'videoinput'),
        microphones: named.filter((device) => device.kind === 'audioinput'),
        speakers: named.filter((device) => device.kind === 'audiooutput'),
    };
}

/**
 * @param {CameraOptions} options
 * @returns {MediaTrackConstraints}
 */
function cameraConstraints(options) {
    const height = options.height ?? 720;
    /** @type {MediaTrackConstraints} */
    const video = {
        height: { ideal: height },
        width: { ideal: Math.round((height * 16) / 9) },
        frameRate: { ideal: options.frameRate ?? 30, max: 60 },
    };
    if (options.deviceId) video.deviceId = { exact: options.deviceId };
    else if (options.facing) video.facingMode = { ideal: options.facing };
    return { ...video, ...options.constraints };
}

/**
 * @param {MicrophoneOptions} options
 * @returns {MediaTrackConstraints}
 */
function microphoneConstraints(options) {
    const process = !options.music;
    /** @type {MediaTrackConstraints} */
    const audio = {
        echoCancellation: process,
        noiseSuppression: process,
        autoGainControl: process,
    };
    if (options.deviceId) audio.deviceId = { exact: options.deviceId };
    return { ...audio, ...options.constraints };
}

/**
 * @param {MediaStreamConstraints} constraints
 * @param {'camera' | 'microphone'} device
 * @returns {Promise<MediaStreamTrack>}
 */
async function open(constraints, device) {
    try {
        const stream = await navigator.mediaDevices.getUserMedia(constraints);
        const track = stream.getTracks()[0];
        if (!track) throw new RoostError(device === 'camera' ? 'no-camera' : 'no-microphone');
        return track;
    } catch (error) {
        throw deviceError(error, device);
    }
}
