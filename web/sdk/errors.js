/**
 * Every failure the SDK can report has a code, one sentence that says what happened, and one that
 * says what to do about it. Codes that begin elsewhere (the server's refusals) keep the server's
 * sentence and get a remedy here where we know one.
 */

/** @typedef {keyof typeof PROBLEMS} ProblemCode */

/** @type {Record<'chromium' | 'firefox' | 'safari' | 'ios' | 'android' | 'other', string>} */
const ALLOW_STEPS = {
    chromium:
        'Click the camera or tune icon at the left of the address bar, allow camera and microphone, then try again.',
    firefox:
        'Click the crossed-out camera or microphone at the left of the address bar, clear the block, then try again.',
    safari: 'Open Safari › Settings for This Website, allow camera and microphone, then try again.',
    ios: 'Tap the page-settings button in the address bar, choose Website Settings, allow camera and microphone, then try again.',
    android:
        'Tap the icon at the left of the address, open Permissions, allow camera and microphone, then try again.',
    other: 'Allow camera and microphone for this site in the browser’s settings, then try again.',
};

/**
 * code: [what happened, what to do]. The remedy of `permission-denied` depends on the browser.
 */
const PROBLEMS = {
    'insecure-context': [
        'Browsers give camera and microphone access only on https:// or localhost.',
        'Open this page with https:// instead.',
    ],
    'unsupported-browser': [
        'This browser cannot make calls.',
        'Use a current version of Chrome, Edge, Firefox or Safari.',
    ],
    'permission-denied': ['The browser was not allowed to use the camera or microphone.', ''],
    'no-camera': ['No camera was found.', 'Connect a camera, or join with sound only.'],
    'no-microphone': ['No microphone was found.', 'Connect a microphone, or join to listen.'],
    'device-busy': [
        'The camera or microphone is in use by another program.',
        'Close the other program, then try again.',
    ],
    'device-lost': ['The device was disconnected.', 'Connect it again or choose another one.'],
    'screen-denied': ['Screen sharing was cancelled.', 'Choose a screen, window or tab to share it.'],
    'screen-unsupported': [
        'This browser cannot share the screen.',
        'Share from a computer, with Chrome, Edge, Firefox or Safari.',
    ],
    'autoplay-blocked': [
        'The browser is holding back sound until you touch the page.',
        'Click or tap anywhere to hear the others.',
    ],
    'server-unreachable': [
        'The server cannot be reached.',
        'Check your internet connection; we keep trying.',
    ],
    'session-lost': ['The connection was away for too long.', 'Join again to continue.'],
    'media-failed': [
        'Sound and picture cannot get through this network.',
        'Try another network, or turn off a VPN or firewall that blocks UDP.',
    ],
    'request-timeout': ['The server did not answer in time.', 'Try again in a moment.'],
    'connection-closed': ['The connection was closed.', 'Connect again to continue.'],
    'room-full': ['This room is full.', 'Try again when somebody has left.'],
    'room-locked': ['This room is locked.', 'Ask somebody inside to unlock it, then try again.'],
    'room-ended': ['This meeting has ended.', 'Start a new one from the first page.'],
    kicked: ['You were removed from this room.', 'Ask the moderator if this was a mistake.'],
    moved: ['You are wanted in another room.', 'Join it with the token that came with this.'],
    replaced: ['You joined from another tab or device.', 'Continue there, or join again here.'],
    'device-revoked': ['This device was signed out from another one.', 'Sign in again.'],
    'token-required': ['This server lets people in by invitation only.', 'Ask for a link.'],
    'token-invalid': ['This invitation is not valid.', 'Ask for a new link.'],
    'token-expired': ['This invitation has expired.', 'Ask for a new link.'],
    'not-moderator': ['Only a moderator may do this.', 'Ask a moderator.'],
    'too-many-rooms': ['The server holds as many rooms as it may.', 'Try again in a few minutes.'],
    'too-many-tracks': ['You share as much as the server allows.', 'Stop sharing something first.'],
    'server-full': ['The server has no room for more people.', 'Try again in a few minutes.'],
    'media-full': ['The server has no room for more people.', 'Try again in a few minutes.'],
    'login-refused': ['User name or password is wrong.', 'Check both, and try again.'],
    'not-registered': ['You have no name here yet.', 'Sign in, or choose a name.'],
    'user-taken': ['Somebody already uses this name.', 'Choose another name.'],
    'user-unavailable': [
        'This person cannot be reached now.',
        'Try again later, or send them the link.',
    ],
    'user-busy': ['This person is in another call.', 'Try again later.'],
    'cannot-renegotiate': [
        'The other side’s program takes nothing new within a call.',
        'Hang up, and call again with it.',
    ],
    'already-in-call': ['You are already in a call.', 'Hang up first.'],
    'call-rejected': ['The call was declined.', 'Try again later.'],
    'call-timeout': ['Nobody answered.', 'Try again later, or send them the link.'],
    'rate-limited': ['Too many requests in a short time.', 'Wait a moment, then try again.'],
    'version-unsupported': ['This page is older than the server.', 'Reload the page.'],
    'e2ee-unsupported': [
        'This browser cannot encrypt calls from end to end.',
        'Use a current version of Chrome, Edge, Firefox or Safari.',
    ],
    'e2ee-no-key': ['The key for the encryption is missing.', 'Open the complete link that you were sent.'],
    'e2ee-failed': ['The end-to-end encryption has failed.', 'Reload the page to join again.'],
    'e2ee-codec': ['A track cannot be encrypted.', 'Publish it with another codec.'],
    'data-too-large': ['This message is too large.', 'Send less at a time, or send it reliably.'],
    'wrong-state': ['This cannot be done now.', 'Join or connect first.'],
    unknown: ['Something unexpected happened.', 'Try again; if it stays, reload the page.'],
};

