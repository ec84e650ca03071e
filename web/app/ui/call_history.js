/** Past calls, the newest first; each can be called back. */

import { t } from '../texts.js';
import { toast } from './announce.js';
import { avatar } from './avatar.js';
import { h, icon } from './dom.js';
import { asRoostError } from './local_media.js';
import { problemLine } from './notice.js';

export class CallHistory {
    #account;
    #oncall;
    #list = h('ul', { class: 'contact-rows', 'aria-label': t('contacts.calls') });
    #none = h('p', { class: 'quiet-note' }, t('history.none'));
    #older;

    /**
     * @param {import('../account.js').Account} account
     * @param {(user: string, video: boolean) => void} oncall
     */
    constructor(account, oncall) {
        this.#account = account;
        this.#oncall = oncall;
        this.#older = h(
            'button',
            { class: 'button small older', type: 'button', onclick: () => void this.#loadOlder() },
            t('history.older'),
        );
        /** @readonly */
        this.element = h('section', { class: 'contact-pane' }, this.#list, this.#older, this.#none);
        this.draw();
    }

    draw() {
        const { calls, callsComplete } = this.#account;
        this.#list.replaceChildren(...calls.map((call) => this.#row(call)));
        this.#older.hidden = callsComplete || calls.length === 0;
        this.#none.hidden = calls.length > 0;
    }

    /** @param {import('../account.js').CallRecord} call */
    #row(call) {
        const name = this.#account.contacts.get(call.with)?.name || call.name || call.with;
        const missed = call.direction === 'in' && ['missed', 'cancelled', 'unavailable'].includes(call.result);
        return h(
            'li',
            { class: missed ? 'call-row missed' : 'call-row' },
            avatar(name),
            h(
                'span',
                { class: 'who' },
                h('span', { class: 'who-name' }, name),
                h('small', null, icon(call.direction === 'in' ? 'call-in' : 'call-out'), resultText(call)),
            ),
            h('time', { datetime: new Date(call.beganAt).toISOString() }, whenText(new Date(call.beganAt))),
            call.with && h(
                'button',
                {
                    class: 'icon-button',
                    type: 'button',
                    'aria-label': t('history.call', { name }),
                    title: t('history.call', { name }),
                    onclick: () => this.#oncall(call.with, call.media === 'video'),
                },
                icon(call.media === 'video' ? 'camera' : 'phone'),
            ),
        );
    }

    async #loadOlder() {
        try {
            await this.#account.loadCalls({ older: true });
        } catch (error) {
            toast(problemLine(asRoostError(error)));
        }
    }
}

/** @param {import('../account.js').CallRecord} call */
function resultText(call) {
    if (call.result !== 'answered') return t(`history.${call.direction === 'in' ? 'in' : 'out'}.${call.result}`);
    const minutes = Math.floor(call.seconds / 60);
    return `${minutes}:${String(Math.floor(call.seconds % 60)).padStart(2, '0')}`;
}

/** @param {Date} time */
function whenText(time) {
    const today = time.toDateString() === new Date().toDateString();
    return today
        ? time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
        : time.toLocaleDateString([], { day: 'numeric', month: 'short' });
}
