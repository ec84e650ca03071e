/**
 * What a held call does to its connection. At once: the encodings rest, whatever becomes of the tracks
 * meanwhile. And for the other side's program to see: who holds offers sections in which nothing flows.
 */
export class CallPause {
    /** @type {WeakMap<RTCRtpTransceiver, RTCRtpTransceiverDirection>} as they were before the hold */
    #before = new WeakMap();

    /**
     * @param {(RTCRtpSender | undefined)[]} senders
     * @param {boolean} held by either side
     */
    encodings(senders, held) {
        const work = senders.map(async (sender) => {
            const parameters = sender?.getParameters();
            if (!sender || !parameters?.encodings.some((encoding) => encoding.active === held)) return;
            for (const encoding of parameters.encodings) encoding.active = !held;
            await sender.setParameters(parameters);
        });
        return Promise.all(work).catch(() => {}); // a connection that closes meanwhile sends nothing either
    }

    /**
     * Wants a negotiation where that changes anything.
     *
     * @param {RTCPeerConnection} connection
     * @param {boolean} held by this side
     */
    directions(connection, held) {
        for (const transceiver of connection.getTransceivers()) {
            if (transceiver.direction === 'stopped' || transceiver.currentDirection === 'stopped') continue;
            const before = this.#before.get(transceiver);
            if (held && transceiver.direction !== 'inactive') {
                this.#before.set(transceiver, transceiver.direction);
                transceiver.direction = 'inactive';
            } else if (!held && before) {
                this.#before.delete(transceiver);
                transceiver.direction = before;
            }
        }
    }
}
