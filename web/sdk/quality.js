/**
 * Statistics made simple: what getStats() counts, turned into rates per track and one score.
 * Pure: reports go in, numbers come out.
 */

/**
 * @typedef {object} TrackStats
 * @property {'sent' | 'received'} direction
 * @property {'audio' | 'video'} kind
 * @property {string} mid
 * @property {number} bitrate bits per second since the last look
 * @property {number} lossRatio 0 to 1, since the last look
 * @property {number} jitterMs
 * @property {number} frames decoded or encoded in all (video)
 * @property {number} frameRate frames per second since the last look (video)
 * @property {number} width
 * @property {number} height
 * @property {number} freezes picture freezes in all (received video, where the browser counts)
 * @property {number} audioEnergy total energy in all (received audio, where the browser counts)
 * @property {string} codec as in `video/VP8`; empty when unknown
 * @property {number} score 1 (unusable) to 5 (excellent)
 *
 * @typedef {object} ConnectionStats
 * @property {number} rttMs 0 when unknown
 * @property {number} outgoingBitrateAvailable bits per second; 0 when unknown
 * @property {string} localCandidate type and protocol of the path in use, as in `host udp`; of a relay the protocol towards it, as in `relay tls`
 * @property {TrackStats[]} tracks
 * @property {number} score the worst direction's score, 1 to 5
 * @property {number} sendScore
 * @property {number} receiveScore
 */

/**
 * 5 is excellent, 4 good, 3 fair, 2 poor, 1 unusable. Loss hurts most, then delay and jitter.
 *
 * @param {{lossRatio: number, rttMs: number, jitterMs: number}} values
 * @returns {number}
 */
export function score({ lossRatio, rttMs, jitterMs }) {
    const delayMs = rttMs / 2 + 2 * jitterMs;
    const penalty = 25 * lossRatio + Math.max(0, delayMs - 100) / 120;
    return Math.max(1, Math.min(5, 5 - penalty));
}

/** Turns successive reports of one connection into rates. */
export class StatsReader {
    /** @type {Map<string, {at: number, bytes: number, lost: number, packets: number, frames: number}>} */
    #last = new Map();

    /**
     * @param {Iterable<Record<string, any>>} reports the values of an RTCStatsReport
     * @returns {ConnectionStats}
     */
    read(reports) {
        const all = [...reports];
        const byId = new Map(all.map((report) => [report.id, report]));
        const pair = selectedPair(all, byId);
        const rttMs = Math.round((pair?.currentRoundTripTime ?? 0) * 1000);
        /** @type {TrackStats[]} */
        const tracks = [];
        for (const report of all) {
            if (report.type === 'inbound-rtp') {
                tracks.push(this.#track(report, 'received', report, byId, rttMs));
            } else if (report.type === 'outbound-rtp') {
                const remote = byId.get(report.remoteId);
                tracks.push(this.#track(report, 'sent', remote ?? {}, byId, rttMs));
            }
        }
        const local = byId.get(pair?.localCandidateId);
        const sendScore = worst(tracks, 'sent');
        const receiveScore = worst(tracks, 'received');
        return {
            rttMs,
            outgoingBitrateAvailable: pair?.availableOutgoingBitrate ?? 0,
            localCandidate: local ? `${local.candidateType} ${local.relayProtocol ?? local.protocol}` : '',
            tracks,
            score: Math.min(sendScore, receiveScore),
            sendScore,
            receiveScore,
        };
    }

    /**
     * @param {Record<string, any>} report
     * @param {'sent' | 'received'} direction
     * @param {Record<string, any>} receiver the report of the receiving end
     * @param {Map<string, Record<string, any>>} byId
     * @param {number} rttMs
     * @returns {TrackStats}
     */
    #track(report, direction, receiver, byId, rttMs) {
        const received = direction === 'received';
        const now = {
            at: report.timestamp,
            bytes: (received ? report.bytesReceived : report.bytesSent) ?? 0,
            lost: receiver.packetsLost ?? 0,
            packets: (received ? report.packetsReceived : report.packetsSent) ?? 0,
            frames: (received ? report.framesDecoded : report.framesEncoded) ?? 0,
        };
        const before = this.#last.get(report.id);
        this.#last.set(report.id, now);
        const seconds = before ? Math.max(0.001, (now.at - before.at) / 1000) : Infinity;
        const lost = Math.max(0, now.lost - (before?.lost ?? 0));
        const packets = Math.max(0, now.packets - (before?.packets ?? 0));
        const expected = received ? packets + lost : packets;
        const lossRatio = expected > 0 ? Math.min(1, lost / expected) : 0;
        const jitterMs = Math.round((receiver.jitter ?? 0) * 1000);
        return {
            direction,
            kind: report.kind,
            mid: String(report.mid ?? ''),
            bitrate: before ? Math.round(((now.bytes - before.bytes) * 8) / seconds) : 0,
            lossRatio,
            jitterMs,
            frames: now.frames,
            frameRate: before ? Math.round((now.frames - before.frames) / seconds) : 0,
            width: report.frameWidth ?? 0,
            height: report.frameHeight ?? 0,
            freezes: report.freezeCount ?? 0,
            audioEnergy: report.totalAudioEnergy ?? 0,
            codec: byId.get(report.codecId)?.mimeType ?? '',
            score: packets > 0 ? score({ lossRatio, rttMs, jitterMs }) : 5,
        };
    }
}

/**
 * @param {TrackStats[]} tracks
 * @param {'sent' | 'received'} direction
 * @returns {number}
 */
function worst(tracks, direction) {
    return tracks
        .filter((track) => track.direction === direction)
        .reduce((least, track) => Math.min(least, track.score), 5);
}

/**
 * @param {Record<string, any>[]} all
 * @param {Map<string, Record<string, any>>} byId
 * @returns {Record<string, any> | undefined}
 */
function selectedPair(all, byId) {
    const transport = all.find((report) => report.type === 'transport');
    return (
        byId.get(transport?.selectedCandidatePairId) ??
        all.find(
            (report) =>
                report.type === 'candidate-pair' &&
                (report.selected || (report.nominated && report.state === 'succeeded')),
        )
    );
}
