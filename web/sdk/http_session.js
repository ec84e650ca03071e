// What WHIP (RFC 9725) and WHEP have in common: an offer that is POSTed, a session that is a resource.
// @ts-check

/** A request that the server refused. */
export class HttpSessionError extends Error {
    /**
     * @param {string} message for people
     * @param {number} status of HTTP
     * @param {number} retryAfterS what the server said; 0: nothing
     */
    constructor(message, status, retryAfterS) {
        super(message);
        this.name = 'HttpSessionError';
        this.status = status;
        this.retryAfterS = retryAfterS;
    }
}

/**
 * Link fields (RFC 8288): addresses and their parameters, as far as these are quoted.
 * @param {string | null} field
 * @returns {{url: string, values: Record<string, string>}[]}
 */
function linksOf(field) {
    return [...(field ?? '').matchAll(/<([^>]*)>([^<]*)/g)].map(([, url, parameters]) => {
        /** @type {Record<string, string>} */
        const values = {};
        for (const [, name, value] of parameters.matchAll(/;\s*([\w-]+)="((?:[^"\\]|\\.)*)"/g))
            values[name.toLowerCase()] = value.replace(/\\(.)/g, '$1');
        return { url, values };
    });
}

/**
 * ICE servers from Link fields (RFC 9725, 4.6).
 * @param {string | null} field
 * @returns {RTCIceServer[]}
 */
export function iceServersOf(field) {
    return linksOf(field).filter(({ values }) => values.rel === 'ice-server').map(({ url, values }) => (values.username === undefined
        ? { urls: url } : { urls: url, username: values.username, credential: values.credential }));
}

/**
 * What a fragment (RFC 8840, 9) says of the one transport that all sections share.
 * @param {string | undefined} sdp
 */
function fragmentOf(sdp) {
    const kept = /^(a=ice-ufrag:|a=ice-pwd:|a=mid:|m=|a=group:)/;
    const [session, first] = (sdp ?? '').split(/^(?=m=)/m);
    return `${session}${first ?? ''}`.split(/\r?\n/).filter((line) => kept.test(line));
}

/** One peer connection that is negotiated by HTTP. */
export class HttpSession {
    /** @type {RTCPeerConnection} */
    peerConnection;
    #endpoint;
    #token;
    /** @type {string | null} */
    #resource = null;
    #etag = '*';
    /** @type {Map<string, string>} addresses of extensions by their names */
    #extensions = new Map();
    /** @type {string[]} lines that wait to be sent */
    #candidates = [];
    #closed = false;
    #restarting = false;
    #trickling = false;

