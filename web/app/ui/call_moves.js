/** Hold and transfer of a private call: what the menu offers, and what is said of it. */

import { t } from '../texts.js';
import { showDialog } from './dialog.js';
import { h } from './dom.js';

/** @typedef {import('../../sdk/roost.js').Call} Call */

/**
 * @param {Call} call
 * @param {(work: () => Promise<void>) => void} run does it, and shows what went wrong
 * @returns {import('./menu.js').MenuItem[]}
 */
export function moveItems(call, run) {
    if (call.state !== 'connected' && call.state !== 'reconnecting') return [];
    const { local } = call.held;
    return [
        {
            label: t(local ? 'menu.resume' : 'menu.hold'),
            icon: local ? 'play' : 'pause',
            action: () => run(() => (local ? call.resume() : call.hold())),
        },
        {
            label: t('menu.transfer'),
            icon: 'transfer',
            action: () => askWhom(call.peerName, (user) => run(() => call.transfer(user))),
        },
    ];
}

/**
 * Who holds the call, if anybody.
 *
 * @param {Call} call
 * @param {() => void} onresume
 * @returns {import('./banners.js').Banner | null}
 */
export function heldBanner(call, onresume) {
    if (call.held.local) {
        return { text: t('call.held'), icon: 'pause', calm: true, action: t('menu.resume'), onaction: onresume };
    }
    if (!call.held.remote) return null;
    return { text: t('call.heldBy', { name: call.peerName }), icon: 'pause', calm: true };
}

/** @type {Partial<Record<import('../../sdk/protocol.js').CallEndedReason, import('../texts.js').TextKey>>} */
const FAILURES = {
    unavailable: 'transfer.unavailable',
    busy: 'transfer.busy',
    rejected: 'transfer.rejected',
    timeout: 'transfer.timeout',
};

/**
 * Why the other side is still here.
 *
 * @param {import('../../sdk/protocol.js').CallEndedReason} reason
 * @returns {string}
 */
export function transferFailure(reason) {
    return t(FAILURES[reason] ?? 'transfer.failed');
}

/**
 * @param {string} name who is to call somebody else
 * @param {(user: string) => void} onchosen
 */
function askWhom(name, onchosen) {
    const input = h('input', {
        id: 'transfer-user',
        type: 'text',
        required: true,
        maxlength: 64,
        autocomplete: 'off',
        autocapitalize: 'off',
        spellcheck: false,
    });
    const form = h(
        'form',
        { class: 'transfer' },
        h(
            'div',
            { class: 'field' },
            h('label', { for: 'transfer-user' }, t('transfer.user')),
            input,
            h('p', { class: 'hint' }, t('transfer.hint', { name })),
        ),
        h(
            'div',
            { class: 'dialog-actions' },
            h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, t('control.cancel')),
            h('button', { class: 'button primary', type: 'submit' }, t('transfer.action')),
        ),
    );
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        dialog.close();
        onchosen(input.value.trim());
    });
    const dialog = showDialog(t('transfer.title'), form);
    input.focus();
}
