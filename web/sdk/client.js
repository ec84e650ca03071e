/**
 * A connection to a roost server: rooms and calls begin here.
 */

import { Call } from './call.js';
import { Contacts } from './contacts.js';
import { E2ee } from './e2ee.js';
import { Emitter } from './emitter.js';
import { RoostError } from './errors.js';
import { IceServers } from './ice.js';
import { readDevice, readMessage, readPastCall } from './messages.js';
import { Room, joinFields } from './room.js';
import { Signaling } from './signaling.js';

/**
 * @typedef {object} ConnectOptions
 * @property {string} [url] of the server, as in `https://calls.example.org`; the page's own otherwise
 * @property {string} [name] display name
 * @property {string} [token] a token for rooms and for the user name
 * @property {boolean} [transfers] whether the other side of a call may have this client call somebody
 *     else in its place; `true` by default
 * @property {import('./ice.js').Relay} [relay] media through TURN relays only, `true` or over one transport
 *
 * @typedef {object} Registration
 * @property {string} user
 * @property {{user: string, name?: string, token?: string, password?: string}} fields
 * @property {import('./protocol.js').PresenceChoice} [presence] as it was set
 *
 * @typedef {object} ClientEvents
 * @property {import('./signaling.js').SignalingState} state
 * @property {{attempt: number, delayMs: number}} retry when the next attempt to reconnect comes
 * @property {Call} incoming-call
 * @property {string} link-ready the user whose link we wait at is there now
 * @property {{user: string, message: string}} unregistered the name that we registered without proof, or
 *     the link where we wait, is somebody's who can prove it: calls to it do not come here any more
 * @property {import('./contacts.js').PresenceChange} presence one of contacts() can be reached in another way now
 * @property {import('./messages.js').Message} message a text came, or another device of ours sent one
 * @property {{calls: number, messages: number}} missed once behind register(): so much came while we were not there
 * @property {string} server-closing a sentence of the server's
 * @property {RoostError} failed the server does not want us; no more attempts
 */

/** @extends {Emitter<ClientEvents>} */
export class Client extends Emitter {
    #options;
    #signaling;
    #ice;
    #contacts;
    /** @type {Set<Call>} */
    #calls = new Set();
    /** @type {Registration | null} */
    #registered = null;

    /** @param {ConnectOptions} options */
    constructor(options) {
        super();
        this.#options = options;
        this.#signaling = new Signaling(webSocketUrl(options.url));
        this.#ice = new IceServers(options.relay, async () =>
            (await this.#signaling.request('ice_servers')).ice_servers,
        );
        this.#contacts = new Contacts(this.#signaling, (change) => this.emit('presence', change));
        this.#signaling.on('state', (state) => this.emit('state', state));
        this.#signaling.on('retry', (retry) => this.emit('retry', retry));
        this.#signaling.on('failed', (error) => this.emit('failed', error));
        this.#signaling.on('message', (message) => this.#receive(message));
        this.#signaling.on('renewed', () => this.#renewed());
    }

    get state() {
        return this.#signaling.state;
    }

    /** Name and version of the server. */
    get server() {
        return this.#signaling.session.server;
    }

    get limits() {
        return this.#signaling.session.limits;
    }

    /** Used by connect(). */
    async open() {
        await this.#signaling.open();
        this.#ice.take(this.#signaling.session.ice_servers);
    }

    /**
     * Joins a room, which exists from its first member to its last.
     *
     * @param {string} room
     * @param {import('./room.js').JoinOptions} [options]
     * @returns {Promise<Room>}
     * @throws {RoostError} room-full, room-locked, kicked, token-required, e2ee-unsupported...
     */
    async join(room, options = {}) {
        const e2ee = options.e2ee ? await E2ee.prepare(room, options.e2ee) : null;
        try {
            return await this.#join(room, options, e2ee);
        } catch (error) {
            e2ee?.close();
            throw error;
        }
    }

