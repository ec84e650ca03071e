/** Which page belongs to an address, and going from one to another. */

/**
 * @typedef {{page: 'lobby'} | {page: 'contacts'} | {page: 'room', room: string} | {page: 'call', link: string} | {page: 'watch', room: string, publisher: string} | {page: 'unknown'}} Route
 */

/** Letters and digits of any script, and - . _ ~ @ +, as the server wants names. */
const SLUG = /^[\p{L}\p{N}\-._~@+]{1,64}$/u;

/**
 * @param {string} path
 * @returns {Route}
 */
export function parseRoute(path) {
    if (path === '/' || path === '/index.html') return { page: 'lobby' };
    if (/^\/contacts\/?$/.test(path)) return { page: 'contacts' };
    const watched = /^\/watch\/([^/]+)(?:\/([^/]+))?\/?$/.exec(path);
    if (watched && decode(watched[1])) return { page: 'watch', room: decode(watched[1]), publisher: decode(watched[2] ?? '') };
    const match = /^\/(r|call)\/([^/]+)\/?$/.exec(path);
    const name = match ? decode(match[2]) : '';
    if (!match || !isSlug(name)) return { page: 'unknown' };
    return match[1] === 'r' ? { page: 'room', room: name } : { page: 'call', link: name };
}

/**
 * @param {string} name
 * @returns {boolean} the server takes it as a room's or user's name
 */
export function isSlug(name) {
    return SLUG.test(name) && new TextEncoder().encode(name).length <= 64;
}

/**
 * Makes a room's name from what people type.
 *
 * @param {string} text
 * @returns {string} may be empty
 */
export function slugify(text) {
    return text
        .trim()
        .toLowerCase()
        .replace(/\s+/gu, '-')
        .replace(/[^\p{L}\p{N}\-._~@+]/gu, '')
        .slice(0, 48);
}

/**
 * @param {string} path
 * @returns {string} the whole address
 */
export function absolute(path) {
    return new URL(path, location.href).href;
}

/**
 * `?relay=1`, or `=udp`, `=tcp`, `=tls`: media through TURN relays only, to try out whether they work.
 *
 * @param {string} search
 * @returns {import('../sdk/ice.js').Relay}
 */
export function relayOf(search) {
    const relay = new URLSearchParams(search).get('relay');
    return relay === 'udp' || relay === 'tcp' || relay === 'tls' ? relay : relay === '1';
}

/**
 * `?playout_delay=0`: for how many milliseconds a viewer's pictures are held back.
 *
 * @param {string} search
 * @returns {number | undefined} undefined: as the room has it
 */
export function playoutDelayOf(search) {
    const text = new URLSearchParams(search).get('playout_delay') ?? '';
    return /^\d{1,5}$/.test(text) && Number(text) <= 10000 ? Number(text) : undefined;
}

/** @param {string} room */
export function roomPath(room) {
    return `/r/${encodeURIComponent(room)}`;
}

/** @param {string} link */
export function callPath(link) {
    return `/call/${encodeURIComponent(link)}`;
}

const CALM = ['amber', 'birch', 'cedar', 'clear', 'coral', 'early', 'gentle', 'golden', 'green', 'quiet', 'silver', 'sunny'];
const PLACES = ['barn', 'bay', 'brook', 'cove', 'field', 'garden', 'grove', 'harbor', 'hill', 'meadow', 'orchard', 'perch'];

/** @returns {string} a room name that is easy to say */
export function suggestRoom() {
    const [a, b, c] = crypto.getRandomValues(new Uint32Array(3));
    return `${CALM[a % CALM.length]}-${PLACES[b % PLACES.length]}-${(c % 900) + 100}`;
}

/** @returns {string} a link that nobody guesses */
export function secretLink() {
    const letters = 'abcdefghijkmnpqrstuvwxyz23456789';
    const random = [...crypto.getRandomValues(new Uint8Array(14))].map((n) => letters[n % letters.length]);
    return `${random.slice(0, 4).join('')}-${random.slice(4, 9).join('')}-${random.slice(9).join('')}`;
}

/** @param {string} text */
function decode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return '';
    }
}
