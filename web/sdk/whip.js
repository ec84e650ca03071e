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
 * @param {{token?: string, configuration?: RTCConfiguration, simulcast?: boolean, codec?: string, scalabilityMode?: string}} options
 *     codec: of video, such as "VP9" or "H264", first if the browser has it; scalabilityMode: layers inside one stream, as
 *     "L3T3_KEY", where codec and browser have them
 */
export async function publish(endpoint, stream, { token, configuration, simulcast = false, codec, scalabilityMode } = {}) {
    const session = new HttpSession(endpoint, { token, configuration });
    for (const track of stream.getTracks()) {
        /** @type {(RTCRtpEncodingParameters & {scalabilityMode?: string})[] | undefined} */
        let sendEncodings;
        if (track.kind === 'video' && simulcast) sendEncodings = [{ rid: 'q', scaleResolutionDownBy: 4 }, { rid: 'h', scaleResolutionDownBy: 2 }, { rid: 'f' }];
        else if (track.kind === 'video' && scalabilityMode) sendEncodings = [{ scalabilityMode }];
        const transceiver = session.peerConnection.addTransceiver(track, { direction: 'sendonly', streams: [stream], sendEncodings });
        const codecs = RTCRtpSender.getCapabilities(track.kind)?.codecs ?? [];
        const isWanted = (/** @type {{mimeType: string}} */ one) => one.mimeType.toLowerCase() === `video/${codec?.toLowerCase()}`;
        if (track.kind === 'video' && codecs.some(isWanted))
            transceiver.setCodecPreferences([...codecs.filter(isWanted), ...codecs.filter((one) => !isWanted(one))]);
    }
    try {
        await session.start();
    } catch (error) {
        await session.stop();
        throw error;
    }
    return session;
}
