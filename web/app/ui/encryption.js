/** What the page says about end-to-end encryption: the chip, its dialog, and who cannot take part. */

import { t } from '../texts.js';
import { showDialog } from './dialog.js';
import { h, icon } from './dom.js';

/**
 * @typedef {import('../../sdk/roster.js').Member} Member
 * @typedef {import('../../sdk/room.js').Room} Room
 * @typedef {import('../../sdk/e2ee.js').MemberSecurity} MemberSecurity
 */

/** The browser keeps what is behind the # to itself: the server never sees the key. */
const PREFIX = '#key=';

/**
 * @param {string} hash of the address
 * @returns {string | null} the room's key as text
 */
export function keyOfHash(hash) {
    if (!hash.startsWith(PREFIX) || hash.length === PREFIX.length) return null;
    try {
        return decodeURIComponent(hash.slice(PREFIX.length));
    } catch {
        return null;
    }
}

/** @param {string} key */
export function hashOfKey(key) {
    return PREFIX + encodeURIComponent(key);
}

export class Encryption {
    #room;
    #onchanged;
    #icon = icon('shield');
    #text = h('span', null);

    /**
     * @param {Room} room
     * @param {() => void} onchanged tiles and banners are to be drawn anew
     */
    constructor(room, onchanged) {
        this.#room = room;
        this.#onchanged = onchanged;
        /** @readonly */
        this.chip = h(
            'button',
            { class: 'chip encrypted', type: 'button', hidden: !room.e2ee, onclick: () => this.#show() },
            this.#icon,
            this.#text,
        );
        this.update();
    }

    /** @returns {() => void} stops listening */
    listen() {
        const off = this.#room.e2ee?.on('member', () => {
            this.update();
            this.#onchanged();
        });
        return () => off?.();
    }

    /** Everything is as it should be, or what is not. */
    update() {
        const { e2ee } = this.#room;
        const secure = e2ee?.secure || this.#problems().length === 0;
        this.#text.textContent = t(secure ? 'e2ee.chip' : 'e2ee.chipPartly');
        this.chip.classList.toggle('partly', !secure);
        this.chip.title = t('e2ee.title');
    }

    /**
     * Why nothing is seen or heard of a member, in a sentence and in the few words that a tile has room for.
     *
     * @param {Member} member
     * @returns {{sentence: string, note: string} | null}
     */
    problem(member) {
        const { e2ee } = this.#room;
        if (member.self) return null;
        const { name } = member;
        if (!e2ee) {
            const locked = [...member.tracks.values()].some(({ encrypted }) => encrypted);
            return locked ? { sentence: t('e2ee.weHaveNoKey', { name }), note: t('e2ee.weHaveNoKeyShort') } : null;
        }
        switch (e2ee.security(member)) {
            case 'wrong-key':
                return { sentence: t('e2ee.wrongKey', { name }), note: t('e2ee.wrongKeyShort') };
            case 'no-key':
                return { sentence: t('e2ee.noKey', { name }), note: t('e2ee.noKeyShort') };
            case 'failed':
                return { sentence: t('e2ee.failed', { name }), note: t('e2ee.failedShort') };
            default:
                return null;
        }
    }

    /** @returns {import('./banners.js').Banner | null} */
    get banner() {
        const problems = this.#problems();
        if (problems.length === 0) return null;
        if (!this.#room.e2ee) return { text: t('e2ee.openWholeLink'), icon: 'shield' };
        const text = problems.length === 1 ? problems[0] : t('e2ee.several', { count: problems.length });
        return { text, icon: 'shield', action: t('e2ee.details'), onaction: () => this.#show() };
    }

    #problems() {
        /** @type {string[]} */
        const problems = [];
        for (const member of this.#room.members.values()) {
            const problem = this.problem(member);
            if (problem) problems.push(problem.sentence);
        }
        return problems;
    }

    #show() {
        const { e2ee, members } = this.#room;
        if (!e2ee) return;
        const rows = [...members.values()].map((member) => {
            const problem = this.problem(member);
            const waiting = !member.self && e2ee.security(member) === 'waiting';
            const state = problem?.sentence ?? t(waiting ? 'e2ee.waiting' : 'e2ee.secure');
            const mark = icon(problem ? 'warning' : 'check');
            mark.classList.toggle('off', problem !== null);
            const name = member.self ? t('room.youNamed', { name: member.name }) : member.name;
            return h('li', null, mark, h('span', null, h('span', null, name), h('small', null, state)));
        });
        showDialog(
            t('e2ee.title'),
            h(
                'div',
                { class: 'encryption' },
                h('p', null, t('e2ee.explained')),
                h('p', { class: 'words' }, ...e2ee.words.split(' ').map((word) => h('span', null, word))),
                h('p', { class: 'hint' }, t('e2ee.compare')),
                h('ul', null, ...rows),
            ),
        );
    }
}
