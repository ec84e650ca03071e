/**
 * What is sent of a track by default: enough for a clear picture, not more than a home's uplink carries.
 *
 * @typedef {RTCRtpEncodingParameters & {scalabilityMode?: string}} Encoding
 */

/** Codecs of which browsers send several sizes as streams of their own; VP9 and AV1 have them inside of one. */
const SIMULCAST_CODECS = ['video/vp8', 'video/h264'];

/** Pixels of the longer side from which a picture is worth two sizes, and three. */
const TWO_FROM = 640;
const THREE_FROM = 960;
/**
 * The smallest of several sizes is what the thinnest paths get, beside the sound: half as many pictures as the others,
 * so that each of them is as clear at a rate of which 100 kbit/s can carry the first temporal layer.
 */
const SMALLEST = { rid: 'l', maxBitrate: 60_000, maxFramerate: 15 };
const SMALL_SIZE = [{ maxBitrate: 400_000 }];
const TWO_SIZES = [
    { ...SMALLEST, scaleResolutionDownBy: 2 },
    { rid: 'h', maxBitrate: 700_000, scaleResolutionDownBy: 1 },
];
const THREE_SIZES = [
    { ...SMALLEST, scaleResolutionDownBy: 4 },
    { rid: 'm', maxBitrate: 450_000, scaleResolutionDownBy: 2 },
    { rid: 'h', maxBitrate: 1_500_000, scaleResolutionDownBy: 1 },
];

/**
 * To one receiver, directly: one size, which adapts to the path by itself.
 *
 * @param {import('./protocol.js').Source} source
 * @param {import('./protocol.js').Kind} kind
 * @returns {Encoding[]}
 */
export function directEncodings(source, kind) {
    if (kind === 'audio') return [{ maxBitrate: source === 'microphone' ? 32_000 : 128_000 }];
    return [{ maxBitrate: source === 'screen' ? 2_500_000 : 1_500_000 }];
}

/**
 * To a room, whose server chooses for each receiver what its path carries and its screen has room for. A picture that
 * moves is sent in as many sizes as it is large enough for. A screen that is read keeps its size, so that letters stay
 * sharp, and is sent in several frame rates.
 *
 * @param {import('./protocol.js').Source} source
 * @param {MediaStreamTrack} track
 * @param {import('./own_tracks.js').PublishOptions} options
 * @returns {Encoding[]}
 */
export function roomEncodings(source, track, options) {
    if (track.kind === 'audio') return directEncodings(source, 'audio');
    const read = source === 'screen' && track.contentHint !== 'motion';
    const scalabilityMode = options.scalabilityMode ?? (read ? 'L1T3' : undefined);
    const longer = longerSide(track);
    const one = longer > 0 && longer < TWO_FROM && !read ? SMALL_SIZE : directEncodings(source, 'video');
    const sizes = [one, TWO_SIZES, THREE_SIZES][sizesOf(track, read, options) - 1];
    return sizes.map((size) => ({ ...size, ...(scalabilityMode && { scalabilityMode }) }));
}

/**
 * @param {MediaStreamTrack} track
 * @param {boolean} read it is a screen whose letters matter
 * @param {import('./own_tracks.js').PublishOptions} options
 * @returns {number} 1 to 3
 */
function sizesOf(track, read, { simulcast, scalabilityMode, codec = 'video/vp8' }) {
    if (simulcast !== undefined) return simulcast ? 3 : 1;
    if (read || scalabilityMode || !SIMULCAST_CODECS.includes(codec.toLowerCase())) return 1;
    const longer = longerSide(track);
    if (longer < TWO_FROM) return 1;
    return longer < THREE_FROM ? 2 : 3;
}

/**
 * @param {MediaStreamTrack} track
 * @returns {number} pixels; 0: not known yet
 */
function longerSide(track) {
    const { width = 0, height = 0 } = track.getSettings();
    return Math.max(width, height);
}
