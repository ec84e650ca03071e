/** The application's one connection to the server, opened when the first page needs it. */

import { connect } from '../sdk/roost.js';
import { relayOf } from './router.js';

/** What browser tests and curious people may look at: the live objects. */
export const roostApp = {
    /** @type {import('../sdk/roost.js').Client | null} */
    client: null,
    /** @type {import('../sdk/roost.js').Room | null} */
    room: null,
    /** @type {import('../sdk/roost.js').Call | null} */
    call: null,
    /** @type {import('./account.js').Account | null} who signed in */
    account: null,
    /** Name of the page that is shown. */
    page: '',
    /** Statistics of the room or the call; null when there is no media. */
    stats: async () => (await (roostApp.room ?? roostApp.call)?.stats()) ?? null,
};
Object.assign(globalThis, { roostApp });

/** @type {Promise<import('../sdk/roost.js').Client> | null} */
let connecting = null;

/**
 * The connection to the server; a new attempt when there is none.
 *
 * @returns {Promise<import('../sdk/roost.js').Client>}
 * @throws {import('../sdk/roost.js').RoostError}
 */
export function client() {
    if (roostApp.client && roostApp.client.state !== 'closed') return Promise.resolve(roostApp.client);
    connecting ??= connect({ relay: relayOf(location.search) })
        .then((made) => (roostApp.client = made))
        .finally(() => (connecting = null));
    return connecting;
}
