/** The link to send to others, with a button that copies it. */

import { t } from '../texts.js';
import { copyLink } from './call_bar.js';
import { h } from './dom.js';

const OWN_COMPUTER = ['localhost', '127.0.0.1', '[::1]'];

/**
 * @param {string} link
 * @returns {HTMLElement[]}
 */
export function invite(link) {
    const copy = h('button', { class: 'button primary', type: 'button', onclick: () => void copyLink(link) }, t('room.copyLink'));
    const row = h('div', { class: 'link-row' }, h('output', null, link.replace(/^https?:\/\//, '')), copy);
    // the first thing that goes wrong for who tries this out: such a link leads others to their own computer
    return OWN_COMPUTER.includes(new URL(link).hostname) ? [row, h('p', null, t('room.localLink'))] : [row];
}
