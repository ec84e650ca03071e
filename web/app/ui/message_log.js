/** Messages one below the other. Texts are shown as text, never as markup; links become links. */

import { t } from '../texts.js';
import { h } from './dom.js';

const TOGETHER_MS = 60_000;

/**
 * @typedef {{name: string, text: string, time: Date, own: boolean, from: string}} ShownMessage
 */

export class MessageLog {
    #empty;
    /** @type {Omit<ShownMessage, 'text'> | null} */
    #last = null;

    /** @param {string} empty what is said while there are none */
    constructor(empty) {
        this.#empty = h('li', { class: 'chat-empty' }, empty);
        /** @readonly */
        this.element = h(
            'ol',
            { class: 'chat-log', role: 'log', 'aria-label': t('chat.log'), tabindex: 0 },
            this.#empty,
        );
    }

    /** @param {ShownMessage} message */
    add(message) {
        this.append(message, h('div', { class: 'text', dir: 'auto' }, ...withLinks(message.text)));
    }

    /**
     * @param {Omit<ShownMessage, 'text'>} message
     * @param {HTMLElement} content
     */
    append(message, content) {
        this.#empty.remove();
        const last = this.#last;
        const newDay = last?.time.toDateString() !== message.time.toDateString();
        const first =
            !last ||
            newDay ||
            last.from !== message.from ||
            message.time.getTime() - last.time.getTime() > TOGETHER_MS;
        this.#last = message;
        const atEnd = this.atEnd;
        const name = message.own ? t('room.you') : message.name;
        this.element.append(
            h(
                'li',
                { class: ['chat-message', first && 'first', message.own && 'own'].filter(Boolean).join(' ') },
                first && h('div', { class: 'meta' }, h('b', null, name), ` ${timeText(message.time, newDay)}`),
                content,
            ),
        );
        if (atEnd || message.own) this.scrollDown();
    }

    /**
     * Shows these and no others, and stays where it was read, seen from the end.
     *
     * @param {ShownMessage[]} messages
     */
    replace(messages) {
        const log = this.element;
        const fromEnd = this.atEnd ? 0 : log.scrollHeight - log.scrollTop;
        log.replaceChildren(...(messages.length ? [] : [this.#empty]));
        this.#last = null;
        for (const message of messages) this.add(message);
        log.scrollTop = log.scrollHeight - fromEnd;
    }

    get atEnd() {
        return this.element.scrollHeight - this.element.scrollTop - this.element.clientHeight < 80;
    }

    scrollDown() {
        this.element.scrollTop = this.element.scrollHeight;
    }
}

/**
 * @param {Date} time
 * @param {boolean} newDay
 */
function timeText(time, newDay) {
    const clock = time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    const today = time.toDateString() === new Date().toDateString();
    return newDay && !today ? `${time.toLocaleDateString([], { day: 'numeric', month: 'short' })}, ${clock}` : clock;
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
