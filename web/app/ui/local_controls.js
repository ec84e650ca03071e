/** Microphone and camera buttons for before a call: in the lobby and while waiting for somebody. */

import { t } from '../texts.js';
import { Control } from './control.js';
import { openDeviceMenu } from './device_menu.js';
import { listenForShortcuts } from './dialog.js';

export class LocalControls {
    /**
     * @param {import('./local_media.js').LocalMedia} media
     * @param {{labels?: boolean}} [options] labels: texts below the buttons
     */
    constructor(media, { labels = false } = {}) {
        this.#media = media;
        const toggleMicrophone = () => void media.setMicrophone(!media.microphoneOn || !media.microphone);
        const toggleCamera = () => void media.setCamera(!media.cameraOn || !media.camera);
        /** @type {import('./device_menu.js').DeviceChoice} */
        const choice = {
            onchoose: (kind, deviceId) => void media.choose(kind, deviceId),
            camera: () => media.camera?.getSettings().deviceId,
            microphone: () => media.microphone?.getSettings().deviceId,
            onspeaker: () => {},
        };
        this.#microphone = new Control({
            icon: 'mic',
            name: t('control.mic'),
            label: labels ? t('control.micLabel') : undefined,
            key: 'M',
            onpress: toggleMicrophone,
            chevron: {
                name: t('control.devicesMic'),
                onpress: (button) => openDeviceMenu(button, ['microphone', 'speaker'], choice),
            },
        });
        this.#camera = new Control({
            icon: 'camera',
            name: t('control.camera'),
            label: labels ? t('control.cameraLabel') : undefined,
            key: 'V',
            onpress: toggleCamera,
            chevron: {
                name: t('control.devicesCamera'),
                onpress: (button) => openDeviceMenu(button, ['camera'], choice),
            },
        });
        /** @readonly */
        this.elements = [this.#microphone.element, this.#camera.element];
        this.#offs = [
            media.on('changed', () => this.update()),
            listenForShortcuts({ M: toggleMicrophone, V: toggleCamera }),
        ];
        this.update();
    }

    #media;
    #microphone;
    #camera;
    #offs;

    update() {
        const media = this.#media;
        const microphoneOn = media.microphoneOn && media.microphone !== null;
        const cameraOn = media.cameraOn && media.camera !== null;
        this.#microphone.device(microphoneOn, {
            icon: microphoneOn ? 'mic' : 'mic-off',
            name: t(microphoneOn ? 'control.mic' : 'control.micOff'),
        });
        this.#camera.device(cameraOn, {
            icon: cameraOn ? 'camera' : 'camera-off',
            name: t(cameraOn ? 'control.camera' : 'control.cameraOff'),
        });
    }

    close() {
        for (const off of this.#offs) off();
    }
}
