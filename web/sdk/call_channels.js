/**
 * The data channels of a call: whether a side is muted, and texts. Clients of this SDK share a channel
 * that both know of; with those of other protocols there is one by the name `call`, for plain texts.
 */

const CHANNEL_ID = 0;
const TEXT_MAX = 4096;

/**
 * @typedef {object} CallChannelsEvents
 * @property {() => void} open the shared channel may be used
 * @property {() => void} closed the other side has closed it
 * @property {(muted: {audio: boolean, video: boolean}) => void} muted the other side is
 * @property {(text: string) => void} text
 */

export class CallChannels {
    #shared;
    /** Whether the other side has said something on the shared channel. */
    #isShared = false;
    /** @type {RTCDataChannel | null} */
    #plain = null;
    #events;

    /**
     * @param {RTCPeerConnection} connection
     * @param {boolean} caller
     * @param {CallChannelsEvents} events
     */
    constructor(connection, caller, events) {
        this.#events = events;
        this.#shared = connection.createDataChannel('roost', { negotiated: true, id: CHANNEL_ID });
        this.#shared.onopen = () => {
            // one that never opened, as the other side declined data, says nothing about the call
            this.#shared.onclose = () => events.closed();
            events.open();
        };
        this.#shared.onmessage = ({ data }) => this.#message(data);
        // simple-peer and PeerJS clients take a call for connected when its caller opens a channel
        if (caller) this.#use(connection.createDataChannel('call'));
        connection.ondatachannel = ({ channel }) => this.#use(channel);
    }

    /**
     * @param {string} text
     * @returns {boolean} whether there is a channel for it
     */
    send(text) {
        const plain = !this.#isShared && this.#plain?.readyState === 'open' ? this.#plain : null;
        if (!plain) return this.#say({ type: 'chat', text });
        plain.send(text);
        return true;
    }

    /** @param {{audio: boolean, video: boolean}} muted */
    tellMuted(muted) {
        this.#say({ type: 'muted', ...muted });
    }

    /**
     * @param {object} message
     * @returns {boolean}
     */
    #say(message) {
        if (this.#shared.readyState !== 'open') return false;
        this.#shared.send(JSON.stringify(message));
        return true;
    }

    /** @param {RTCDataChannel} channel */
    #use(channel) {
        this.#plain = channel;
        channel.onmessage = ({ data }) => typeof data === 'string' && this.#text(data);
    }

    /** @param {string} text */
    #text(text) {
        this.#events.text(text.slice(0, TEXT_MAX));
    }

    /** @param {unknown} data */
    #message(data) {
        this.#isShared = true;
        /** @type {Record<string, unknown>} */
        let message;
        try {
            message = JSON.parse(String(data));
        } catch {
            return; // another version's message
        }
        if (message.type === 'muted') this.#events.muted({ audio: message.audio === true, video: message.video === true });
        else if (message.type === 'chat' && typeof message.text === 'string') this.#text(message.text);
    }
}
