/** RTP header extensions that a browser has, but does not offer by itself. */

const DEPENDENCY_DESCRIPTOR =
    'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';

/**
 * @typedef {{uri: string, direction: RTCRtpTransceiverDirection}} HeaderExtension
 *
 * @typedef {object} HeaderExtensionControl of some browsers (WebRTC Extensions, 8)
 * @property {() => HeaderExtension[]} [getHeaderExtensionsToNegotiate]
 * @property {(extensions: HeaderExtension[]) => void} [setHeaderExtensionsToNegotiate]
 */

/**
 * Takes video with the dependency descriptor. Without it AV1 in several sizes cannot be received, and
 * Chromium offers it only where it sends layers.
 *
 * @param {RTCRtpTransceiver} transceiver
 */
export function takeDescriptor(transceiver) {
    /** @type {RTCRtpTransceiver & HeaderExtensionControl} */
    const control = transceiver;
    const extensions = control.getHeaderExtensionsToNegotiate?.();
    const descriptor = extensions?.find(({ uri }) => uri === DEPENDENCY_DESCRIPTOR);
    if (!extensions || !descriptor) return;
    descriptor.direction = 'sendrecv';
    control.setHeaderExtensionsToNegotiate?.(extensions);
}
