/**
 * Contacts: who can be called and written to, and how they can be reached.
 */

/**
 * @typedef {import('./protocol.js').Presence} Presence
 *
 * @typedef {object} ContactOptions
 * @property {string} [prefix] only users whose names begin so
 * @property {number} [limit] how many at most: 100, and up to 1000
 *
 * @typedef {object} Contact
 * @property {string} user the name to call and write to
 * @property {string} name to show
 * @property {boolean} verified an account, or a token vouched for the name
 * @property {Presence} presence
 * @property {string[]} bindings protocols that the user's devices speak, as `native` and `mqtt`
 *
 * @typedef {object} PresenceChange
 * @property {string} user
 * @property {string | null} name to show; null: offline, and as it was
 * @property {Presence} presence
 * @property {string[]} bindings
 */

/** The contacts of one client. */
export class Contacts {
    #signaling;
    #tell;
    /** @type {ContactOptions | null} of the list that is watched */
    #watched = null;

    /**
     * @param {import('./signaling.js').Signaling} signaling
     * @param {(change: PresenceChange) => void} tell
     */
    constructor(signaling, tell) {
        this.#signaling = signaling;
        this.#tell = tell;
    }

    /**
     * @param {ContactOptions} options
     * @returns {Promise<Contact[]>}
     */
    async list({ prefix, limit }) {
        const fields = { ...(prefix ? { prefix } : {}), ...(limit ? { limit } : {}) };
        const { contacts } = await this.#signaling.request('contacts', fields);
        this.#watched = { prefix, limit };
        return contacts;
    }

    /** Nobody is watched any more. */
    forget() {
        this.#watched = null;
    }

    /** A new session knows of no watching: asks again, and tells what may have changed meanwhile. */
    async renew() {
        if (!this.#watched) return;
        for (const { user, name, presence, bindings } of await this.list(this.#watched)) {
            this.#tell({ user, name, presence, bindings });
        }
    }

    /** @param {import('./protocol.js').PresenceEvent} event */
    receive({ user, name, presence, bindings }) {
        this.#tell({ user, name: name ?? null, presence, bindings });
    }
}