/**
 * A failure with a stable `code`, a sentence (`message`) and what to do about it (`remedy`).
 */
export class RoostError extends Error {
    /**
     * @param {string} code
     * @param {{sentence?: string, remedy?: string, cause?: unknown, moved?: {room: string, token: string}}} [details]
     */
    constructor(code, details = {}) {
        const known = /** @type {Record<string, string[]>} */ (PROBLEMS)[code];
        super(details.sentence || known?.[0] || PROBLEMS.unknown[0], { cause: details.cause });
        this.name = 'RoostError';
        /** @readonly */
        this.code = code;
        /** @readonly with the code `moved`: where to, and the token that admits there */
        this.moved = details.moved ?? null;
        /** @readonly */
        this.remedy =
            details.remedy ??
            (code === 'permission-denied' ? ALLOW_STEPS[browserFamily()] : (known?.[1] ?? ''));
    }
}

/**
 * The browser's family, for help texts only; features are always tested, never guessed from this.
 *
 * @returns {'chromium' | 'firefox' | 'safari' | 'ios' | 'android' | 'other'}
 */
export function browserFamily() {
    const agent = globalThis.navigator?.userAgent ?? '';
    if (/iPhone|iPad|iPod/.test(agent)) return 'ios';
    if (/Android/.test(agent)) return 'android';
    if (/Firefox\//.test(agent)) return 'firefox';
    if (/Chrom(e|ium)\//.test(agent)) return 'chromium';
    if (/Safari\//.test(agent)) return 'safari';
    return 'other';
}

/**
 * Turns what getUserMedia and getDisplayMedia throw into a RoostError.
 *
 * @param {unknown} error
 * @param {'camera' | 'microphone' | 'screen'} device what was asked for
 * @returns {RoostError}
 */
export function deviceError(error, device) {
    if (error instanceof RoostError) return error;
    const name = error instanceof Error || error instanceof DOMException ? error.name : '';
    switch (name) {
        case 'NotAllowedError':
        case 'SecurityError':
        case 'PermissionDeniedError':
            return new RoostError(device === 'screen' ? 'screen-denied' : 'permission-denied', {
                cause: error,
            });
        case 'NotFoundError':
        case 'DevicesNotFoundError':
        case 'OverconstrainedError':
            return new RoostError(device === 'microphone' ? 'no-microphone' : 'no-camera', {
                cause: error,
            });
        case 'NotReadableError':
        case 'TrackStartError':
        case 'AbortError':
            return new RoostError('device-busy', { cause: error });
        default:
            return new RoostError('unknown', { cause: error });
    }
}

/**
 * Turns the server's refusal into a RoostError. A code that is not in the table keeps the
 * server's sentence.
 *
 * @param {{code?: unknown, message?: unknown}} refusal
 * @returns {RoostError}
 */
export function serverError(refusal) {
    const code = String(refusal.code ?? 'unknown').replaceAll('_', '-');
    const sentence = typeof refusal.message === 'string' ? refusal.message : undefined;
    return new RoostError(code, code in PROBLEMS ? {} : { sentence, remedy: '' });
}
