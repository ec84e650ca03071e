/** Plays the others' sound, and asks for a touch where the browser wants one first. */

import { attach, play, setSpeaker } from '../../sdk/roost.js';
import { settings } from '../settings.js';
import { h } from './dom.js';

export class Sounds {
    /** @type {Map<string, HTMLAudioElement>} */
    #elements = new Map();
    #onblocked;

    /** @param {(blocked: boolean) => void} onblocked the browser holds sound back, or no more */
    constructor(onblocked) {
        this.#onblocked = onblocked;
        /** @readonly */
        this.element = h('div', { hidden: true });
    }

    /**
     * @param {string} id
     * @param {MediaStreamTrack | null} mediaTrack
     */
    set(id, mediaTrack) {
        let element = this.#elements.get(id);
        if (!mediaTrack) {
            if (element) element.srcObject = null;
            element?.remove();
            this.#elements.delete(id);
            return;
        }
        if (!element) {
            element = h('audio', { autoplay: true });
            this.#elements.set(id, element);
            this.element.append(element);
            if (settings.speaker) void setSpeaker(element, settings.speaker).catch(() => {});
        }
        attach(element, mediaTrack).catch(() => this.#onblocked(true));
    }

    /** After the user has touched the page. */
    async unblock() {
        const results = await Promise.allSettled([...this.#elements.values()].map(play));
        this.#onblocked(results.some(({ status }) => status === 'rejected'));
    }

    /** @param {string} deviceId */
    setSpeaker(deviceId) {
        for (const element of this.#elements.values()) {
            void setSpeaker(element, deviceId).catch(() => {});
        }
    }

    close() {
        for (const id of [...this.#elements.keys()]) this.set(id, null);
    }
}
