/** Where a message is written: Enter sends, Shift+Enter breaks the line. */

import { t } from '../texts.js';
import { h, icon } from './dom.js';

export class Composer {
    #onsend;
    #onfile;
    #maxBytes;
    #input;
    #picker;
    #send;

    /**
     * @param {object} options
     * @param {(text: string) => Promise<void> | void} options.onsend when it fails, the text comes back
     * @param {() => void} [options.onescape]
     * @param {((file: File) => void) | null} [options.onfile] null: files cannot be shared
     * @param {string} [options.placeholder]
     * @param {number} [options.maxBytes]
     */
    constructor({ onsend, onescape, onfile = null, placeholder = t('chat.placeholder'), maxBytes = 4096 }) {
        this.#onsend = onsend;
        this.#onfile = onfile;
        this.#maxBytes = maxBytes;
        this.#input = h('textarea', {
            rows: 1,
            placeholder,
            'aria-label': placeholder,
            enterkeyhint: 'send',
            oninput: () => this.#typed(),
            onkeydown: (/** @type {KeyboardEvent} */ event) => {
                if (event.key === 'Escape') onescape?.();
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
        );
    }

    focus() {
        this.#input.focus();
    }

    #picked() {
        for (const file of this.#picker.files ?? []) this.#onfile?.(file);
        this.#picker.value = '';
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
