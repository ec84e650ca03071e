/** What a screen reader says, and short messages that everybody sees. */

import { h } from './dom.js';

const TOAST_MS = 5000;

/**
 * Says a text in the polite live region, without showing it.
 *
 * @param {string} text
 */
export function announce(text) {
    const region = document.getElementById('announcer');
    if (region) region.textContent = text;
}

/** @type {WeakMap<Element, Map<string, HTMLElement>>} */
const shownIn = new WeakMap();

/** @returns {HTMLElement} */
function region() {
    const existing = document.querySelector('.toasts');
    if (existing instanceof HTMLElement) return existing;
    const made = h('div', { class: 'toasts', role: 'status' });
    document.body.append(made);
    return made;
}

/**
 * Shows a text for a few seconds. A text that is shown already is not shown twice.
 *
 * @param {string} text
 * @param {{action?: string, onaction?: () => void, stay?: boolean}} [options]
 * @returns {() => void} takes it away
 */
export function toast(text, options = {}) {
    const place = region();
    const shown = shownIn.get(place) ?? new Map();
    shownIn.set(place, shown);
    shown.get(text)?.remove();
    const close = () => {
        clearTimeout(timer);
        element.remove();
        if (shown.get(text) === element) shown.delete(text);
    };
    const element = h(
        'div',
        { class: 'toast' },
        h('span', null, text),
        options.action &&
            h(
                'button',
                {
                    class: 'button small',
                    type: 'button',
                    onclick: () => {
                        close();
                        options.onaction?.();
                    },
                },
                options.action,
            ),
    );
    shown.set(text, element);
    place.append(element);
    const timer = options.stay ? undefined : setTimeout(close, TOAST_MS);
    return close;
}