    /**
     * @param {string} room
     * @param {import('./room.js').JoinOptions} options
     * @param {E2ee | null} e2ee
     */
    async #join(room, options, e2ee) {
        const name = options.name ?? this.#options.name ?? 'Guest';
        const token = options.token ?? this.#options.token;
        const joined = await this.#signaling.request(
            'join',
            joinFields(room, name, token, options.autoSubscribe, options.playoutDelay),
        );
        return new Room(this.#signaling, this.#ice, { ...options, room, name, token }, joined, e2ee);
    }

    /**
     * Becomes callable under a user name.
     *
     * @param {string} user
     * @param {{name?: string, token?: string, password?: string}} [options] the password of an account
     *     of that name
     * @throws {RoostError} login-refused, user-taken, token-invalid...
     */
    async register(user, options = {}) {
        const name = options.name ?? this.#options.name;
        const token = options.token ?? this.#options.token;
        const { password } = options;
        const fields = {
            user,
            ...(name ? { name } : {}),
            ...(password ? { password } : token ? { token } : {}),
            transfers: this.#transfers,
        };
        const { ice_servers } = await this.#signaling.request('register', fields);
        if (ice_servers) this.#ice.take(ice_servers);
        this.#registered = { user, fields };
    }

    /** Is callable no longer; calls go on. */
    async unregister() {
        this.#registered = null;
        this.#contacts.forget();
        await this.#signaling.request('unregister');
    }

    /**
     * Who can be called and written to. Tells of changes by `presence` events from now on, until the
     * next list; who is new comes by lists only.
     *
     * @param {import('./contacts.js').ContactOptions} [options]
     * @returns {Promise<import('./contacts.js').Contact[]>} in the order of their user names
     * @throws {RoostError} not-registered, not-permitted
     */
    contacts(options = {}) {
        return this.#contacts.list(options);
    }

    /**
     * Says how the user wants to be reached. `dnd`, on one device, keeps all of them from ringing.
     *
     * @param {import('./protocol.js').PresenceChoice} presence
     */
    async setPresence(presence) {
        await this.#signaling.request('presence', { presence });
        if (this.#registered) this.#registered.presence = presence;
    }

    /**
     * Sends a text to a user: to all devices of the receiver, and to our own other ones.
     *
     * @param {string} to
     * @param {string} text at most 4096 bytes of UTF-8
     * @returns {Promise<{id: string, sentAt: number}>} a device of the receiver has it, or it waits on the server's disk
     * @throws {RoostError} user-unavailable, not-registered, rate-limited, server-full...
     */
    async sendMessage(to, text) {
        const { message, sent_at } = await this.#signaling.request('message', { to, text });
        return { id: message, sentAt: sent_at };
    }

    /**
     * Messages to and from a user, the latest or those before one of them, oldest first.
     *
     * @param {string} user
     * @param {{before?: string, limit?: number}} [page] `before`: the id of the oldest that is known
     * @returns {Promise<{messages: import('./messages.js').Message[], more: boolean}>}
     * @throws {RoostError} not-permitted (guests have no history), not-registered
     */
    async messages(user, page = {}) {
        const own = this.#registered?.user ?? '';
        const { messages, more } = await this.#signaling.request('messages', { with: user, ...page });
        return { messages: messages.map((message) => readMessage(message, own)), more };
    }

    /**
     * Past calls, newest first.
     *
     * @param {{before?: string, limit?: number, seen?: boolean}} [page] `seen`: missed ones count no longer
     * @returns {Promise<{calls: import('./messages.js').PastCall[], more: boolean}>}
     * @throws {RoostError} not-permitted (guests have no history), not-registered
     */
    async calls(page = {}) {
        const { calls, more } = await this.#signaling.request('calls', page);
        return { calls: calls.map(readPastCall), more };
    }

    /**
     * Where the user is signed in.
     *
     * @returns {Promise<import('./messages.js').Device[]>}
     */
    async devices() {
        const { devices } = await this.#signaling.request('devices');
        return devices.map(readDevice);
    }

    /**
     * Disconnects another device of the user; a client of this SDK there fails with `device-revoked`.
     *
     * @param {string} device its id
     * @throws {RoostError} no-such-device
     */
    async revokeDevice(device) {
        await this.#signaling.request('device_revoke', { device });
    }

    /**
     * Comes to a call link: two who open the same link are to talk. With the role `call` somebody
     * is there to be called; with `wait` an `incoming-call` or `link-ready` will come.
     *
     * @param {string} link
     * @param {{name?: string}} [options]
     * @returns {Promise<'wait' | 'call'>}
     */
    async link(link, options = {}) {
        const name = options.name ?? this.#options.name ?? 'Guest';
        const token = this.#options.token;
        const { role, ice_servers } = await this.#signaling.request('link', {
            link,
            name,
            ...(token ? { token } : {}),
            transfers: this.#transfers,
        });
        if (ice_servers) this.#ice.take(ice_servers);
        return role;
    }

    /** Waits at the link no longer. */
    async unlink() {
        await this.#signaling.request('unlink');
    }

    /**
     * Calls a user or a link, peer to peer.
     *
     * @param {string} to
     * @param {import('./call.js').CallOptions} [options]
     * @returns {Promise<Call>} rings when this resolves
     * @throws {RoostError} user-unavailable, user-busy, already-in-call...
     */
    async call(to, options = {}) {
        const name = options.name ?? this.#options.name;
        const call = this.#makeCall(to, {
            ...options,
            ...(name ? { name } : {}),
            transfers: this.#transfers,
        });
        await call.start();
        return call;
    }

    get #transfers() {
        return this.#options.transfers ?? true;
    }

    /** Ends the session: rooms and calls are left. */
    close() {
        for (const call of this.#calls) void call.hangup();
        this.#signaling.close();
    }

    /** Drops the socket as a broken network would: for tests of resuming. */
    interrupt() {
        this.#signaling.interrupt();
    }

    /**
     * @param {string} peer
     * @param {import('./call.js').CallOptions} options
     * @param {import('./protocol.js').CallIncomingEvent} [incoming]
     * @returns {Call}
     */
    #makeCall(peer, options, incoming) {
        const call = new Call(this.#signaling, this.#ice, peer, options, incoming);
        this.#calls.add(call);
        call.on('ended', () => this.#calls.delete(call));
        return call;
    }

    /** @param {import('./protocol.js').ServerEvent} message an event of the server */
    #receive(message) {
        switch (message.type) {
            case 'call_incoming':
                this.#incoming(message);
                break;
            case 'call_transfer':
                void this.#transfer(message);
                break;
            case 'link_ready':
                this.emit('link-ready', message.link);
                break;
            case 'unregistered':
                if (this.#registered?.user === message.user) this.#registered = null;
                this.emit('unregistered', { user: message.user, message: message.message });
                break;
            case 'message':
                this.emit('message', readMessage(message, this.#registered?.user ?? ''));
                break;
            case 'missed':
                this.emit('missed', { calls: message.calls, messages: message.messages });
                break;
            case 'presence':
                this.#contacts.receive(message);
                break;
            case 'server_closing':
                this.emit('server-closing', message.message);
                break;
        }
    }

    /** @param {import('./protocol.js').CallIncomingEvent} incoming */
    #incoming(incoming) {
        if (incoming.glare) {
            const outgoing = [...this.#calls].find(
                ({ state }) => state === 'calling' || state === 'ringing',
            );
            if (outgoing) {
                outgoing.takeOver(incoming).catch(() => {}); // its `ended` tells
                return;
            }
        }
        const peer = incoming.from.user ?? incoming.to;
        const replaced = this.#find(incoming.replaces);
        const call = this.#makeCall(peer, replaced ? { tracks: copiesOf(replaced) } : {}, incoming);
        if (!replaced) {
            this.emit('incoming-call', call);
            return;
        }
        replaced.emit('transfer', call);
        call.accept().catch(() => {}); // its `ended` tells
    }

    /**
     * The other side of a call hands us on: calls whom it names, with the media of that call.
     *
     * @param {import('./protocol.js').CallTransferEvent} message
     */
    async #transfer({ call: id, to }) {
        const left = this.#find(id);
        if (!left) return;
        const name = this.#options.name;
        const call = this.#makeCall(to, {
            tracks: copiesOf(left),
            media: left.media,
            transfer: id,
            ...(name ? { name } : {}),
        });
        left.emit('transfer', call);
        await call.start().catch(() => {}); // its `ended` tells, and the old one goes on
    }

    /**
     * @param {string | undefined} id
     * @returns {Call | undefined}
     */
    #find(id) {
        return id === undefined ? undefined : [...this.#calls].find((call) => call.id === id);
    }

    /** The old session is gone, and with it the name and all calls' signaling. */
    #renewed() {
        for (const call of this.#calls) void call.hangup();
        if (this.#registered) {
            this.#registerAgain(this.#registered).catch((error) => {
                if (error instanceof RoostError) this.emit('failed', error);
            });
        }
    }

    /** @param {Registration} registered */
    async #registerAgain({ fields, presence }) {
        await this.#signaling.request('register', fields);
        if (presence) await this.#signaling.request('presence', { presence });
        await this.#contacts.renew();
    }
}

/**
 * Connects to a server.
 *
 * @param {ConnectOptions} [options]
 * @returns {Promise<Client>}
 * @throws {RoostError} server-unreachable, server-full, version-unsupported
 */
export async function connect(options = {}) {
    const client = new Client(options);
    await client.open();
    return client;
}

/**
 * What a call sends, for one that takes its place: each stops its own when it ends.
 *
 * @param {Call} call
 * @returns {MediaStreamTrack[]}
 */
function copiesOf(call) {
    return call.localTracks.flatMap(({ mediaTrack }) => (mediaTrack ? [mediaTrack.clone()] : []));
}

/**
 * @param {string | undefined} url of the server; the page's own otherwise
 * @returns {string}
 */
function webSocketUrl(url) {
    const address = new URL('/ws', url ?? globalThis.location?.href);
    address.protocol = address.protocol === 'http:' || address.protocol === 'ws:' ? 'ws:' : 'wss:';
    return address.href;
}
