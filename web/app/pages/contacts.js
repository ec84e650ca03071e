/** The signed-in user's page: who is there, what was said, who called. */

import { t } from '../texts.js';
import { announce, toast } from '../ui/announce.js';
import { CallHistory } from '../ui/call_history.js';
import { ContactList } from '../ui/contact_list.js';
import { ConversationView } from '../ui/conversation.js';
import { DeviceList } from '../ui/device_list.js';
import { h, icon } from '../ui/dom.js';
import { asRoostError } from '../ui/local_media.js';
import { closeMenu, openMenu } from '../ui/menu.js';
import { problemLine } from '../ui/notice.js';
import { brand } from './message.js';

/** @typedef {'people' | 'calls' | 'devices'} Tab */
/** @type {{tab: Tab, icon: string, text: import('../texts.js').TextKey}[]} */
const TABS = [
    { tab: 'people', icon: 'people', text: 'contacts.people' },
    { tab: 'calls', icon: 'phone', text: 'contacts.calls' },
    { tab: 'devices', icon: 'signal', text: 'contacts.devices' },
];
/** @type {import('../account.js').PresenceChoice[]} */
const PRESENCES = ['online', 'away', 'dnd'];

/**
 * @typedef {object} ContactsPageOptions
 * @property {import('../account.js').Account} account
 * @property {string} [user] whose conversation is shown first
 * @property {(user: string, video: boolean) => void} oncall
 * @property {() => void} onsignout
 */

/**
 * @param {ContactsPageOptions} options
 * @returns {{element: HTMLElement, close: () => void}}
 */
export function contactsPage(options) {
    const page = new ContactsPage(options);
    return { element: page.element, close: () => page.close() };
}

class ContactsPage {
    #options;
    #account;
    #people;
    #history;
    /** @type {ConversationView | null} */
    #conversation = null;
    #pane = h('div', { class: 'contact-side', role: 'tabpanel' });
    #main = h('main', { class: 'contact-main', id: 'content' });
    #tabs;
    #presence;
    /** @type {(() => void)[]} */
    #offs = [];

