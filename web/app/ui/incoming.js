/** Somebody calls: who, and whether to answer. */

import { t } from '../texts.js';
import { announce } from './announce.js';
import { avatar } from './avatar.js';
import { h, icon } from './dom.js';

/**
 * @typedef {'video' | 'audio' | 'reject'} Answer
 */

/**
 * Shows the call until it is answered or over.
 *
 * @param {import('../../sdk/roost.js').Call} call
 * @param {string} name of the caller
 * @param {(answer: Answer) => void} onanswer
 * @returns {() => void} takes it away
 */
export function showIncoming(call, name, onanswer) {
    const video = call.media === 'video';
    /** @param {Answer} answer */
    const choose = (answer) => {
        close();
        onanswer(answer);
    };
    /** @param {Answer} answer @param {string} picture @param {import('../texts.js').TextKey} text @param {string} look */
    const button = (answer, picture, text, look) =>
        h('button', { class: `button ${look}`, type: 'button', onclick: () => choose(answer) }, icon(picture), t(text));
    const dialog = h(
        'dialog',
        { class: 'incoming', 'aria-label': t('incoming.title', { name }) },
        avatar(name),
        // not a button: what is being typed must not answer
        h('h2', { tabindex: -1, autofocus: true }, name),
        h('p', { role: 'status' }, t(video ? 'incoming.video' : 'incoming.audio')),
        h(
            'div',
            { class: 'incoming-actions' },
            button(video ? 'video' : 'audio', video ? 'camera' : 'phone', 'incoming.accept', 'primary'),
            video && button('audio', 'phone', 'incoming.acceptAudio', ''),
            button('reject', 'leave', 'incoming.reject', 'danger'),
        ),
    );
    dialog.addEventListener('cancel', (event) => event.preventDefault()); // Escape is no answer
    document.body.append(dialog);
    dialog.showModal();
    announce(t('incoming.title', { name }));
    const off = call.on('ended', () => close());
    function close() {
        off();
        dialog.close();
        dialog.remove();
    }
    return close;
}
