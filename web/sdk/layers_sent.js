/** What of a video is encoded: no more than what somebody watches. */

/** As in `L3T3_KEY`: spatial layers, temporal layers, sizes of 1.5 instead of 2, what refers to what. */
const MODE = /^([LS])(\d)(T\d)(h?)(\w*)$/;
/** Encoders give a spatial layer about this part of the rate of the next larger one. */
const SHARE = 0.55;
/** For so long a first picture is waited for, whose encoder tells its mode. */
const MODE_WITHIN_MS = 5000;
const LOOK_EVERY_MS = 100;

/**
 * @typedef {import('./encodings.js').Encoding} Encoding
 *
 * @typedef {object} Layered a publication
 * @property {Encoding[]} encodings as they are when all of it is sent
 * @property {string} [wholeMode] while spatial layers rest: the mode with all of them
 */

/** @type {WeakMap<RTCRtpSender, Promise<void>>} settles with the change that was asked for last */
const turns = new WeakMap();

/**
 * Changes of a sender are made one after the other: what was asked for last is how it stays.
 *
 * @param {RTCRtpSender} sender
 * @param {(replaced: () => boolean) => Promise<void>} work given whether another change waits behind it
 * @returns {Promise<void>}
 */
function inTurn(sender, work) {
    const before = turns.get(sender) ?? Promise.resolve();
    /** @type {Promise<void>} */
    const done = before.then(() => work(() => turns.get(sender) !== settled));
    const settled = done.catch(() => {});
    turns.set(sender, settled);
    return done;
}

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
 * The mode that the browser has chosen: small pictures have fewer layers than were asked for. It is known once a
 * picture was encoded.
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
 * @param {RTCRtpSender} sender
 * @param {() => boolean} replaced ends the waiting
 * @returns {Promise<string | undefined>} undefined, too, of browsers that do not tell
 */
async function firstModeOf(sender, replaced) {
    const begun = performance.now();
    let mode = await modeOf(sender);
    while (!mode && !replaced() && performance.now() - begun < MODE_WITHIN_MS) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
        mode = await modeOf(sender);
    }
    return mode;
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
export function sendLayers(sender, publication, layers) {
    return inTurn(sender, (replaced) => sendNow(sender, publication, layers, replaced));
}

/**
 * @param {RTCRtpSender} sender
 * @param {Layered} publication
 * @param {number} layers
 * @param {() => boolean} replaced
 */
async function sendNow(sender, publication, layers, replaced) {
    const [only, second] = publication.encodings;
    if (second || !only?.scalabilityMode || layers === 0) {
        await change(sender, (_, i) => ({ active: i < layers }));
        return;
    }
    const asked = only.scalabilityMode;
    let mode = publication.wholeMode ?? (await modeOf(sender));
    if (!mode && smallestLayers(only, asked, layers) !== only) {
        await change(sender, () => ({ active: true }));
        mode = await firstModeOf(sender, replaced);
        if (!mode && replaced()) return;
    }
    const encoding = smallestLayers(only, mode ?? asked, layers);
    const rested = publication.wholeMode !== undefined;
    publication.wholeMode = encoding === only ? undefined : (mode ?? asked);
    await change(sender, () => (rested || encoding !== only ? whole(encoding) : { active: true }));
}

/**
 * Sends all of a publication, whatever rested of another one that the sender had before.
 *
 * @param {RTCRtpSender} sender
 * @param {Layered} publication with as many encodings as the sender has, of the same layers
 */
export function sendAll(sender, { encodings }) {
    const [only, second] = encodings;
    /** @type {(encoding: Encoding, i: number) => Encoding} */
    const all = (_, i) => (only?.scalabilityMode && !second ? whole(only) : { ...encodings[i], active: true });
    return inTurn(sender, () => change(sender, all));
}