    /** @param {ContactsPageOptions} options */
    constructor(options) {
        this.#options = options;
        this.#account = options.account;
        this.#people = new ContactList(this.#account, (user) => this.#open(user));
        this.#history = new CallHistory(this.#account, options.oncall);
        this.#tabs = TABS.map(({ tab, icon: name, text }) => {
            const count = h('span', { class: 'count', hidden: true });
            const button = h(
                'button',
                { class: 'tab', type: 'button', role: 'tab', onclick: () => this.#choose(tab) },
                icon(name),
                h('span', null, t(text)),
                count,
            );
            return { tab, button, count };
        });
        this.#presence = h('button', {
            class: 'button small presence-button',
            type: 'button',
            'aria-haspopup': 'menu',
            onclick: () => this.#openMenu(),
        });
        /** @readonly */
        this.element = h(
            'div',
            { class: 'contacts' },
            h('header', { class: 'contacts-head' }, brand(), this.#presence),
            h(
                'div',
                { class: 'contacts-body' },
                h(
                    'div',
                    { class: 'contacts-list' },
                    h('div', { class: 'tabs', role: 'tablist', 'aria-label': t('contacts.title'), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#tabKey(event) }, ...this.#tabs.map(({ button }) => button)),
                    this.#pane,
                ),
                this.#main,
            ),
        );
        this.#offs.push(
            this.#account.on('contacts', () => this.#contactsChanged()),
            this.#account.on('conversation', ({ user }) => this.#conversationChanged(user)),
            this.#account.on('calls', () => this.#callsChanged()),
        );
        document.title = `${t('contacts.title')} · ${t('app.name')}`;
        this.#choose('people');
        this.#drawMain();
        this.#contactsChanged();
        this.#callsChanged();
        if (options.user) this.#open(options.user);
    }

    close() {
        closeMenu();
        this.#conversation?.close();
        for (const off of this.#offs) off();
    }

    /** @param {Tab} tab */
    #choose(tab) {
        for (const { tab: other, button } of this.#tabs) {
            button.setAttribute('aria-selected', String(other === tab));
            button.tabIndex = other === tab ? 0 : -1;
        }
        const panes = {
            people: () => this.#people.element,
            calls: () => this.#history.element,
            devices: () => new DeviceList(this.#account.client).element,
        };
        this.#pane.replaceChildren(panes[tab]());
        this.#pane.setAttribute('aria-label', t(`contacts.${tab}`));
        if (tab === 'calls') void this.#account.seeCalls().catch(() => {}); // counted again next time
    }

    /** @param {KeyboardEvent} event */
    #tabKey(event) {
        const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
        const at = this.#tabs.findIndex(({ button }) => button === document.activeElement);
        if (!step || at < 0) return;
        const { tab, button } = this.#tabs[(at + step + this.#tabs.length) % this.#tabs.length];
        this.#choose(tab);
        button.focus();
    }

    /** @param {string} user */
    #open(user) {
        this.#conversation?.close();
        this.#conversation = new ConversationView(this.#account, user, {
            oncall: this.#options.oncall,
            onback: () => this.#back(),
        });
        this.#people.choose(user);
        this.#drawMain();
        this.#conversation.focus();
    }

    #back() {
        const user = this.#conversation?.user;
        this.#conversation?.close();
        this.#conversation = null;
        this.#people.choose('');
        this.#drawMain();
        this.#pane.querySelector(/** @type {'button'} */ (`[data-user="${CSS.escape(user ?? '')}"]`))?.focus();
    }

    #drawMain() {
        this.element.classList.toggle('reading', this.#conversation !== null);
        this.#main.replaceChildren(
            this.#conversation?.element ??
                h('div', { class: 'pane-note' }, icon('chat'), h('p', null, t('contacts.choose'))),
        );
        this.#conversation?.draw(); // it must be there to be scrolled
    }

    #contactsChanged() {
        this.#people.draw();
        this.#conversation?.drawContact();
        const { presence, user } = this.#account;
        this.#presence.replaceChildren(
            h('span', { class: 'presence-dot', 'data-presence': presence }),
            h('span', { class: 'presence-user' }, user),
            icon('chevron'),
        );
        this.#presence.setAttribute('aria-label', t('contacts.own', { user, presence: t(`presence.${presence}`) }));
    }

    /** @param {string} user */
    #conversationChanged(user) {
        this.#people.draw();
        const last = this.#account.conversation(user).messages.at(-1);
        if (this.#conversation?.user === user) this.#conversation.draw();
        if (last && !last.own && this.#account.conversation(user).unread)
            announce(t('live.chat', { name: this.#account.nameOf(user), text: last.text }));
        this.#count('people', this.#account.unread, t('chat.unread', { count: this.#account.unread }));
    }

    #callsChanged() {
        this.#history.draw();
        const { missedCalls } = this.#account;
        this.#count('calls', missedCalls, t('history.missedCount', { count: missedCalls }));
        this.#count('people', this.#account.unread, t('chat.unread', { count: this.#account.unread }));
    }

    /**
     * @param {Tab} tab
     * @param {number} number
     * @param {string} label
     */
    #count(tab, number, label) {
        const count = this.#tabs.find(({ tab: other }) => other === tab)?.count;
        if (!count) return;
        count.hidden = number === 0;
        count.textContent = String(number);
        count.setAttribute('aria-label', label);
    }

    #openMenu() {
        /** @type {import('../ui/menu.js').MenuItem[]} */
        const items = PRESENCES.map((presence) => ({
            label: t(`presence.${presence}`),
            checked: this.#account.presence === presence,
            action: () => void this.#account.setPresence(presence).catch((error) => toast(problemLine(asRoostError(error)))),
        }));
        items.push({ separator: true }, { label: t('contacts.signOut'), icon: 'leave', action: this.#options.onsignout });
        openMenu(this.#presence, items, t('contacts.menu'));
    }
}
