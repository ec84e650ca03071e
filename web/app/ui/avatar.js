/** Initials on a colour that stays the same for the same name. */

import { h } from './dom.js';

const HUES = 8;

/**
 * One or two letters that stand for a name.
 *
 * @param {string} name
 * @returns {string}
 */
export function initials(name) {
    const words = name.split(/[\s._-]+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
    const letters = words.map((word) => [...word].find((sign) => /[\p{L}\p{N}]/u.test(sign)) ?? '');
    const chosen = letters.length > 1 ? [letters[0], letters[letters.length - 1]] : letters;
    return chosen.join('').toLocaleUpperCase() || '?';
}

/**
 * @param {string} name
 * @returns {string} the number of its colour
 */
export function hue(name) {
    let mixed = 0x811c9dc5; // FNV-1a, then a last stir: short names must spread, too
    for (const sign of name.trim().toLowerCase()) {
        mixed = Math.imul(mixed ^ (sign.codePointAt(0) ?? 0), 0x01000193);
    }
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
    return String(((mixed ^ (mixed >>> 12)) >>> 0) % HUES);
}

/**
 * @param {string} name
 * @returns {HTMLElement}
 */
export function avatar(name) {
    return h('span', { class: 'avatar', 'aria-hidden': 'true', 'data-hue': hue(name) }, initials(name));
}
