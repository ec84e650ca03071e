/** One rectangle of the stage: a person, or a screen. Its video element lives as long as it. */

import { attach } from '../../sdk/roost.js';
import { t } from '../texts.js';
import { avatar, hue } from './avatar.js';
import { attribute, h, icon, setIcon } from './dom.js';

const TOUCH_MS = 3000;

export class Tile {
    /**
     * @param {string} id
     * @param {{name: string, person?: string, screen?: boolean, mirrored?: boolean, onpin?: () => void}} options
     */
    constructor(id, options) {
        /** @readonly */
        this.id = id;
        /** @readonly */
        this.video = h('video', { playsinline: true, autoplay: true, 'aria-hidden': 'true' });
        this.video.muted = true; // sound is played by elements of its own
        this.#label = h('span', null);
        this.#mic = icon('mic-off');
        this.#mic.classList.add('off');
        this.#backdrop = h('div', { class: 'backdrop' });
        this.#note = h('div', { class: 'note', hidden: true });
        this.#poor = h('span', { class: 'poor', role: 'img', hidden: true }, icon('signal'));
        this.#pin = h(
            'button',
            {
                class: 'icon-button pin',
                type: 'button',
                'aria-pressed': 'false',
                onclick: () => options.onpin?.(),
            },
            icon('pin'),
        );
        /** @readonly */
        this.element = h(
            'article',
            { class: 'tile' },
            this.#backdrop,
            this.video,
            this.#note,
            h('div', { class: 'label' }, this.#mic, this.#label),
            h('div', { class: 'corner' }, this.#poor, options.onpin && this.#pin),
        );
        this.element.classList.toggle('screen', options.screen ?? false);
        this.element.classList.toggle('mirrored', options.mirrored ?? false);
        this.#screen = options.screen ?? false;
        this.#person = options.person;
        this.name(options.name);
        this.muted(false);
        this.element.addEventListener('pointerup', ({ pointerType }) => {
            if (pointerType !== 'mouse') this.#touched();
        });
        this.element.addEventListener('dblclick', () => options.onpin?.());
        const picture = () => this.#showPicture();
        for (const event of ['playing', 'resize', 'loadeddata', 'emptied']) {
            this.video.addEventListener(event, picture);
        }
    }

    #screen;
    /** @type {string | undefined} whose initials to show, when the label says "You" */
    #person;
    #label;
    #mic;
    #backdrop;
    #note;
    #poor;
    #pin;
    #name = '';
    #covered = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #touchTimer;

    /** @param {string} name */
    name(name) {
        if (this.#name === name) return;
        this.#name = name;
        this.#label.textContent = name;
        this.element.setAttribute('aria-label', name);
        const person = this.#person ?? name;
        this.#backdrop.dataset.hue = hue(person);
        this.#backdrop.replaceChildren(this.#screen ? icon('screen') : avatar(person));
        this.pinned(false);
    }

    /**
     * Shows a picture, or the avatar.
     *
     * @param {MediaStreamTrack | null} mediaTrack
     * @param {boolean} [covered] the picture is known to be frozen or black: show the avatar
     */
    picture(mediaTrack, covered = false) {
        this.#covered = covered;
        void attach(this.video, mediaTrack).catch(() => {}); // muted video may always play
        this.#showPicture();
    }

    /** Shows the tile's button for a moment. */
    #touched() {
        this.element.classList.add('touched');
        clearTimeout(this.#touchTimer);
        this.#touchTimer = setTimeout(() => this.element.classList.remove('touched'), TOUCH_MS);
    }

    #showPicture() {
        const shown = this.video.srcObject !== null && !this.#covered && this.video.videoWidth > 0;
        this.element.classList.toggle('has-picture', shown);
    }

    /** @param {boolean} muted */
    muted(muted) {
        this.#mic.toggleAttribute('hidden', !muted);
        this.#mic.style.display = muted ? '' : 'none';
    }

    /** @param {boolean} speaking */
    speaking(speaking) {
        this.element.classList.toggle('speaking', speaking);
    }

    /** @param {string | null} text below the avatar */
    note(text) {
        this.#note.hidden = text === null;
        this.#note.textContent = text;
    }

    /** @param {boolean} away */
    away(away) {
        this.element.classList.toggle('away', away);
    }

    /** @param {string | null} reason why the connection counts as poor; null: it does not */
    poor(reason) {
        this.#poor.hidden = reason === null;
        attribute(this.#poor, 'aria-label', reason);
        attribute(this.#poor, 'title', reason);
    }

    /** @param {boolean} pinned */
    pinned(pinned) {
        const text = t(pinned ? 'menu.unpin' : 'menu.pin');
        attribute(this.#pin, 'aria-pressed', String(pinned));
        attribute(this.#pin, 'aria-label', `${text}: ${this.#name}`);
        this.#pin.title = text;
        setIcon(this.#pin, 'pin');
    }

    /**
     * @param {import('./layout.js').Rect | null} rect null: not on the stage now
     * @param {{inset?: boolean}} [options]
     */
    place(rect, options = {}) {
        this.element.hidden = rect === null;
        this.element.classList.toggle('inset', options.inset ?? false);
        if (!rect) return;
        const { style } = this.element;
        style.setProperty('inset-inline-start', `${rect.x}px`);
        style.top = `${rect.y}px`;
        style.width = `${rect.width}px`;
        style.height = `${rect.height}px`;
    }

    remove() {
        this.video.srcObject = null;
        this.element.remove();
    }
}
