/**
 * Before the call: see yourself, hear that you are heard, choose devices, say who you are, join.
 * One page for a new room, for a room's link and for a private call.
 */

import { E2ee, attach } from '../../sdk/roost.js';
import { isSlug, slugify, suggestRoom } from '../router.js';
import { client } from '../session.js';
import { saveSettings, settings } from '../settings.js';
import { t } from '../texts.js';
import { avatar } from '../ui/avatar.js';
import { h, icon } from '../ui/dom.js';
import { measureLevel } from '../ui/level.js';
import { LocalControls } from '../ui/local_controls.js';
import { asRoostError } from '../ui/local_media.js';
import { notice, problemText } from '../ui/notice.js';
import { brand } from './message.js';

const RETRY_S = 3;

/**
 * @typedef {object} LobbyOptions
 * @property {import('../ui/local_media.js').LocalMedia} media
 * @property {string} [room] the room's link that was opened
 * @property {string} [link] the private call's link that was opened
 * @property {string | null} [key] for end-to-end encryption, from the link that was opened
 * @property {(choice: {room: string, name: string, key: string | null, encrypt: boolean}) => Promise<void>} onjoin
 * @property {() => void} onother to the other kind of call
 */

/**
 * @param {LobbyOptions} options
 * @returns {{element: HTMLElement, close: () => void}}
 */
export function lobbyPage(options) {
    const page = new Lobby(options);
    return { element: page.element, close: () => page.close() };
}

class Lobby {
    #options;
    #media;
    #video = h('video', { playsinline: true, autoplay: true, 'aria-label': t('lobby.preview') });
    #placeholder = h('div', { class: 'placeholder' });
    #levelFill = h('div', { class: 'level-fill' });
    #problems = h('div', { class: 'preview-side' });
    #serverProblem = h('div');
    #name;
    #nameHint = h('span', { class: 'hint wrong', id: 'name-hint', hidden: true }, t('lobby.nameMissing'));
    #room;
    #roomHint = h('span', { class: 'hint', id: 'room-hint' }, t('lobby.roomHint'));
    #encrypt = h('input', { id: 'encrypt', type: 'checkbox', disabled: !E2ee.supported, 'aria-describedby': 'encrypt-hint' });
    #submit;
    #controls;
    /** @type {(() => void)[]} */
    #offs = [];
    /** @type {(() => void) | null} */
    #stopLevel = null;
    /** @type {MediaStreamTrack | null} */
    #measured = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #retryTimer;
    #closed = false;

