/**
 * The ICE servers of a client: kept fresh, since the credentials of relays end, and narrowed down
 * to relays where the application wants nothing else.
 */

/** Asked for anew when older, or older than half of what their credentials are good for. */
const FRESH_MS_MAX = 30 * 60 * 1000;
/** ...but not more often than this, whatever the clock of this machine says. */
const FRESH_MS_MIN = 10 * 1000;

/**
 * @typedef {boolean | 'udp' | 'tcp' | 'tls'} Relay media through TURN only; a text: over that transport only
 */

export class IceServers {
    #relay;
    #ask;
    /** @type {RTCIceServer[]} */
    #servers = [];
    #staleMs = 0;

    /**
     * @param {Relay} [relay]
     * @param {() => Promise<RTCIceServer[]>} [ask] the server
     */
    constructor(relay = false, ask) {
        this.#relay = relay;
        this.#ask = ask;
    }

    /**
     * Takes what a reply of the server held.
     *
     * @param {RTCIceServer[]} servers
     */
    take(servers) {
        this.#servers = servers;
        const goodMs = Math.min(...servers.map(endOf)) - Date.now();
        this.#staleMs = performance.now() + Math.max(FRESH_MS_MIN, Math.min(goodMs / 2, FRESH_MS_MAX));
    }

    /** For `new RTCPeerConnection()` and `setConfiguration()`. @returns {RTCConfiguration} */
    get configuration() {
        if (!this.#relay) return { iceServers: this.#servers };
        return { iceServers: onlyRelays(this.#servers, this.#relay), iceTransportPolicy: 'relay' };
    }

    /**
     * Asks the server when what we have is old. Never fails: old servers are better than none.
     *
     * @returns {Promise<boolean>} whether the configuration is another one now
     */
    async refresh() {
        if (!this.#ask || performance.now() < this.#staleMs) return false;
        try {
            this.take(await this.#ask());
            return true;
        } catch {
            return false;
        }
    }
}

/**
 * When its credential ends: time-limited ones say so in the user name.
 *
 * @param {RTCIceServer} server
 * @returns {number} milliseconds of Date.now(); Infinity when it does not say
 */
function endOf({ username }) {
    const seconds = /^(\d+)(:|$)/.exec(username ?? '')?.[1];
    return seconds ? Number(seconds) * 1000 : Infinity;
}

/**
 * @param {RTCIceServer[]} servers
 * @param {Relay} relay
 * @returns {RTCIceServer[]}
 */
function onlyRelays(servers, relay) {
    return servers
        .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => isRelay(url, relay)) }))
        .filter(({ urls }) => urls.length > 0);
}

/**
 * @param {string} url
 * @param {Relay} relay
 */
function isRelay(url, relay) {
    const match = /^(turns?):[^?]*(?:\?transport=(\w+))?$/i.exec(url);
    if (!match) return false;
    const secure = match[1].toLowerCase() === 'turns';
    const transport = match[2]?.toLowerCase() ?? (secure ? 'tcp' : 'udp');
    return relay === true || relay === (secure ? 'tls' : transport);
}
