/** The chat panel of a call. */

import { t } from '../texts.js';
import { announce } from './announce.js';
import { Composer } from './composer.js';
import { h, icon } from './dom.js';
import { MessageLog } from './message_log.js';

/** @typedef {import('./message_log.js').ShownMessage} ShownMessage */

export class ChatPanel {
    #onfile;
    #log = new MessageLog(t('chat.empty'));
    #composer;

    /**
     * @param {object} options
     * @param {(text: string) => Promise<void> | void} options.onsend
     * @param {() => void} options.onclose
     * @param {((file: File) => void) | null} [options.onfile] null: files cannot be shared
     * @param {string} [options.placeholder]
     * @param {number} [options.maxBytes]
     */
    constructor({ onclose, ...options }) {
        this.#onfile = options.onfile ?? null;
        this.#composer = new Composer({ ...options, onescape: onclose });
        /** @readonly */
        this.element = h(
            'aside',
            {
                class: 'panel',
                'aria-label': t('chat.title'),
                hidden: true,
                ondragover: (/** @type {DragEvent} */ event) => this.#onfile && event.preventDefault(),
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
            this.#log.element,
            this.#composer.element,
        );
    }

    get open() {
        return !this.element.hidden;
    }

    /** @param {boolean} open */
    show(open) {
        this.element.hidden = !open;
        if (!open) return;
        this.#composer.focus();
        this.#log.scrollDown();
    }

    /** @param {ShownMessage} message */
    add(message) {
        this.#log.add(message);
        if (!message.own) announce(t('live.chat', { name: message.name, text: message.text }));
    }

    /**
     * @param {Omit<ShownMessage, 'text'>} message
     * @param {string} name of the file
     * @param {HTMLElement} line
     */
    addFile(message, name, line) {
        this.#log.append(message, line);
        if (!message.own) announce(t('live.file', { name: message.name, file: name }));
    }

    /** @param {DragEvent} event */
    #dropped(event) {
        const files = event.dataTransfer?.files;
        if (!this.#onfile || !files?.length) return;
        event.preventDefault();
        for (const file of files) this.#onfile(file);
    }
}
