/** The user's connected devices; one that is lost or not theirs can be sent away. */

import { t } from '../texts.js';
import { toast } from './announce.js';
import { confirm } from './dialog.js';
import { h, icon } from './dom.js';
import { asRoostError } from './local_media.js';
import { problemLine } from './notice.js';

export class DeviceList {
    #client;
    #list = h('ul', { class: 'contact-rows', 'aria-label': t('contacts.devices') });

    /** @param {import('../../sdk/roost.js').Client} client */
    constructor(client) {
        this.#client = client;
        /** @readonly */
        this.element = h('section', { class: 'contact-pane' }, this.#list);
        void this.#load();
    }

    async #load() {
        try {
            const devices = await this.#client.devices();
            this.#list.replaceChildren(...devices.map((device) => this.#row(device)));
        } catch (error) {
            toast(problemLine(asRoostError(error)));
        }
    }

    /** @param {import('../../sdk/messages.js').Device} device */
    #row(device) {
        const since = new Date(device.since).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
        const name = t(device.current ? 'devices.this' : 'devices.other', { binding: device.binding });
        return h(
            'li',
            { class: 'call-row device-row' },
            icon('signal'),
            h(
                'span',
                { class: 'who' },
                h('span', { class: 'who-name' }, name),
                h('small', null, t('devices.since', { address: device.address, since })),
            ),
            !device.current &&
                h(
                    'button',
                    {
                        class: 'button small',
                        type: 'button',
                        onclick: () =>
                            confirm(t('devices.confirm'), t('devices.signOut'), () => void this.#revoke(device.id)),
                    },
                    t('devices.signOut'),
                ),
        );
    }

    /** @param {string} id */
    async #revoke(id) {
        try {
            await this.#client.revokeDevice(id);
        } catch (error) {
            toast(problemLine(asRoostError(error)));
        }
        await this.#load();
    }
}
