// Publishes into a room by WHIP (RFC 9725), without signaling of its own.
//
//     import { publish } from '/sdk/whip.js';
//     const session = await publish('/whip/stage/ann', await navigator.mediaDevices.getUserMedia({ audio: true, video: true }));
//     ...
//     await session.stop();
// @ts-check
import { HttpSession } from './http_session.js';

export { HttpSessionError } from './http_session.js';

/**
 * @param {string} endpoint such as "/whip/room/name"
 * @param {MediaStream} stream what to send
 * @param {{token?: string, configuration?: RTCConfiguration, simulcast?: boolean}} options
 */
export async function publish(endpoint, stream, { token, configuration, simulcast = false } = {}) {
    const session = new HttpSession(endpoint, { token, configuration });
    for (const track of stream.getTracks()) {
        const sendEncodings = simulcast && track.kind === 'video'
            ? [{ rid: 'q', scaleResolutionDownBy: 4 }, { rid: 'h', scaleResolutionDownBy: 2 }, { rid: 'f' }] : undefined;
        session.peerConnection.addTransceiver(track, { direction: 'sendonly', streams: [stream], sendEncodings });
    }
    try {
        await session.start();
    } catch (error) {
        await session.stop();
        throw error;
    }
    return session;
}
