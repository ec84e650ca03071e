/**
 * Showing and playing tracks in elements of the page.
 */

import { RoostError } from './errors.js';
import { noteShown } from './shown.js';

/**
 * Shows or plays a track in an element, replacing what it played before. The element may be moved
 * or hidden at will and need never be made anew.
 *
 * @param {HTMLMediaElement} element
 * @param {MediaStreamTrack | null} mediaTrack null: nothing
 * @returns {Promise<void>}
 * @throws {RoostError} autoplay-blocked: call element.play() when the user has touched the page
 */
export async function attach(element, mediaTrack) {
    const shown = element.srcObject instanceof MediaStream ? element.srcObject.getTracks() : [];
    if (mediaTrack === (shown[0] ?? null)) return;
    element.srcObject = mediaTrack ? new MediaStream([mediaTrack]) : null;
    noteShown(element, mediaTrack);
    if (mediaTrack) await play(element);
}

/**
 * @param {HTMLMediaElement} element
 * @returns {Promise<void>}
 * @throws {RoostError} autoplay-blocked
 */
export async function play(element) {
    try {
        await element.play();
    } catch (error) {
        // AbortError: another track took its place before it began
        if (error instanceof DOMException && error.name === 'NotAllowedError') {
            throw new RoostError('autoplay-blocked', { cause: error });
        }
    }
}

/**
 * Lets an element's sound come out of another loudspeaker, where the browser can.
 *
 * @param {HTMLMediaElement} element
 * @param {string} deviceId
 */
export async function setSpeaker(element, deviceId) {
    const target = /** @type {{setSinkId?: (id: string) => Promise<void>}} */ (
        /** @type {unknown} */ (element)
    );
    await target.setSinkId?.(deviceId);
}

/** @returns {boolean} the browser lets pages choose a loudspeaker */
export function canChooseSpeaker() {
    return 'setSinkId' in (globalThis.HTMLMediaElement?.prototype ?? {});
}
