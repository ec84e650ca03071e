/** Modal dialogs, on the browser's own <dialog>. */

import { t } from '../texts.js';
import { h, icon } from './dom.js';

/**
 * Shows a dialog until it is closed.
 *
 * @param {string} title
 * @param {HTMLElement} content
 * @param {() => void} [onclose]
 * @returns {HTMLDialogElement}
 */
export function showDialog(title, content, onclose) {
    const dialog = h(
        'dialog',
        { 'aria-label': title },
        h(
            'header',
            null,
            h('h2', null, title),
            h(
                'button',
                {
                    class: 'icon-button',
                    type: 'button',
                    'aria-label': t('control.close'),
                    onclick: () => dialog.close(),
                },
                icon('close'),
            ),
        ),
        content,
    );
    dialog.addEventListener('close', () => {
        dialog.remove();
        onclose?.();
    });
    dialog.addEventListener('click', (event) => {
        if (event.target === dialog) dialog.close();
    });
    (document.querySelector('.room') ?? document.body).append(dialog);
    dialog.showModal();
    return dialog;
}

/**
 * Asks before something that cannot be undone.
 *
 * @param {string} question
 * @param {string} action what the button says
 * @param {() => void} onaction
 */
export function confirm(question, action, onaction) {
    const dialog = showDialog(
        question,
        h(
            'div',
            { class: 'dialog-actions' },
            h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, t('control.cancel')),
            h(
                'button',
                {
                    class: 'button danger',
                    type: 'button',
                    onclick: () => {
                        dialog.close();
                        onaction();
                    },
                },
                action,
            ),
        ),
    );
}

/** @type {[string, import('../texts.js').TextKey][]} */
const SHORTCUTS = [
    ['M', 'shortcuts.mic'],
    ['V', 'shortcuts.camera'],
    ['S', 'shortcuts.screen'],
    ['C', 'shortcuts.chat'],
    ['P', 'shortcuts.people'],
    ['F', 'shortcuts.fullscreen'],
    ['?', 'shortcuts.help'],
];

/**
 * The list of shortcuts.
 *
 * @param {string[]} keys which of them work here
 */
export function showShortcuts(keys) {
    const rows = SHORTCUTS.filter(([key]) => keys.includes(key)).flatMap(([key, text]) => [
        h('dt', null, t(text)),
        h('dd', null, h('kbd', null, key)),
    ]);
    showDialog(t('shortcuts.title'), h('dl', { class: 'keys' }, ...rows));
}

/**
 * Listens for the shortcuts while a page is shown. Keys typed into fields are left alone.
 *
 * @param {Record<string, () => void>} actions by upper-case key
 * @returns {() => void} stops listening
 */
export function listenForShortcuts(actions) {
    /** @param {KeyboardEvent} event */
    const listener = (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
        const target = event.target instanceof Element ? event.target : null;
        if (target?.closest('input, textarea, select, [role="menu"], dialog')) return;
        const action = actions[event.key.toUpperCase()];
        if (!action) return;
        event.preventDefault();
        action();
    };
    document.addEventListener('keydown', listener);
    return () => document.removeEventListener('keydown', listener);
}
