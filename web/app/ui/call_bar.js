/** The bar of controls that rooms and private calls share, with its menus and shortcuts. */

import { canShareScreen } from '../../sdk/roost.js';
import { t } from '../texts.js';
import { toast } from './announce.js';
import { Control } from './control.js';
import { deviceItems } from './device_menu.js';
import { listenForShortcuts, showShortcuts } from './dialog.js';
import { h } from './dom.js';
import { closeMenu, openMenu } from './menu.js';

/**
 * @typedef {object} CallBarOptions
 * @property {import('./own_devices.js').OwnDevices} own
 * @property {() => void} onscreen
 * @property {() => void} onchat
 * @property {() => void} [onpeople] absent: no list of people
 * @property {() => void} onleave
 * @property {string} leaveName
 * @property {(deviceId: string) => void} onspeaker another loudspeaker was chosen
 * @property {() => HTMLVideoElement | undefined} pictureVideo for picture in picture
 * @property {() => import('./menu.js').MenuItem[]} [moreItems] the page's own entries
 */

export class CallBar {
    /** @param {CallBarOptions} options */
    constructor(options) {
        this.#options = options;
        const { own } = options;
        this.#choice = {
            onchoose: (kind, deviceId) => void own.choose(kind, deviceId),
            camera: () => own.camera?.mediaTrack?.getSettings().deviceId,
            microphone: () => own.microphone?.mediaTrack?.getSettings().deviceId,
            onspeaker: options.onspeaker,
        };
        this.mic = new Control({
            icon: 'mic',
            name: t('control.mic'),
            label: t('control.micLabel'),
            key: 'M',
            onpress: () => void own.toggleMicrophone(),
            chevron: {
                name: t('control.devicesMic'),
                onpress: (button) => this.#devices(button, ['microphone', 'speaker']),
            },
        });
        this.camera = new Control({
            icon: 'camera',
            name: t('control.camera'),
            label: t('control.cameraLabel'),
            key: 'V',
            onpress: () => void own.toggleCamera(),
            chevron: {
                name: t('control.devicesCamera'),
                onpress: (button) => this.#devices(button, ['camera']),
            },
        });
        this.screen = new Control({
            icon: 'screen',
            name: t('control.screen'),
            label: t('control.screenLabel'),
            key: 'S',
            onpress: options.onscreen,
        });
        this.screen.element.hidden = !canShareScreen();
        this.chat = new Control({
            icon: 'chat',
            name: t('control.chat'),
            label: t('control.chat'),
            key: 'C',
            onpress: options.onchat,
        });
        this.people = new Control({
            icon: 'people',
            name: t('control.people'),
            label: t('control.people'),
            key: 'P',
            onpress: () => options.onpeople?.(),
        });
        this.people.element.classList.add('wide-only');
        this.more = new Control({
            icon: 'more',
            name: t('control.more'),
            label: t('control.more'),
            menu: true,
            onpress: (button) => void this.#openMore(button),
        });
        this.leave = new Control({
            icon: 'leave',
            name: options.leaveName,
            label: options.leaveName,
            className: 'leave',
            onpress: options.onleave,
        });
        this.leave.element.classList.add('apart');
        /** @readonly */
        this.element = h(
            'footer',
            { class: 'bar', role: 'toolbar', 'aria-label': t('control.bar') },
            this.mic.element,
            this.camera.element,
            this.screen.element,
            this.chat.element,
            options.onpeople && this.people.element,
            this.more.element,
            this.leave.element,
        );
        this.#shortcuts = {
            M: () => void own.toggleMicrophone(),
            V: () => void own.toggleCamera(),
            ...(canShareScreen() ? { S: options.onscreen } : {}),
            C: options.onchat,
            ...(options.onpeople ? { P: options.onpeople } : {}),
            F: () => toggleFullscreen(),
            '?': () => showShortcuts(Object.keys(this.#shortcuts)),
        };
        this.#offs = [listenForShortcuts(this.#shortcuts), own.on('changed', () => this.update())];
    }

    #options;
    /** @type {import('./device_menu.js').DeviceChoice} */
    #choice;
    /** @type {Record<string, () => void>} */
    #shortcuts;
    #offs;

    /** Shows whether microphone and camera are on. */
    update() {
        const { microphoneOn, cameraOn } = this.#options.own;
        this.mic.device(microphoneOn, {
            icon: microphoneOn ? 'mic' : 'mic-off',
            name: t(microphoneOn ? 'control.mic' : 'control.micOff'),
        });
        this.camera.device(cameraOn, {
            icon: cameraOn ? 'camera' : 'camera-off',
            name: t(cameraOn ? 'control.camera' : 'control.cameraOff'),
        });
    }

    /** @param {boolean} sharing */
    sharing(sharing) {
        this.screen.active(sharing);
        this.screen.name(t(sharing ? 'control.screenStop' : 'control.screen'));
    }

    close() {
        closeMenu();
        for (const off of this.#offs) off();
    }

    /**
     * @param {HTMLElement} button
     * @param {('camera' | 'microphone' | 'speaker')[]} kinds
     */
    async #devices(button, kinds) {
        openMenu(button, await deviceItems(kinds, this.#choice), button.getAttribute('aria-label') ?? '');
    }

    /** @param {HTMLElement} button */
    async #openMore(button) {
        /** @type {import('./menu.js').MenuItem[]} */
        const items = [...(this.#options.moreItems?.() ?? [])];
        const narrow = matchMedia('(max-width: 860px)').matches;
        const { onpeople, pictureVideo } = this.#options;
        if (narrow && onpeople) items.push({ label: t('control.people'), icon: 'people', action: onpeople });
        const video = pictureVideo();
        if (document.pictureInPictureEnabled && video) {
            items.push({ label: t('menu.pip'), icon: 'pip', action: () => void togglePicture(video) });
        }
        if (document.fullscreenEnabled) {
            items.push({
                label: t(document.fullscreenElement ? 'menu.fullscreenExit' : 'menu.fullscreen'),
                icon: 'fullscreen',
                action: toggleFullscreen,
            });
        }
        items.push({
            label: t('menu.shortcuts'),
            icon: 'keyboard',
            action: () => showShortcuts(Object.keys(this.#shortcuts)),
        });
        if (narrow) {
            // the chevrons beside the buttons are not shown on phones
            const devices = await deviceItems(['microphone', 'camera', 'speaker'], this.#choice);
            items.push({ separator: true }, ...devices);
        }
        openMenu(button, items, t('control.more'));
    }
}

function toggleFullscreen() {
    const done = document.fullscreenElement
        ? document.exitFullscreen()
        : document.documentElement.requestFullscreen?.();
    done?.catch(() => {}); // refused without a press: nothing is lost
}

/** @param {HTMLVideoElement} video */
async function togglePicture(video) {
    try {
        if (document.pictureInPictureElement) await document.exitPictureInPicture();
        else await video.requestPictureInPicture();
    } catch {
        // no picture yet, or the browser does not want to: nothing is lost
    }
}

/**
 * Copies a link, and says so; where copying is forbidden, shows it.
 *
 * @param {string} link
 */
export async function copyLink(link) {
    try {
        await navigator.clipboard.writeText(link);
        toast(t('room.copied'));
    } catch {
        toast(t('room.copyFailed', { link }));
    }
}
