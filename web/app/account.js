/** The user who signed in: whom they know, what was said, who called. Outlives the pages. */

import { Emitter, RoostError } from '../sdk/roost.js';

/** New users appear in lists only: so often it is asked for a new one. */
const REFRESH_MS = 30_000;
const CONTACTS_MAX = 1000;

/**
 * @typedef {import('../sdk/contacts.js').Contact} Contact
 * @typedef {import('../sdk/messages.js').Message} Message
 * @typedef {import('../sdk/messages.js').PastCall} CallRecord
 * @typedef {import('../sdk/protocol.js').PresenceChoice} PresenceChoice
 *
 * @typedef {object} Conversation
 * @property {Message[]} messages the oldest first
 * @property {boolean} complete there are no older ones
 * @property {number} unread
 *
 * @typedef {object} AccountEvents
 * @property {null} contacts the list, or somebody's presence
 * @property {{user: string}} conversation
 * @property {null} calls the history, or how many were missed
 * @property {RoostError} signed-out by the server
 */

/** @extends {Emitter<AccountEvents>} */
export class Account extends Emitter {
    /** @type {Map<string, Contact>} */
    contacts = new Map();
    /** @type {CallRecord[]} the newest first */
    calls = [];
    callsComplete = false;
    missedCalls = 0;
    /** @type {PresenceChoice} */
    presence = 'online';
    /** @type {Map<string, Conversation>} */
    #conversations = new Map();
    /** The user whose conversation is shown: what they write is read. */
    #shown = '';
    /** @type {(() => void)[]} */
    #offs = [];
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #timer;

    /**
     * @param {import('../sdk/roost.js').Client} client
     * @param {string} user
     */
    constructor(client, user) {
        super();
        /** @readonly */
        this.client = client;
        /** @readonly */
        this.user = user;
        this.#offs.push(
            client.on('presence', (change) => this.#presenceChanged(change)),
            client.on('message', (message) => this.#messageCame(message)),
            client.on('missed', ({ calls }) => this.#missed(calls)),
            client.on('failed', (error) => this.emit('signed-out', error)),
        );
        this.#timer = setInterval(() => void this.refresh().catch(() => {}), REFRESH_MS);
    }

    /**
     * @param {import('../sdk/roost.js').Client} client
     * @param {{user: string, password?: string, token?: string}} credentials
     * @returns {Promise<Account>}
     * @throws {RoostError}
     */
    static async signIn(client, { user, ...proof }) {
        const account = new Account(client, user);
        try {
            await client.register(user, proof);
            await Promise.all([account.refresh(), account.loadCalls()]);
        } catch (error) {
            account.close();
            throw error;
        }
        return account;
    }

    async signOut() {
        this.close();
        await this.client.unregister().catch(() => {}); // gone already
    }

    close() {
        clearInterval(this.#timer);
        for (const off of this.#offs) off();
        this.clear();
    }

    /** Asks who is there. */
    async refresh() {
        if (this.client.state !== 'open') return;
        const list = await this.client.contacts({ limit: CONTACTS_MAX });
        this.contacts = new Map(list.filter(({ user }) => user !== this.user).map((contact) => [contact.user, contact]));
        this.emit('contacts', null);
    }

    /** @param {string} user */
    nameOf(user) {
        return this.contacts.get(user)?.name || user;
    }

    /** @param {PresenceChoice} presence */
    async setPresence(presence) {
        await this.client.setPresence(presence);
        this.presence = presence;
        this.emit('contacts', null);
    }

    /** @param {import('../sdk/contacts.js').PresenceChange} change */
    #presenceChanged({ user, name, presence, bindings }) {
        const contact = this.contacts.get(user);
        if (!contact) return;
        this.contacts.set(user, { ...contact, name: name ?? contact.name, presence, bindings });
        this.emit('contacts', null);
    }

    /** ---- messages ---- */

    /**
     * @param {string} user
     * @returns {Conversation}
     */
    conversation(user) {
        const known = this.#conversations.get(user);
        if (known) return known;
        const made = { messages: [], complete: false, unread: 0 };
        this.#conversations.set(user, made);
        return made;
    }

    get unread() {
        return [...this.#conversations.values()].reduce((sum, { unread }) => sum + unread, 0);
    }

    /** @param {string} user whose conversation is on the screen; empty: nobody's */
    show(user) {
        this.#shown = user;
        if (!user || !this.conversation(user).unread) return;
        this.conversation(user).unread = 0;
        this.emit('conversation', { user });
    }

    /**
     * Loads what was said before.
     *
     * @param {string} user
     */
    async loadOlder(user) {
        const conversation = this.conversation(user);
        if (conversation.complete) return;
        const before = conversation.messages.find(({ id }) => id)?.id;
        const { messages, more } = await this.client.messages(user, before ? { before } : {});
        const known = new Set(conversation.messages.map(({ id }) => id));
        conversation.messages.unshift(...messages.filter(({ id }) => !known.has(id)));
        conversation.complete = !more;
        this.emit('conversation', { user });
    }

    /**
     * @param {string} user
     * @param {string} text
     */
    async send(user, text) {
        const { id, sentAt } = await this.client.sendMessage(user, text);
        const from = { user: this.user, name: this.user, verified: true };
        this.#add(user, { id, from, to: user, text, sentAt, missed: false, own: true });
    }

    /** @param {Message} message */
    #messageCame(message) {
        const user = message.own ? message.to : message.from.user;
        if (!this.#add(user, message)) return;
        if (!message.own && !(this.#shown === user && document.visibilityState === 'visible')) {
            this.conversation(user).unread++;
            this.emit('conversation', { user });
        }
        if (!this.contacts.has(user)) void this.refresh().catch(() => {});
    }

    /**
     * @param {string} user
     * @param {Message} message
     * @returns {boolean} it is new
     */
    #add(user, message) {
        const { messages } = this.conversation(user);
        if (messages.some(({ id }) => id === message.id)) return false;
        const later = messages.findIndex(({ sentAt }) => sentAt > message.sentAt);
        messages.splice(later < 0 ? messages.length : later, 0, message);
        this.emit('conversation', { user });
        return true;
    }

    /** ---- calls ---- */

    /** @param {{older?: boolean}} [options] */
    async loadCalls({ older = false } = {}) {
        const before = older ? this.calls.at(-1)?.id : undefined;
        const { calls, more } = await this.client.calls(before ? { before } : {});
        this.calls = older ? [...this.calls, ...calls] : calls;
        this.callsComplete = !more;
        if (!older) this.missedCalls = calls.filter(({ missed }) => missed).length;
        this.emit('calls', null);
    }

    /** The missed calls were looked at. */
    async seeCalls() {
        if (this.missedCalls === 0) return;
        await this.client.calls({ limit: 1, seen: true });
        this.#missed(0);
    }

    /** @param {number} count */
    #missed(count) {
        this.missedCalls = count;
        this.emit('calls', null);
    }
}