    /** @param {LobbyOptions} options */
    constructor(options) {
        this.#options = options;
        this.#media = options.media;
        this.#name = h('input', {
            id: 'name',
            name: 'name',
            autocomplete: 'name',
            maxlength: 48,
            placeholder: t('lobby.namePlaceholder'),
            value: settings.name,
            'aria-describedby': 'name-hint',
            oninput: () => this.#nameTyped(),
        });
        this.#room = h('input', {
            id: 'room',
            name: 'room',
            autocomplete: 'off',
            autocapitalize: 'none',
            spellcheck: 'false',
            maxlength: 48,
            value: suggestRoom(),
            'aria-describedby': 'room-hint',
            oninput: () => this.#roomWrong(false),
        });
        this.#submit = h('button', { class: 'button primary', type: 'submit' });
        this.#controls = new LocalControls(this.#media);
        this.#video.muted = true;
        /** @readonly */
        this.element = this.#draw();
        this.#offs.push(
            this.#media.on('changed', () => this.#update()),
            () => this.#controls.close(),
        );
        this.#update();
        if (!this.#media.camera && !this.#media.microphone) void this.#media.start();
        void this.#reachServer();
    }

    close() {
        this.#closed = true;
        clearInterval(this.#retryTimer);
        this.#stopLevel?.();
        for (const off of this.#offs) off();
        this.#video.srcObject = null;
    }

    #draw() {
        const { room, link } = this.#options;
        const [title, intro] = room
            ? [t('lobby.titleRoom', { room }), t('lobby.introRoom')]
            : link
              ? [t('lobby.titleCall'), t('lobby.introCall')]
              : [t('lobby.title'), t('lobby.intro')];
        return h(
            'div',
            { class: 'lobby' },
            brand(),
            h(
                'main',
                { class: 'lobby-main', id: 'content' },
                h(
                    'div',
                    { class: 'preview-side' },
                    h(
                        'div',
                        { class: 'preview dark-surface' },
                        this.#video,
                        this.#placeholder,
                        h(
                            'div',
                            { class: 'preview-controls' },
                            ...this.#controls.elements,
                        ),
                    ),
                    h(
                        'div',
                        { class: 'level' },
                        icon('mic'),
                        h(
                            'div',
                            { class: 'level-bar', role: 'img', 'aria-label': t('lobby.level') },
                            this.#levelFill,
                        ),
                        h('span', { class: 'hint' }, t('lobby.levelHint')),
                    ),
                    this.#problems,
                ),
                h(
                    'form',
                    {
                        class: 'lobby-form',
                        novalidate: true,
                        onsubmit: (/** @type {Event} */ event) => {
                            event.preventDefault();
                            void this.#join();
                        },
                    },
                    h('div', { class: 'lobby-head' }, h('h1', null, title), h('p', null, intro)),
                    this.#serverProblem,
                    h(
                        'div',
                        { class: 'field' },
                        h('label', { for: 'name' }, t('lobby.name')),
                        this.#name,
                        this.#nameHint,
                    ),
                    !room && !link && this.#roomField(),
                    !link && this.#encryptField(),
                    h(
                        'div',
                        { class: 'lobby-actions' },
                        this.#submit,
                        !room &&
                            h(
                                'button',
                                { class: 'button quiet', type: 'button', onclick: this.#options.onother },
                                t(link ? 'lobby.roomInstead' : 'lobby.callPrivate'),
                            ),
                        !room && !link && h('a', { class: 'button quiet', href: '/contacts' }, t('lobby.signIn')),
                    ),
                ),
            ),
        );
    }

    #roomField() {
        return h(
            'div',
            { class: 'field' },
            h('label', { for: 'room' }, t('lobby.room')),
            h(
                'div',
                { class: 'with-button' },
                this.#room,
                h(
                    'button',
                    {
                        class: 'icon-button',
                        type: 'button',
                        'aria-label': t('lobby.newName'),
                        title: t('lobby.newName'),
                        onclick: () => {
                            this.#room.value = suggestRoom();
                            this.#roomWrong(false);
                        },
                    },
                    icon('dice'),
                ),
            ),
            this.#roomHint,
        );
    }

    /** A new room may be encrypted; of a room that is there the link says whether it is. */
    #encryptField() {
        const { room, key } = this.#options;
        if (key) return h('p', { class: 'encrypted-link' }, icon('shield'), t('e2ee.lobby'));
        if (room) return null;
        return h(
            'div',
            { class: 'choice' },
            this.#encrypt,
            h('label', { for: 'encrypt' }, t('e2ee.option')),
            h(
                'span',
                { class: 'hint', id: 'encrypt-hint' },
                t(E2ee.supported ? 'e2ee.optionHint' : 'e2ee.optionUnsupported'),
            ),
        );
    }

    /** Shows what the devices are doing. */
    #update() {
        const media = this.#media;
        void attach(this.#video, media.camera).catch(() => {});
        this.#placeholder.hidden = media.camera !== null;
        this.#drawPlaceholder();
        this.#measure();
        this.#drawProblems();
        this.#drawSubmit(false);
    }

    #drawPlaceholder() {
        const { starting, cameraOn, cameraError } = this.#media;
        const text = starting
            ? t('lobby.previewStarting')
            : t(cameraOn && cameraError ? 'lobby.cameraNone' : 'lobby.cameraOff');
        const name = this.#name.value.trim();
        this.#placeholder.replaceChildren(name ? avatar(name) : icon('camera-off'), text);
    }

    #measure() {
        const track = this.#media.microphoneOn ? this.#media.microphone : null;
        if (track === this.#measured) return;
        this.#measured = track;
        this.#stopLevel?.();
        this.#levelFill.style.transform = '';
        this.#stopLevel = track
            ? measureLevel(track, (level) => {
                  this.#levelFill.style.transform = `scaleX(${level.toFixed(3)})`;
              })
            : null;
    }

    #drawProblems() {
        const { cameraError, microphoneError, cameraOn } = this.#media;
        const errors = [];
        if (cameraError && cameraOn) errors.push(cameraError);
        if (microphoneError && microphoneError.code !== cameraError?.code) errors.push(microphoneError);
        this.#problems.hidden = errors.length === 0;
        this.#problems.replaceChildren(
            ...errors.map((error) => {
                if (error.code === 'insecure-context') {
                    const link = location.href.replace(/^http:/, 'https:');
                    const text = problemText(error, { link });
                    return notice(text, [
                        { label: text.action, action: () => location.assign(link), primary: true },
                    ]);
                }
                const text = problemText(error);
                const retry = { label: text.action, action: () => void this.#media.start() };
                return notice(text, error.code === 'unsupported-browser' ? [] : [retry]);
            }),
        );
    }

    /** @param {boolean} busy */
    #drawSubmit(busy) {
        const { camera, cameraOn, microphone, starting } = this.#media;
        this.#submit.disabled = busy;
        const without = !starting && cameraOn && !camera;
        this.#submit.textContent = busy
            ? t('lobby.joining')
            : without
              ? t(microphone ? 'lobby.joinSilent' : 'lobby.joinListen')
              : t(this.#options.link ? 'call.join' : 'lobby.join');
    }

    #nameTyped() {
        this.#nameHint.hidden = true;
        this.#name.removeAttribute('aria-invalid');
        if (!this.#media.camera) this.#drawPlaceholder();
    }

    /** @param {boolean} wrong */
    #roomWrong(wrong) {
        this.#roomHint.textContent = t(wrong ? 'lobby.roomMissing' : 'lobby.roomHint');
        this.#roomHint.classList.toggle('wrong', wrong);
        if (wrong) this.#room.setAttribute('aria-invalid', 'true');
        else this.#room.removeAttribute('aria-invalid');
    }

    /** Connects early, so that joining is instant; tells when the server is away, and retries. */
    async #reachServer() {
        clearInterval(this.#retryTimer);
        try {
            await client();
            this.#serverProblem.replaceChildren();
        } catch (error) {
            if (this.#closed) return;
            let left = RETRY_S;
            const draw = () => {
                const text = problemText(asRoostError(error), { seconds: left });
                this.#serverProblem.replaceChildren(
                    notice(text, [{ label: text.action, action: () => void this.#reachServer() }]),
                );
            };
            draw();
            this.#retryTimer = setInterval(() => {
                if (--left <= 0) void this.#reachServer();
                else {
                    const body = this.#serverProblem.querySelector('p');
                    if (body) body.textContent = problemText(asRoostError(error), { seconds: left }).body;
                }
            }, 1000);
        }
    }

    async #join() {
        const name = this.#name.value.trim();
        if (!name) {
            this.#nameHint.hidden = false;
            this.#name.setAttribute('aria-invalid', 'true');
            this.#name.focus();
            return;
        }
        const room = this.#options.room ?? this.#options.link ?? slugify(this.#room.value);
        if (!isSlug(room)) {
            this.#roomWrong(true);
            this.#room.focus();
            return;
        }
        saveSettings({ name });
        this.#drawSubmit(true);
        this.#serverProblem.replaceChildren();
        clearInterval(this.#retryTimer);
        try {
            await this.#options.onjoin({
                room,
                name,
                key: this.#options.key ?? null,
                encrypt: this.#encrypt.checked,
            });
        } catch (error) {
            this.#drawSubmit(false);
            this.#showJoinProblem(asRoostError(error));
        }
    }

    /** @param {import('../../sdk/roost.js').RoostError} error */
    #showJoinProblem(error) {
        if (error.code === 'server-unreachable') {
            void this.#reachServer();
            return;
        }
        const text = problemText(error, {});
        const reload = error.code === 'version-unsupported';
        const again = {
            label: text.action,
            action: () => (reload ? location.reload() : void this.#join()),
        };
        const invitation = error.code.startsWith('token-');
        const home = { label: t('ended.home'), action: () => location.assign('/') };
        this.#serverProblem.replaceChildren(notice(text, [invitation ? home : again]));
    }
}
