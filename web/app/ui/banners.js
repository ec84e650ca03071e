/** Lines above the stage that say what state the call is in, one per subject. */

import { attribute, h, icon } from './dom.js';

/**
 * @typedef {object} Banner
 * @property {string} text
 * @property {string} [icon]
 * @property {boolean} [busy] something is under way
 * @property {boolean} [calm] not a problem
 * @property {string} [action]
 * @property {() => void} [onaction]
 */

export class Banners {
    /** @readonly */
    element = h('div', { class: 'banners', role: 'status' });
    /** @type {Map<string, {text: string, element: HTMLElement}>} */
    #shown = new Map();

    /**
     * @param {string} subject
     * @param {Banner | null} banner null: all is well
     */
    set(subject, banner) {
        const before = this.#shown.get(subject);
        if (before?.text === banner?.text) return;
        before?.element.remove();
        this.#shown.delete(subject);
        if (!banner) return;
        const element = h(
            'div',
            { class: banner.calm ? 'banner calm' : 'banner' },
            banner.busy ? h('span', { class: 'spinner', 'aria-hidden': 'true' }) : icon(banner.icon ?? 'warning'),
            banner.text,
            banner.action &&
                h('button', { class: 'button small', type: 'button', onclick: banner.onaction }, banner.action),
        );
        attribute(element, 'data-subject', subject);
        this.#shown.set(subject, { text: banner.text, element });
        this.element.append(element);
    }
}
