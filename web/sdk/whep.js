// Watches a room, or one publisher of it, by WHEP, without signaling of its own and without permissions.
//
//     import { watch } from '/sdk/whep.js';
//     const session = await watch('/whep/stage', { waitForStart: true });
//     video.srcObject = session.stream;
// @ts-check
import { takeDescriptor } from './header_extensions.js';
import { HttpSession, HttpSessionError } from './http_session.js';

export { HttpSessionError } from './http_session.js';

const LAYER = 'urn:ietf:params:whep:ext:core:layer';
const EVENTS = 'urn:ietf:params:whep:ext:core:server-sent-events';

/**
 * A version of the picture that is there to choose, best first. What is not known is left out.
 * @typedef {{rid: string, bitrate: number, width?: number, height?: number}} Layer
 */

/** A viewer's session: its media, and which version of the picture it gets. */
export class WatchSession extends HttpSession {
    stream = new MediaStream();
    #unlisten = () => {};

    /**
     * What the publisher sends at the moment: several layers with simulcast, else one; none while no picture comes.
     * @returns {Promise<Layer[]>}
     */
    async layers() {
        const answer = await this.extension(LAYER, 'GET');
        return answer ? Object.values(/** @type {Record<string, Layer[]>} */ (await answer.json()))[0] ?? [] : [];
    }

    /**
     * Chooses a layer by its rid or by what it may measure at most, or no picture at all; {} lets the server choose again, by what
     * the path carries. Less than was chosen is shown while the path carries no more.
     * @param {{rid?: string, maxWidth?: number, maxHeight?: number, paused?: boolean}} choice
     */
    async choose(choice) {
        await this.extension(LAYER, 'POST', choice);
    }

    /**
     * Tells how things are and whenever they change, over an HTTP connection of its own. The server tells one
     * listener of a session, the last one.
     * @param {{layers?: (layers: Layer[]) => void, active?: () => void, inactive?: () => void, viewers?: (count: number) => void}} told
     *     layers: those that are there to choose; active, inactive: something comes, nothing does any more; viewers:
     *     so many watch, at most every five seconds
     * @returns {() => void} listens no longer; stop() does that, too
     */
    listen(told) {
        const { layers, active, inactive, viewers } = told;
        /** @type {[string, (data: any) => void, unknown][]} */
        const known = [
            ['layers', (data) => layers?.(Object.values(data)[0] ?? []), layers],
            ['active', () => active?.(), active],
            ['inactive', () => inactive?.(), inactive],
            ['viewercount', ({ viewercount }) => viewers?.(viewercount), viewers],
        ];
        const wanted = known.filter(([, , wants]) => wants);
        const address = this.addressOf(EVENTS);
        this.#unlisten();
        if (!address || wanted.length === 0) return () => {};
        const source = new EventSource(`${address}?events=${wanted.map(([name]) => name).join(',')}`);
        for (const [name, tell] of wanted) source.addEventListener(name, ({ data }) => tell(JSON.parse(data)));
        this.#unlisten = () => source.close();
        return () => source.close();
    }

    async stop() {
        this.#unlisten();
        await super.stop();
    }
}

/**
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 */
const pause = (ms, signal) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        reject(signal.reason);
    }, { once: true });
});

/**
 * @param {string} endpoint such as "/whep/room" or "/whep/room/name"
 * @param {{token?: string, configuration?: RTCConfiguration, audio?: boolean, video?: boolean, waitForStart?: boolean,
 *     onWaiting?: () => void, signal?: AbortSignal}} options waitForStart: when nothing is live yet, ask again as the
 *     server says; onWaiting is told each time
 * @returns {Promise<WatchSession>}
 */
export async function watch(endpoint, { token, configuration, audio = true, video = true, waitForStart = false, onWaiting, signal } = {}) {
    for (let asked = 0; ; asked++) {
        const session = new WatchSession(endpoint, { token, configuration });
        const { peerConnection, stream } = session;
        peerConnection.addEventListener('track', ({ track }) => stream.addTrack(track));
        if (audio) peerConnection.addTransceiver('audio', { direction: 'recvonly' });
        if (video) takeDescriptor(peerConnection.addTransceiver('video', { direction: 'recvonly' }));
        try {
            await session.start();
            return session;
        } catch (error) {
            await session.stop();
            const later = error instanceof HttpSessionError && [409, 429, 503].includes(error.status);
            if (!waitForStart || !later) throw error;
            onWaiting?.();
            // an audience that is early does not ask in step, and less often the longer it waits
            const patience = (1 + Math.min(asked, 6) / 4) * (0.8 + 0.4 * Math.random());
            await pause((error.retryAfterS || 2) * 1000 * patience, signal);
        }
    }
}
