/** A file in the chat: its name and size, a button that fetches it, and how far that is. */

import { sizeText } from '../files.js';
import { t } from '../texts.js';
import { h, icon } from './dom.js';

export class FileLine {
    /**
     * @param {import('../files.js').SharedFile} file
     * @param {() => void} onget
     */
    constructor(file, onget) {
        this.#size = file.size;
        this.#state = h('span', { class: 'file-state' }, file.own ? t('file.shared') : sizeText(file.size));
        this.#progress = h('progress', { max: 1, value: 0, hidden: true, 'aria-label': file.name });
        this.#button = h(
            'button',
            {
                class: 'icon-button',
                type: 'button',
                hidden: file.own,
                'aria-label': t('file.get', { name: file.name }),
                title: t('file.get', { name: file.name }),
                onclick: () => {
                    this.#button.disabled = true;
                    this.#progress.hidden = false;
                    onget();
                },
            },
            icon('download'),
        );
        /** @readonly */
        this.element = h(
            'div',
            { class: 'text file' },
            icon('file'),
            h('span', { class: 'file-name', dir: 'auto' }, file.name),
            this.#button,
            this.#state,
            this.#progress,
        );
    }

    #size;
    #state;
    #progress;
    #button;

    /** @param {number} received bytes */
    progress(received) {
        this.#progress.value = this.#size > 0 ? received / this.#size : 1;
        this.#state.textContent = `${sizeText(received)} / ${sizeText(this.#size)}`;
    }

    saved() {
        this.#progress.hidden = true;
        this.#button.disabled = false;
        this.#state.textContent = t('file.saved');
    }

    /** It will not come; it may be asked for again. */
    lost() {
        this.#progress.hidden = true;
        this.#button.disabled = false;
        this.#state.textContent = sizeText(this.#size);
    }

    gone() {
        this.#progress.hidden = true;
        this.#button.disabled = true;
        this.#state.textContent = t('file.gone');
    }
}
