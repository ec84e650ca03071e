/**
 * Messages between users, what is kept of them and of calls, and the user's devices.
 *
 * @typedef {object} MessageSender
 * @property {string} user
 * @property {string} name to show
 * @property {boolean} verified an account, or a token vouched for the name
 *
 * @typedef {object} Message
 * @property {string} id ids sort by time
 * @property {MessageSender} from
 * @property {string} to user name
 * @property {string} text
 * @property {number} sentAt Unix time in milliseconds
 * @property {boolean} missed it waited for us; may come twice, with the same id
 * @property {boolean} own we sent it, from this or another device
 *
 * @typedef {object} PastCall
 * @property {string} id
 * @property {string} with the other user, or the link that was called; empty: a caller without a user name
 * @property {string} name to show
 * @property {import('./protocol.js').CallDirection} direction
 * @property {import('./protocol.js').CallMedia} media
 * @property {import('./protocol.js').PastCallResult} result
 * @property {boolean} missed and not seen yet
 * @property {number} beganAt Unix time in milliseconds
 * @property {number} seconds how long they talked
 * @property {string | null} binding protocol of the other side, where it is known
 *
 * @typedef {object} Device
 * @property {string} id
 * @property {string} binding protocol that it speaks
 * @property {string} address IP address; empty: not known
 * @property {number} since Unix time in milliseconds of its registration
 * @property {boolean} current it is this one
 */

/**
 * @param {import('./protocol.js').KeptMessage & {missed?: boolean}} message
 * @param {string} user our own name
 * @returns {Message}
 */
export function readMessage({ message, from, to, text, sent_at, missed }, user) {
    const sender = { user: from.user ?? '', name: from.name, verified: from.verified };
    return { id: message, from: sender, to, text, sentAt: sent_at, missed: missed ?? false, own: sender.user === user };
}

/**
 * @param {import('./protocol.js').PastCall} call
 * @returns {PastCall}
 */
export function readPastCall({ call, began_at, binding, ...rest }) {
    return { id: call, ...rest, beganAt: began_at, binding: binding ?? null };
}

/**
 * @param {import('./protocol.js').Device} device
 * @returns {Device}
 */
export function readDevice({ device, this: current, ...rest }) {
    return { id: device, ...rest, current };
}
