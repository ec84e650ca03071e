/** The menus that choose camera, microphone and loudspeaker. */

import { canChooseSpeaker, listDevices } from '../../sdk/roost.js';
import { saveSettings, settings } from '../settings.js';
import { t } from '../texts.js';
import { openMenu } from './menu.js';

/**
 * @typedef {object} DeviceChoice
 * @property {(kind: 'camera' | 'microphone', deviceId: string) => void} onchoose
 * @property {() => string | undefined} camera device id in use
 * @property {() => string | undefined} microphone device id in use
 * @property {(deviceId: string) => void} [onspeaker]
 */

/**
 * Menu entries for one kind, or for all.
 *
 * @param {('camera' | 'microphone' | 'speaker')[]} kinds
 * @param {DeviceChoice} choice
 * @returns {Promise<import('./menu.js').MenuItem[]>}
 */
export async function deviceItems(kinds, choice) {
    const found = await listDevices();
    /** @type {import('./menu.js').MenuItem[]} */
    const items = [];
    for (const kind of kinds) {
        if (kind === 'speaker' && (!choice.onspeaker || !canChooseSpeaker())) continue;
        const devices = found[`${kind}s`];
        const wanted = kind === 'speaker' ? settings.speaker || 'default' : choice[kind]();
        const inUse = devices.some(({ deviceId }) => deviceId === wanted) ? wanted : devices[0]?.deviceId;
        items.push({ heading: t(`menu.${kind}`) });
        if (devices.length === 0) {
            items.push({ label: t('menu.noDevices'), action: () => {} });
        }
        devices.forEach(({ deviceId, label }, index) => {
            items.push({
                label: label || t('menu.unnamedDevice', { number: index + 1 }),
                checked: deviceId === inUse,
                action: () => {
                    if (kind !== 'speaker') return choice.onchoose(kind, deviceId);
                    saveSettings({ speaker: deviceId });
                    choice.onspeaker?.(deviceId);
                },
            });
        });
    }
    return items;
}

/**
 * @param {HTMLElement} button
 * @param {('camera' | 'microphone' | 'speaker')[]} kinds
 * @param {DeviceChoice} choice
 */
export async function openDeviceMenu(button, kinds, choice) {
    const items = await deviceItems(kinds, choice);
    openMenu(button, items, button.getAttribute('aria-label') ?? '');
}
