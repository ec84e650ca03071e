/** What of a video is encoded: no more than what somebody watches. */

/** As in `L3T3_KEY`: spatial layers, temporal layers, sizes of 1.5 instead of 2, what refers to what. */
const MODE = /^([LS])(\d)(T\d)(h?)(\w*)$/;
/** Encoders give a spatial layer about this part of the rate of the next larger one. */
const SHARE = 0.55;

/**
 * @typedef {import('./encodings.js').Encoding} Encoding
 *
 * @typedef {object} Layered a publication
 * @property {Encoding[]} encodings as they are when all of it is sent
 * @property {string} [wholeMode] while spatial layers rest: the mode with all of them
 */

/**
 * An encoding that sends the smallest of its spatial layers alone, as large as they were.
 *
 * @param {Encoding} encoding
 * @param {string} mode of all of them, as the browser encodes it
 * @param {number} layers 1 or more
 * @returns {Encoding} the same one when nothing rests
 */
export function smallestLayers(encoding, mode, layers) {
    const [, letter = '', all = '1', temporal = '', half = '', apart = ''] = MODE.exec(mode) ?? [];
    const resting = Number(all) - layers;
    if (resting <= 0) return encoding;
    const rate = (SHARE ** resting * (1 - SHARE ** layers)) / (1 - SHARE ** Number(all));
    return {
        ...encoding,
        scalabilityMode: layers > 1 ? `${letter}${layers}${temporal}${half}${apart}` : `L1${temporal}`,
        scaleResolutionDownBy: (encoding.scaleResolutionDownBy ?? 1) * (half ? 1.5 : 2) ** resting,
        ...(encoding.maxBitrate && { maxBitrate: Math.round(encoding.maxBitrate * rate) }),
    };
}

/**
 * The mode that the browser has chosen: small pictures have fewer layers than were asked for.
 *
 * @param {RTCRtpSender} sender
 * @returns {Promise<string | undefined>}
 */
async function modeOf(sender) {
    /** @type {any[]} */
    const reports = [];
    (await sender.getStats()).forEach((report) => reports.push(report));
    return reports.find(({ type }) => type === 'outbound-rtp')?.scalabilityMode;
}

/**
 * Changes what differs.
 *
 * @param {RTCRtpSender} sender
 * @param {(encoding: Encoding, i: number) => Encoding} wanted what of an encoding shall be how
 */
async function change(sender, wanted) {
    const parameters = sender.getParameters();
    /** @type {Encoding[]} */
    const encodings = parameters.encodings ?? [];
    let changed = false;
    encodings.forEach((encoding, i) => {
        /** @type {Record<string, unknown>} */
        const was = { active: true, scaleResolutionDownBy: 1, ...encoding };
        const next = wanted(encoding, i);
        changed ||= Object.entries(next).some(([key, value]) => was[key] !== value);
        Object.assign(encoding, next);
    });
    if (changed) await sender.setParameters(parameters);
}

/**
 * @param {Encoding} encoding
 * @returns {Encoding} with what is changed while layers rest, as it is by default
 */
function whole(encoding) {
    return { scalabilityMode: undefined, scaleResolutionDownBy: 1, maxBitrate: undefined, ...encoding, active: true };
}

/**
 * Sends so many layers, smallest first: of several streams, or of the spatial layers of an only one.
 *
 * @param {RTCRtpSender} sender
 * @param {Layered} publication
 * @param {number} layers 0: nothing
 */
export async function sendLayers(sender, publication, layers) {
    const [only, second] = publication.encodings;
    if (second || !only?.scalabilityMode || layers === 0) {
        await change(sender, (_, i) => ({ active: i < layers }));
        return;
    }
    const chosen = await modeOf(sender);
    const mode = publication.wholeMode ?? chosen ?? only.scalabilityMode;
    const encoding = smallestLayers(only, mode, layers);
    const rested = publication.wholeMode !== undefined;
    publication.wholeMode = encoding === only ? undefined : mode;
    await change(sender, () => (rested || encoding !== only ? whole(encoding) : { active: true }));
}

/**
 * Sends all of a publication, whatever rested of another one that the sender had before.
 *
 * @param {RTCRtpSender} sender
 * @param {Layered} publication with as many encodings as the sender has, of the same layers
 */
export async function sendAll(sender, { encodings }) {
    const [only, second] = encodings;
    await change(sender, (_, i) => (only?.scalabilityMode && !second ? whole(only) : { ...encodings[i], active: true }));
}
