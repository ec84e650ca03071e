/** How loud a microphone is, also while it is muted. */

const TICK_MS = 80;

/**
 * Measures a track's level. A clone is measured, which stays enabled when the track is muted:
 * nothing of it is sent anywhere.
 *
 * @param {MediaStreamTrack} track
 * @param {(level: number) => void} report 0 to 1, some twelve times a second
 * @returns {() => void} stops
 */
export function measureLevel(track, report) {
    const Context = globalThis.AudioContext;
    if (!Context) return () => {};
    const context = new Context();
    const clone = track.clone();
    clone.enabled = true;
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    const source = context.createMediaStreamSource(new MediaStream([clone]));
    source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
        if (context.state === 'suspended') void context.resume().catch(() => {});
        analyser.getFloatTimeDomainData(samples);
        report(loudness(samples));
    }, TICK_MS);
    return () => {
        clearInterval(timer);
        source.disconnect();
        clone.stop();
        void context.close().catch(() => {});
    };
}

/**
 * @param {Float32Array} samples from -1 to 1
 * @returns {number} 0 (silence, -60 dB) to 1 (as loud as can be)
 */
export function loudness(samples) {
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const decibel = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-9);
    return Math.max(0, Math.min(1, (decibel + 60) / 54));
}

/**
 * Tells when somebody talks for a while though the microphone is off.
 */
export class TalkDetector {
    #loud = 0;

    /**
     * @param {number} level as measureLevel reports it
     * @returns {boolean} it has been speech for about half a second
     */
    hear(level) {
        this.#loud = level > 0.45 ? Math.min(12, this.#loud + 1) : Math.max(0, this.#loud - 0.5);
        return this.#loud >= 6;
    }
}
