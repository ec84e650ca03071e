/**
 * Where tracks are shown: the size of their elements on the screen, and whether anybody can see them.
 * The server sends what fits, and nothing of what nobody sees.
 */

/**
 * @typedef {object} Shown
 * @property {number} width in pixels of the screen; 0: the element goes by its picture
 * @property {number} height
 * @property {boolean} visible
 */

/** Sizes that differ by less are one. */
const GRAIN_PX = 16;
/** Elements come and go while a page is laid out. */
const SETTLE_MS = 150;

/** @type {Map<HTMLMediaElement, {track: MediaStreamTrack, onScreen: boolean}>} */
const elements = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let settling;

/** @returns {{resize: ResizeObserver, intersection: IntersectionObserver}} */
function makeObservers() {
    document.addEventListener('visibilitychange', changed);
    return {
        resize: new ResizeObserver(changed),
        intersection: new IntersectionObserver((entries) => {
            for (const { target, isIntersecting } of entries) {
                const entry = elements.get(/** @type {HTMLMediaElement} */ (target));
                if (entry) entry.onScreen = isIntersecting;
            }
            changed();
        }),
    };
}
/** @type {ReturnType<typeof makeObservers> | undefined} */
let observers;

function changed() {
    settling ??= setTimeout(() => {
        settling = undefined;
        for (const [element, { track }] of elements) {
            // an element that was thrown away, or filled by other means
            const stream = element.srcObject;
            if (!element.isConnected || !(stream instanceof MediaStream) || !stream.getTracks().includes(track)) forget(element);
        }
        for (const listener of [...listeners]) listener();
    }, SETTLE_MS);
}

/** @param {HTMLMediaElement} element */
function forget(element) {
    if (!elements.delete(element)) return;
    observers?.resize.unobserve(element);
    observers?.intersection.unobserve(element);
}

/**
 * An element shows another track now, or none.
 *
 * @param {HTMLMediaElement} element
 * @param {MediaStreamTrack | null} track
 */
export function noteShown(element, track) {
    if (typeof IntersectionObserver === 'undefined' || typeof ResizeObserver === 'undefined') return;
    forget(element);
    if (track?.kind === 'video') {
        observers ??= makeObservers();
        elements.set(element, { track, onScreen: true });
        observers.resize.observe(element);
        observers.intersection.observe(element);
    }
    changed();
}

/**
 * @param {() => void} listener called some time after sizes or visibility changed
 * @returns {() => void} takes it off again
 */
export function onShownChange(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}

/**
 * @param {MediaStreamTrack} track
 * @returns {Shown | null} null: not known, as for elements that are not laid out yet
 */
export function whereShown(track) {
    let known = false;
    let visible = false;
    let sized = true;
    let width = 0;
    let height = 0;
    for (const [element, entry] of elements) {
        if (entry.track !== track) continue;
        const floating = document.pictureInPictureElement === element;
        // hidden until its first picture comes: that must not keep the picture from coming
        if (!floating && (element.clientWidth === 0 || element.clientHeight === 0)) return null;
        known = true;
        visible ||= floating || (entry.onScreen && document.visibilityState === 'visible');
        if (followsPicture(element)) sized = false;
        width = Math.max(width, coarse(element.clientWidth * devicePixelRatio));
        height = Math.max(height, coarse(element.clientHeight * devicePixelRatio));
    }
    if (!known) return null;
    return sized ? { width, height, visible } : { width: 0, height: 0, visible };
}

/**
 * An element without a size of its own is as large as its picture: to ask for pictures of its size
 * would keep them small for ever.
 *
 * @param {HTMLMediaElement} element
 * @returns {boolean}
 */
function followsPicture(element) {
    if (!(element instanceof HTMLVideoElement)) return true;
    const { videoWidth, videoHeight, clientWidth, clientHeight } = element;
    return videoWidth === 0 ? clientWidth === 300 && clientHeight === 150 : clientWidth === videoWidth && clientHeight === videoHeight;
}

/**
 * @param {number} pixels
 * @returns {number}
 */
function coarse(pixels) {
    return Math.min(Math.ceil(pixels / GRAIN_PX) * GRAIN_PX, 65520);
}