    /**
     * @param {string} endpoint URL of the WHIP or WHEP endpoint
     * @param {{token?: string, configuration?: RTCConfiguration}} options
     */
    constructor(endpoint, { token, configuration } = {}) {
        this.#endpoint = new URL(endpoint, globalThis.location?.href).href;
        this.#token = token;
        this.peerConnection = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...configuration });
        this.peerConnection.addEventListener('icecandidate', ({ candidate }) => {
            // without a text: one section has no more, which says nothing of the whole
            if (candidate && !candidate.candidate) return;
            this.#candidates.push(candidate ? `a=${candidate.candidate}` : 'a=end-of-candidates');
            void this.#trickle();
        });
        this.peerConnection.addEventListener('iceconnectionstatechange', () => {
            if (this.peerConnection.iceConnectionState === 'failed') this.restart().catch(() => {});
        });
    }

    /**
     * Sends the offer. Call it once all tracks are there. The offer is applied when the server has answered: only then is it
     * known which ICE servers to gather candidates from (RFC 9725, 4.6). Candidates follow by PATCH.
     */
    async start() {
        const { peerConnection } = this;
        const offer = await peerConnection.createOffer();
        const answer = await this.#fetch(this.#endpoint, 'POST', 'application/sdp', offer.sdp);
        const sdp = await answer.text();
        this.#resource = new URL(answer.headers.get('location') ?? '', this.#endpoint).href;
        this.#etag = answer.headers.get('etag') ?? '*';
        if (this.#closed) return this.#delete();
        for (const { url, values } of linksOf(answer.headers.get('link'))) this.#extensions.set(values.rel ?? '', new URL(url, this.#endpoint).href);
        const servers = iceServersOf(answer.headers.get('link'));
        if (servers.length > 0 && !peerConnection.getConfiguration().iceServers?.length)
            peerConnection.setConfiguration({ ...peerConnection.getConfiguration(), iceServers: servers });
        await peerConnection.setLocalDescription(offer);
        await peerConnection.setRemoteDescription({ type: 'answer', sdp });
    }

    /** Restarts ICE: the network has changed, or the path is lost. Media does not begin anew. */
    async restart() {
        if (this.#closed || !this.#resource || this.#restarting) return;
        this.#restarting = true;
        try {
            const { peerConnection } = this;
            const offer = await peerConnection.createOffer({ iceRestart: true });
            const answer = await this.#patch(fragmentOf(offer.sdp));
            const text = await answer.text();
            this.#etag = answer.headers.get('etag') ?? '*';
            const line = (/** @type {string} */ name) => new RegExp(`^a=${name}:(.*)$`, 'm').exec(text)?.[1].trim() ?? '';
            const candidates = [...text.matchAll(/^a=candidate:.*$/gm)].map(([candidate]) => candidate.trim());
            const before = peerConnection.remoteDescription?.sdp ?? '';
            const sdp = before.replace(/^a=ice-ufrag:.*$/gm, `a=ice-ufrag:${line('ice-ufrag')}`)
                .replace(/^a=ice-pwd:.*$/gm, `a=ice-pwd:${line('ice-pwd')}`)
                .replace(/^a=candidate:.*\r?\n/gm, '')
                .replace(/^(a=ice-pwd:.*)$/m, [`$1`, ...candidates].join('\r\n'));
            this.#candidates = [];
            await peerConnection.setLocalDescription(offer);
            await peerConnection.setRemoteDescription({ type: 'answer', sdp });
        } finally {
            this.#restarting = false;
            void this.#trickle();
        }
    }

    /**
     * Sends the candidates found so far; those that are found meanwhile go together, next. A server that does not take them
     * learns of our addresses by our checks.
     */
    async #trickle() {
        if (this.#trickling || this.#restarting) return;
        this.#trickling = true;
        try {
            while (this.#candidates.length > 0 && !this.#closed && !this.#restarting)
                await this.#patch([...fragmentOf(this.peerConnection.localDescription?.sdp), ...this.#candidates.splice(0)]);
        } catch {
            this.#candidates = [];
        } finally {
            this.#trickling = false;
        }
    }

    /** @param {string[]} fragment lines of an SDP fragment (RFC 8840, 9) */
    #patch(fragment) {
        return this.#fetch(this.#resource ?? '', 'PATCH', 'application/trickle-ice-sdpfrag', `${fragment.join('\r\n')}\r\n`, { 'If-Match': this.#etag });
    }

    /**
     * Where an extension of the session is; null when the server does not have it.
     * @param {string} name as in the Link field's "rel"
     */
    addressOf(name) {
        return (!this.#closed && this.#extensions.get(name)) || null;
    }

    /**
     * A request to an extension of the session; null when the server does not have it.
     * @param {string} name as in the Link field's "rel"
     * @param {string} method
     * @param {unknown} [body] sent as JSON
     */
    async extension(name, method, body) {
        const url = this.addressOf(name);
        if (!url) return null;
        return this.#fetch(url, method, 'application/json', body === undefined ? undefined : JSON.stringify(body));
    }

    /** Ends the session here and at the server. */
    async stop() {
        if (this.#closed) return;
        this.#closed = true;
        this.peerConnection.close();
        await this.#delete();
    }

    async #delete() {
        const resource = this.#resource;
        this.#resource = null;
        // keepalive: the page may be on its way out
        if (resource) await fetch(resource, { method: 'DELETE', headers: this.#headers(), keepalive: true }).catch(() => {});
    }

    /** @returns {Record<string, string>} */
    #headers() {
        return this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
    }

    /**
     * @param {string} url
     * @param {string} method
     * @param {string} type
     * @param {string | undefined} body
     * @param {Record<string, string>} fields
     */
    async #fetch(url, method, type, body, fields = {}) {
        const answer = await fetch(url, { method, body, headers: { 'Content-Type': type, Accept: 'application/sdp, application/json', ...this.#headers(), ...fields } });
        if (answer.ok) return answer;
        const text = await answer.text();
        let message = text;
        try {
            message = JSON.parse(text).error ?? text;
        } catch {
            // a proxy's page
        }
        throw new HttpSessionError(String(message), answer.status, Number(answer.headers.get('retry-after')) || 0);
    }
}
