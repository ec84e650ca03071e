// Watches a room, or one publisher of it, by WHEP, without signaling of its own and without permissions.
//
//     import { watch } from '/sdk/whep.js';
//     const session = await watch('/whep/stage', { waitForStart: true });
//     video.srcObject = session.stream;
// @ts-check
import { HttpSession, HttpSessionError } from './http_session.js';

export { HttpSessionError } from './http_session.js';

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
 * @returns {Promise<HttpSession & {stream: MediaStream}>}
 */
export async function watch(endpoint, { token, configuration, audio = true, video = true, waitForStart = false, onWaiting, signal } = {}) {
    for (;;) {
        const session = Object.assign(new HttpSession(endpoint, { token, configuration }), { stream: new MediaStream() });
        const { peerConnection, stream } = session;
        peerConnection.addEventListener('track', ({ track }) => stream.addTrack(track));
        if (audio) peerConnection.addTransceiver('audio', { direction: 'recvonly' });
        if (video) peerConnection.addTransceiver('video', { direction: 'recvonly' });
        try {
            await session.start();
            return session;
        } catch (error) {
            await session.stop();
            const later = error instanceof HttpSessionError && [409, 429, 503].includes(error.status);
            if (!waitForStart || !later) throw error;
            onWaiting?.();
            await pause((error.retryAfterS || 2) * 1000, signal);
        }
    }
}
