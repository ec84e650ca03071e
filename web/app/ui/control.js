/** One control of the bar: a round button, its label, perhaps a chevron beside it. */

import { attribute, h, icon, setIcon } from './dom.js';

/**
 * @typedef {object} ControlOptions
 * @property {string} icon
 * @property {string} name what pressing does, for screen readers and as a hint
 * @property {string} [label] short text below the button
 * @property {string} [key] its keyboard shortcut
 * @property {(button: HTMLElement) => void} onpress
 * @property {string} [className]
 * @property {{name: string, onpress: (button: HTMLElement) => void}} [chevron]
 * @property {boolean} [menu] pressing opens a menu
 */

export class Control {
    /** @param {ControlOptions} options */
    constructor(options) {
        /** @readonly */
        this.button = h(
            'button',
            {
                class: `control-button ${options.className ?? ''}`.trim(),
                type: 'button',
                'aria-haspopup': options.menu ? 'menu' : null,
                'aria-expanded': options.menu ? 'false' : null,
                'aria-keyshortcuts': options.key ?? null,
                onclick: () => options.onpress(this.button),
            },
            icon(options.icon),
        );
        this.#key = options.key;
        const { chevron } = options;
        this.#badge = h('span', { class: 'badge', hidden: true, 'aria-hidden': 'true' });
        /** @readonly */
        this.element = h(
            'div',
            { class: 'control' },
            h(
                'div',
                { class: 'control-pill' },
                this.button,
                chevron &&
                    h(
                        'button',
                        {
                            class: 'control-chevron',
                            type: 'button',
                            'aria-label': chevron.name,
                            title: chevron.name,
                            'aria-haspopup': 'menu',
                            'aria-expanded': 'false',
                            onclick: (/** @type {Event} */ event) =>
                                chevron.onpress(/** @type {HTMLElement} */ (event.currentTarget)),
                        },
                        icon('chevron'),
                    ),
            ),
            this.#badge,
            options.label && h('span', { class: 'control-label', 'aria-hidden': 'true' }, options.label),
        );
        this.name(options.name);
    }

    #key;
    #badge;

    /** @param {string} name */
    name(name) {
        attribute(this.button, 'aria-label', name);
        this.button.title = this.#key ? `${name} (${this.#key})` : name;
    }

    /**
     * Shows a device that is on or off.
     *
     * @param {boolean} on
     * @param {{icon: string, name: string}} look
     */
    device(on, look) {
        this.button.classList.toggle('off', !on);
        setIcon(this.button, look.icon);
        this.name(look.name);
    }

    /**
     * Shows that something is open or under way.
     *
     * @param {boolean} active
     */
    active(active) {
        this.button.classList.toggle('active', active);
        attribute(this.button, 'aria-pressed', String(active));
    }

    /** @param {number} count 0: none */
    count(count) {
        this.#badge.hidden = count === 0;
        this.#badge.textContent = count > 99 ? '99+' : String(count);
    }
}
