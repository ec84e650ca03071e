/**
 * Notices within a second or so that a connection on which packets kept coming hears nothing any more.
 * Browsers say so themselves after some six seconds (iceConnectionState). Whether the network is gone,
 * or the others have only stopped sending, is for somebody else to find out.
 */

const LOOK_EVERY_MS = 500;
/** So many looks in a row without a packet are silence, after as many with packets. */
const LOOKS = 2;

export class Silence {
    #onSilent;
    /** @type {Pick<RTCPeerConnection, 'getStats'> | null} */
    #connection = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #timer;
    #received = 0;
    /** Looks in a row: above zero with packets, below without. */
    #streak = 0;
    #told = false;

    /** @param {() => void} onSilent once for each silence */
    constructor(onSilent) {
        this.#onSilent = onSilent;
    }

    /** @param {Pick<RTCPeerConnection, 'getStats'>} connection is looked at from now on, in place of another one */
    watch(connection) {
        this.stop();
        this.#connection = connection;
        const timer = setInterval(async () => {
            const received = bytesReceived(await connection.getStats());
            if (this.#timer === timer) this.#look(received);
        }, LOOK_EVERY_MS);
        this.#timer = timer;
    }

    stop() {
        clearInterval(this.#timer);
        this.#timer = undefined;
        this.#connection = null;
        this.#streak = 0;
        this.#told = true; // nothing to miss yet
    }

    /**
     * @param {number} withinMs
     * @returns {Promise<boolean>} whether anything comes in the time from now
     */
    async hears(withinMs) {
        const connection = this.#connection;
        if (!connection) return false;
        const before = bytesReceived(await connection.getStats());
        await new Promise((resolve) => setTimeout(resolve, withinMs));
        return bytesReceived(await connection.getStats()) !== before;
    }

    /** @param {number} received bytes in all */
    #look(received) {
        const heard = received !== this.#received; // pairs of an earlier generation go away: not only more
        this.#received = received;
        if (heard) {
            this.#streak = Math.max(this.#streak, 0) + 1;
            if (this.#streak >= LOOKS) this.#told = false;
            return;
        }
        this.#streak = Math.min(this.#streak, 0) - 1;
        if (this.#told || this.#streak > -LOOKS) return;
        this.#told = true;
        this.#onSilent();
    }
}

/** @param {RTCStatsReport} report */
function bytesReceived(report) {
    let sum = 0;
    report.forEach((/** @type {any} */ one) => {
        if (one.type === 'candidate-pair') sum += one.bytesReceived ?? 0;
    });
    return sum;
}
