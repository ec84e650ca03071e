/** The panel that lists everybody, with what a moderator can do. */

import { t } from '../texts.js';
import { avatar } from './avatar.js';
import { h, icon } from './dom.js';
import { openMenu } from './menu.js';

/**
 * @typedef {import('../../sdk/roster.js').Member} Member
 * @typedef {import('../../sdk/room.js').Room} Room
 */

export class PeoplePanel {
    /**
     * @param {Room} room
     * @param {{onclose: () => void, onerror: (error: unknown) => void}} options
     */
    constructor(room, { onclose, onerror }) {
        this.#room = room;
        this.#onerror = onerror;
        this.#title = h('h2', null, t('people.title'));
        this.#list = h('ul', { class: 'people-list', 'aria-label': t('people.list') });
        /** @readonly */
        this.element = h(
            'aside',
            { class: 'panel', 'aria-label': t('people.title'), hidden: true },
            h(
                'header',
                null,
                this.#title,
                h(
                    'button',
                    {
                        class: 'icon-button',
                        type: 'button',
                        'aria-label': t('control.close'),
                        onclick: onclose,
                    },
                    icon('close'),
                ),
            ),
            this.#list,
        );
    }

    #room;
    #onerror;
    #title;
    #list;

    get open() {
        return !this.element.hidden;
    }

    /** @param {boolean} open */
    show(open) {
        this.element.hidden = !open;
        if (open) this.update();
    }

    /** Draws the list anew, if it is seen. */
    update() {
        if (!this.open) return;
        const members = [...this.#room.members.values()];
        this.#title.textContent = `${t('people.title')} · ${members.length}`;
        this.#list.replaceChildren(...members.map((member) => this.#row(member)));
    }

    /** @param {Member} member */
    #row(member) {
        const off = isMuted(this.#room, member);
        const state = icon(off ? 'mic-off' : 'mic');
        state.classList.toggle('off', off);
        const items = this.#actions(member);
        return h(
            'li',
            { class: 'person' },
            avatar(member.name),
            h(
                'span',
                { class: 'who' },
                h('span', null, member.self ? t('room.youNamed', { name: member.name }) : member.name),
                member.moderator && h('small', null, t('people.moderator')),
                h('span', { class: 'visually-hidden' }, t(off ? 'people.micOff' : 'people.micOn')),
            ),
            state,
            items.length > 0
                ? h(
                      'button',
                      {
                          class: 'icon-button',
                          type: 'button',
                          'aria-haspopup': 'menu',
                          'aria-expanded': 'false',
                          'aria-label': t('menu.actionsFor', { name: member.name }),
                          onclick: (/** @type {Event} */ event) =>
                              openMenu(
                                  /** @type {HTMLElement} */ (event.currentTarget),
                                  items,
                                  t('menu.actionsFor', { name: member.name }),
                              ),
                      },
                      icon('more'),
                  )
                : h('span'),
        );
    }

    /**
     * @param {Member} member
     * @returns {import('./menu.js').MenuItem[]}
     */
    #actions(member) {
        const room = this.#room;
        if (!room.self.moderator || member.self) return [];
        /** @param {() => Promise<void>} work */
        const run = (work) => () => void work().catch(this.#onerror);
        /** @type {import('./menu.js').MenuItem[]} */
        const items = [];
        const sounds = [...member.tracks.values()].filter(({ kind }) => kind === 'audio');
        if (sounds.length > 0) {
            const blocked = sounds.every((track) => track.blocked);
            items.push({
                label: t(blocked ? 'menu.unmuteMember' : 'menu.muteMember'),
                icon: blocked ? 'mic' : 'mic-off',
                action: run(async () => {
                    for (const track of sounds) await room.block(track, !blocked);
                }),
            });
        }
        if (!member.moderator) {
            items.push({
                label: t('menu.promote'),
                icon: 'people',
                action: run(() => room.promote(member)),
            });
        }
        items.push(
            { separator: true },
            { label: t('menu.kick'), icon: 'close', danger: true, action: run(() => room.kick(member)) },
        );
        return items;
    }
}

/**
 * @param {Room} room
 * @param {Member} member
 * @returns {boolean} nobody hears this member's microphone
 */
export function isMuted(room, member) {
    if (member.self) {
        const own = room.localTracks.find(({ source }) => source === 'microphone');
        return !own || own.muted || own.blocked;
    }
    const sounds = [...member.tracks.values()].filter(
        ({ kind, source }) => kind === 'audio' && source !== 'screen_audio',
    );
    return sounds.every(({ muted, blocked }) => muted || blocked);
}
