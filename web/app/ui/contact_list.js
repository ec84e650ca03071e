/** Who can be called and written to, those that can be reached first. */

import { t } from '../texts.js';
import { avatar } from './avatar.js';
import { h } from './dom.js';

/** @typedef {import('../../sdk/contacts.js').Contact} Contact */

/** @type {Record<string, number>} */
const ORDER = { online: 0, busy: 1, away: 2, dnd: 3, offline: 4 };

/** Languages other than a browser's that people may wonder about. */
/** @type {Record<string, string>} */
const BINDINGS = { mqtt: 'MQTT', peerjs: 'PeerJS', 'simple-peer': 'simple-peer', sip: 'SIP', xmpp: 'XMPP' };

/** @param {Contact} contact */
export function presenceText({ presence, bindings }) {
    const languages = bindings.map((name) => BINDINGS[name]).filter(Boolean);
    const state = t(`presence.${presence}`);
    return languages.length ? `${state} · ${languages.join(', ')}` : state;
}

/** @param {Contact} contact */
export function contactFace(contact) {
    return h(
        'span',
        { class: 'face' },
        avatar(contact.name || contact.user),
        h('span', { class: 'presence-dot', 'data-presence': contact.presence }),
    );
}

export class ContactList {
    #account;
    #onchoose;
    #search;
    #list = h('ul', { class: 'contact-rows', 'aria-label': t('contacts.people') });
    #nobody = h('p', { class: 'quiet-note', hidden: true });
    #chosen = '';

    /**
     * @param {import('../account.js').Account} account
     * @param {(user: string) => void} onchoose
     */
    constructor(account, onchoose) {
        this.#account = account;
        this.#onchoose = onchoose;
        this.#search = h('input', {
            type: 'search',
            placeholder: t('contacts.search'),
            'aria-label': t('contacts.search'),
            autocomplete: 'off',
            oninput: () => this.draw(),
        });
        /** @readonly */
        this.element = h(
            'section',
            { class: 'contact-pane' },
            h('div', { class: 'field contact-search' }, this.#search),
            this.#list,
            this.#nobody,
        );
        this.draw();
    }

    /** @param {string} user */
    choose(user) {
        this.#chosen = user;
        this.draw();
    }

    draw() {
        const wanted = this.#search.value.trim().toLocaleLowerCase();
        const shown = [...this.#account.contacts.values()]
            .filter(({ user, name }) => `${name} ${user}`.toLocaleLowerCase().includes(wanted))
            .sort(
                (a, b) =>
                    ORDER[a.presence] - ORDER[b.presence] || (a.name || a.user).localeCompare(b.name || b.user),
            );
        const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.user : undefined;
        this.#list.replaceChildren(...shown.map((contact) => this.#row(contact)));
        if (focused) this.#list.querySelector(/** @type {'button'} */ (`[data-user="${CSS.escape(focused)}"]`))?.focus();
        this.#nobody.hidden = shown.length > 0;
        this.#nobody.textContent = t(wanted ? 'contacts.noneFound' : 'contacts.none');
    }

    /** @param {Contact} contact */
    #row(contact) {
        const { unread } = this.#account.conversation(contact.user);
        return h(
            'li',
            null,
            h(
                'button',
                {
                    class: 'contact-row',
                    type: 'button',
                    'data-user': contact.user,
                    'aria-current': this.#chosen === contact.user && 'true',
                    onclick: () => this.#onchoose(contact.user),
                },
                contactFace(contact),
                h(
                    'span',
                    { class: 'who' },
                    h(
                        'span',
                        { class: 'who-name' },
                        contact.name || contact.user,
                        !contact.verified && h('span', { class: 'guest' }, t('contacts.guest')),
                    ),
                    h('small', null, presenceText(contact)),
                ),
                unread > 0 &&
                    h('span', { class: 'count', 'aria-label': t('chat.unread', { count: unread }) }, unread),
            ),
        );
    }
}
