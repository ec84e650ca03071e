/** The chat panel. Texts are shown as text, never as markup; links become links. */

import { t } from '../texts.js';
import { announce } from './announce.js';
import { h, icon } from './dom.js';

const TOGETHER_MS = 60_000;

/**
 * @typedef {{name: string, text: string, time: Date, own: boolean, from: string}} ShownMessage
 */

export class ChatPanel {
    /**
     * @param {object} options
     * @param {(text: string) => Promise<void> | void} options.onsend
     * @param {() => void} options.onclose
     * @param {((file: File) => void) | null} [options.onfile] null: files cannot be shared
     * @param {string} [options.placeholder]
     * @param {number} [options.maxBytes]
     */
    constructor({ onsend, onclose, onfile = null, placeholder, maxBytes = 4096 }) {
        this.#onsend = onsend;
        this.#onfile = onfile;
        this.#maxBytes = maxBytes;
        this.#empty = h('li', { class: 'chat-empty' }, t('chat.empty'));
        this.#log = h(
            'ol',
            { class: 'chat-log', role: 'log', 'aria-label': t('chat.log'), tabindex: 0 },
            this.#empty,
        );
        this.#input = h('textarea', {
            rows: 1,
            placeholder: placeholder ?? t('chat.placeholder'),
            'aria-label': placeholder ?? t('chat.placeholder'),
            enterkeyhint: 'send',
            oninput: () => this.#typed(),
            onkeydown: (/** @type {KeyboardEvent} */ event) => {
                if (event.key === 'Escape') onclose();
                if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
                event.preventDefault();
                void this.#submit();
            },
        });
        this.#picker = h('input', {
            type: 'file',
            multiple: true,
            hidden: true,
            onchange: () => this.#picked(),
        });
        this.#send = h(
            'button',
            { class: 'icon-button send', type: 'submit', 'aria-label': t('chat.send'), disabled: true },
            icon('send'),
        );
        /** @readonly */
        this.element = h(
            'aside',
            {
                class: 'panel',
                'aria-label': t('chat.title'),
                hidden: true,
                ondragover: (/** @type {DragEvent} */ event) => onfile && event.preventDefault(),
                ondrop: (/** @type {DragEvent} */ event) => this.#dropped(event),
            },
            h(
                'header',
                null,
                h('h2', null, t('chat.title')),
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
            this.#log,
            h(
                'form',
                {
                    class: 'composer',
                    onsubmit: (/** @type {Event} */ event) => {
                        event.preventDefault();
                        void this.#submit();
                    },
                },
                onfile && this.#picker,
                onfile &&
                    h(
                        'button',
                        {
                            class: 'icon-button attach',
                            type: 'button',
                            'aria-label': t('file.attach'),
                            title: t('file.attach'),
                            onclick: () => this.#picker.click(),
                        },
                        icon('attach'),
                    ),
                this.#input,
                this.#send,
            ),
        );
    }

    #onsend;
    #onfile;
    #picker;
    #maxBytes;
    #empty;
    #log;
    #input;
    #send;
    /** @type {Omit<ShownMessage, 'text'> | null} */
    #last = null;

    get open() {
        return !this.element.hidden;
    }

    /** @param {boolean} open */
    show(open) {
        this.element.hidden = !open;
        if (!open) return;
        this.#input.focus();
        this.#scrollDown();
    }

    /** @param {ShownMessage} message */
    add(message) {
        this.#append(message, h('div', { class: 'text', dir: 'auto' }, ...withLinks(message.text)));
        if (!message.own) announce(t('live.chat', { name: message.name, text: message.text }));
    }

    /**
     * @param {Omit<ShownMessage, 'text'>} message
     * @param {string} name of the file
     * @param {HTMLElement} line
     */
    addFile(message, name, line) {
        this.#append(message, line);
        if (!message.own) announce(t('live.file', { name: message.name, file: name }));
    }

    /**
     * @param {Omit<ShownMessage, 'text'>} message
     * @param {HTMLElement} content
     */
    #append(message, content) {
        this.#empty.remove();
        const last = this.#last;
        const first =
            !last ||
            last.from !== message.from ||
            message.time.getTime() - last.time.getTime() > TOGETHER_MS;
        this.#last = message;
        const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 80;
        const time = message.time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
        const name = message.own ? t('room.you') : message.name;
        this.#log.append(
            h(
                'li',
                { class: ['chat-message', first && 'first', message.own && 'own'].filter(Boolean).join(' ') },
                first && h('div', { class: 'meta' }, h('b', null, name), ` ${time}`),
                content,
            ),
        );
        if (atEnd || message.own) this.#scrollDown();
    }

    #picked() {
        for (const file of this.#picker.files ?? []) this.#onfile?.(file);
        this.#picker.value = '';
    }

    /** @param {DragEvent} event */
    #dropped(event) {
        const files = event.dataTransfer?.files;
        if (!this.#onfile || !files?.length) return;
        event.preventDefault();
        for (const file of files) this.#onfile(file);
    }

    #scrollDown() {
        this.#log.scrollTop = this.#log.scrollHeight;
    }

    #typed() {
        const input = this.#input;
        const tooLong = new TextEncoder().encode(input.value).length > this.#maxBytes;
        input.setCustomValidity(tooLong ? t('chat.tooLong') : '');
        this.#send.disabled = input.value.trim() === '' || tooLong;
        input.style.height = 'auto';
        input.style.height = `${Math.min(132, input.scrollHeight + 2)}px`;
    }

    async #submit() {
        const text = this.#input.value.trim();
        if (!text || this.#send.disabled) return;
        this.#input.value = '';
        this.#typed();
        try {
            await this.#onsend(text);
        } catch {
            this.#input.value = text; // not lost: it can be sent again
            this.#typed();
        }
    }
}

/**
 * Splits a text into words and links.
 *
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
export function withLinks(text) {
    return text.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]'])/u).map((part, index) =>
        index % 2 === 0
            ? part
            : h('a', { href: part, target: '_blank', rel: 'noopener noreferrer' }, part),
    );
}
