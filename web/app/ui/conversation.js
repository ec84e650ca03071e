/** What was said with one contact, and calling them. */

import { t } from '../texts.js';
import { toast } from './announce.js';
import { Composer } from './composer.js';
import { contactFace, presenceText } from './contact_list.js';
import { h, icon } from './dom.js';
import { asRoostError } from './local_media.js';
import { MessageLog } from './message_log.js';
import { problemLine } from './notice.js';

export class ConversationView {
    #account;
    #user;
    #oncall;
    #head = h('div', { class: 'conversation-who' });
    #log = new MessageLog(t('conversation.empty'));
    #older;
    #composer;
    #audio;
    #video;

    /**
     * @param {import('../account.js').Account} account
     * @param {string} user
     * @param {{oncall: (user: string, video: boolean) => void, onback: () => void}} options
     */
    constructor(account, user, { oncall, onback }) {
        this.#account = account;
        this.#user = user;
        this.#oncall = oncall;
        this.#audio = this.#callButton('phone', 'conversation.audio', false);
        this.#video = this.#callButton('camera', 'conversation.video', true);
        this.#older = h(
            'button',
            { class: 'button small older', type: 'button', hidden: true, onclick: () => void this.#loadOlder() },
            t('conversation.older'),
        );
        this.#composer = new Composer({
            placeholder: t('conversation.placeholder', { name: account.nameOf(user) }),
            onsend: (text) => this.#send(text),
        });
        /** @readonly */
        this.element = h(
            'section',
            { class: 'conversation', 'aria-label': t('conversation.title', { name: account.nameOf(user) }) },
            h(
                'header',
                null,
                h(
                    'button',
                    { class: 'icon-button back', type: 'button', 'aria-label': t('contacts.back'), onclick: onback },
                    icon('chevron'),
                ),
                this.#head,
                this.#audio,
                this.#video,
            ),
            this.#older,
            this.#log.element,
            this.#composer.element,
        );
        this.drawContact();
        this.draw();
        account.show(user);
        if (!account.conversation(user).complete) void this.#loadOlder();
    }

    focus() {
        this.#composer.focus();
    }

    close() {
        this.#account.show('');
    }

    get user() {
        return this.#user;
    }

    /** Name and presence. */
    drawContact() {
        const contact = this.#account.contacts.get(this.#user) ?? {
            user: this.#user,
            name: this.#user,
            verified: false,
            presence: /** @type {const} */ ('offline'),
            bindings: [],
        };
        this.#head.replaceChildren(
            contactFace(contact),
            h('div', { class: 'who' }, h('h2', null, contact.name || contact.user), h('small', null, presenceText(contact))),
        );
        for (const button of [this.#audio, this.#video]) button.disabled = contact.presence === 'offline';
    }

    /** The messages. */
    draw() {
        const { messages, complete } = this.#account.conversation(this.#user);
        this.#log.replace(
            messages.map((message) => ({
                text: message.text,
                own: message.own,
                time: new Date(message.sentAt),
                name: message.from.name,
                from: message.own ? 'self' : 'peer',
            })),
        );
        this.#older.hidden = complete || messages.length === 0;
    }

    /**
     * @param {string} name of the icon
     * @param {import('../texts.js').TextKey} text
     * @param {boolean} video
     */
    #callButton(name, text, video) {
        return h(
            'button',
            {
                class: 'icon-button',
                type: 'button',
                'aria-label': t(text),
                title: t(text),
                onclick: () => this.#oncall(this.#user, video),
            },
            icon(name),
        );
    }

    /** @param {string} text */
    async #send(text) {
        try {
            await this.#account.send(this.#user, text);
        } catch (error) {
            toast(problemLine(asRoostError(error)));
            throw error;
        }
    }

    async #loadOlder() {
        this.#older.disabled = true;
        try {
            await this.#account.loadOlder(this.#user);
        } catch (error) {
            // guests have no kept messages: nothing that one need be told
            if (asRoostError(error).code !== 'not-permitted') toast(problemLine(asRoostError(error)));
            else this.#account.conversation(this.#user).complete = true;
        }
        this.#older.disabled = false;
    }
}
