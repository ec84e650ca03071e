/**
 * Injected into pages before their own scripts: a camera, screens and a PeerConnection made of
 * canvases, so that the application can be looked at without a media server. The mock server's
 * answers say what fills each section, in lines of its own (`a=fake:<mid> <what> <seed>`).
 *
 * @param {{camera?: string, seed?: number}} options camera: `ok`, `denied`, `none`, `busy`,
 *     `insecure`; real: only the devices are made up, calls go through a real server
 */
export function installFakeMedia(options) {
    const SKIN = ['#e8b998', '#c98e68', '#8d5a3c', '#f1cdb0', '#a86f4a', '#6b4129', '#d9a37c'];
    const HAIR = ['#2b211c', '#5a3b26', '#8c6239', '#1a1a1f', '#b98b4e', '#7a7571', '#3d2a44'];
    const SHIRT = ['#3b6ea8', '#b5524b', '#4a8a62', '#6a5aa5', '#c78f2f', '#37474f', '#8c4a73', '#2f8a8a'];
    const WALL = [
        ['#cfd8dc', '#90a4ae'], ['#e9dccb', '#bfa98e'], ['#d7e3d4', '#9db79a'], ['#4a5a6a', '#27323d'],
        ['#e6d3d0', '#b89390'], ['#d9d4e7', '#9f96bd'], ['#6d6152', '#3b342c'], ['#cde1e6', '#86aab5'],
    ];

    /** A head-and-shoulders picture, a little different for every seed. */
    function drawPerson(c, w, h, seed, time) {
        const [light, dark] = WALL[seed % WALL.length];
        const wall = c.createLinearGradient(0, 0, w, h);
        wall.addColorStop(0, light);
        wall.addColorStop(1, dark);
        c.fillStyle = wall;
        c.fillRect(0, 0, w, h);
        c.globalAlpha = 0.28;
        c.fillStyle = seed % 2 ? '#fff8e0' : '#20303a';
        if (seed % 3 === 0) c.fillRect(w * 0.07, h * 0.1, w * 0.2, h * 0.5);
        else if (seed % 3 === 1) for (let i = 0; i < 4; i++) c.fillRect(w * 0.72, h * (0.12 + i * 0.2), w * 0.24, h * 0.04);
        else c.beginPath(), c.arc(w * 0.83, h * 0.3, h * 0.17, 0, 7), c.fill();
        c.globalAlpha = 1;
        const sway = Math.sin(time / 900 + seed) * w * 0.004;
        const x = w * (0.5 + ((seed * 37) % 11 - 5) * 0.008) + sway;
        const s = h * (0.9 + ((seed * 13) % 5) * 0.03);
        c.fillStyle = SHIRT[(seed * 5) % SHIRT.length];
        c.beginPath();
        c.moveTo(x - s * 0.47, h * 1.02);
        c.bezierCurveTo(x - s * 0.44, h - s * 0.22, x - s * 0.2, h - s * 0.3, x, h - s * 0.3);
        c.bezierCurveTo(x + s * 0.2, h - s * 0.3, x + s * 0.44, h - s * 0.22, x + s * 0.47, h * 1.02);
        c.fill();
        const skin = SKIN[(seed * 3) % SKIN.length];
        const hair = HAIR[(seed * 4 + 1) % HAIR.length];
        const hy = h - s * 0.55;
        if (seed % 2) {
            c.fillStyle = hair;
            c.beginPath();
            c.ellipse(x, hy + s * 0.06, s * 0.2, s * 0.27, 0, 0, 7);
            c.fill();
        }
        c.fillStyle = skin;
        c.fillRect(x - s * 0.062, h - s * 0.44, s * 0.124, s * 0.17);
        c.beginPath();
        c.ellipse(x, hy, s * 0.145, s * 0.19, 0, 0, 7);
        c.fill();
        c.fillStyle = hair;
        c.beginPath();
        c.ellipse(x, hy - s * 0.075, s * 0.158, s * 0.135, 0, Math.PI, 2 * Math.PI);
        c.fill();
        c.fillStyle = '#241a16';
        for (const side of [-1, 1]) {
            c.beginPath();
            c.ellipse(x + side * s * 0.055, hy + s * 0.005, s * 0.013, s * 0.016, 0, 0, 7);
            c.fill();
        }
        c.strokeStyle = 'rgb(90 30 25 / 70%)';
        c.lineWidth = s * 0.011;
        c.lineCap = 'round';
        c.beginPath();
        c.arc(x, hy + s * 0.055, s * 0.05, 0.5, Math.PI - 0.5);
        c.stroke();
    }

    /** A page of slides, as people share them. */
    function drawScreen(c, w, h) {
        c.fillStyle = '#f4f5f7';
        c.fillRect(0, 0, w, h);
        c.fillStyle = '#22303c';
        c.fillRect(0, 0, w, h * 0.06);
        c.fillStyle = '#fff';
        c.fillRect(w * 0.06, h * 0.12, w * 0.88, h * 0.8);
        c.fillStyle = '#22303c';
        c.font = `600 ${h * 0.065}px sans-serif`;
        c.fillText('Packets per second', w * 0.1, h * 0.24);
        c.font = `400 ${h * 0.03}px sans-serif`;
        c.fillStyle = '#68747f';
        c.fillText('One publisher, a hundred subscribers', w * 0.1, h * 0.3);
        [0.3, 0.42, 0.39, 0.55, 0.62, 0.78, 0.86].forEach((value, i) => {
            c.fillStyle = i === 6 ? '#0b7a56' : '#b9d8cb';
            c.fillRect(w * (0.12 + i * 0.11), h * (0.86 - value * 0.48), w * 0.075, h * value * 0.48);
        });
    }

    function canvasTrack(width, height, draw) {
        const canvas = document.createElement('canvas');
        canvas.width = width;
        canvas.height = height;
        const context = canvas.getContext('2d');
        const paint = () => draw(context, width, height, performance.now());
        paint();
        const [track] = canvas.captureStream(4).getVideoTracks();
        const timer = setInterval(() => (track.readyState === 'ended' ? clearInterval(timer) : paint()), 250);
        return track;
    }

    let audio;
    function silentTrack() {
        audio ??= new AudioContext();
        return audio.createMediaStreamDestination().stream.getAudioTracks()[0];
    }

    const devices = navigator.mediaDevices ?? {};
    const failure = { denied: 'NotAllowedError', none: 'NotFoundError', busy: 'NotReadableError' }[options.camera];
    devices.getUserMedia = async ({ video, audio: sound }) => {
        if (options.camera === 'pending') return new Promise(() => {});
        if (failure && (video || options.camera === 'denied')) throw new DOMException('fake', failure);
        const tracks = [];
        if (video) tracks.push(canvasTrack(1280, 720, (c, w, h, time) => drawPerson(c, w, h, options.seed ?? 4, time)));
        if (sound) tracks.push(silentTrack());
        return new MediaStream(tracks);
    };
    devices.getDisplayMedia = async () => new MediaStream([canvasTrack(1280, 720, drawScreen)]);
    devices.enumerateDevices = async () =>
        [
            ['videoinput', 'Built-in camera'], ['videoinput', 'Desk camera with a rather long product name (046d:0825)'],
            ['audioinput', 'Built-in microphone'], ['audioinput', 'Headset'], ['audiooutput', 'Loudspeakers'],
        ].map(([kind, label], index) => ({ kind, label, deviceId: `d${index}`, groupId: 'g' }));
    if (options.camera === 'insecure') Object.defineProperty(window, 'isSecureContext', { value: false });

    class FakeSender {
        constructor(track, encodings) {
            this.track = track;
            this.encodings = encodings;
        }
        async replaceTrack(track) {
            this.track = track;
        }
        getParameters() {
            return { encodings: this.encodings };
        }
    }

    class FakePeerConnection extends EventTarget {
        connectionState = 'new';
        iceConnectionState = 'new';
        signalingState = 'stable';
        localDescription = null;
        remoteDescription = null;
        #transceivers = [];
        #what = new Map();
        #startedAt = Date.now();

        addTransceiver(trackOrKind, init = {}) {
            const kind = typeof trackOrKind === 'string' ? trackOrKind : trackOrKind.kind;
            const transceiver = {
                mid: null,
                direction: init.direction ?? 'sendrecv',
                sender: new FakeSender(typeof trackOrKind === 'string' ? null : trackOrKind, init.sendEncodings ?? [{}]),
                receiver: { track: null },
                setCodecPreferences() {},
            };
            transceiver.receiver.track =
                kind === 'audio'
                    ? silentTrack()
                    : canvasTrack(640, 360, (c, w, h, time) => this.#draw(transceiver.mid, c, w, h, time));
            this.#transceivers.push(transceiver);
            return transceiver;
        }
        addTrack(track) {
            return this.addTransceiver(track).sender;
        }
        #draw(mid, c, w, h, time) {
            const [what, seed] = this.#what.get(mid) ?? ['none', 0];
            if (what === 'screen') drawScreen(c, w, h);
            else if (what === 'person') drawPerson(c, w, h, Number(seed), time);
        }
        getTransceivers() {
            return this.#transceivers;
        }
        createDataChannel() {
            const channel = { readyState: 'connecting', bufferedAmount: 0, send() {}, close() {}, onopen: null, onmessage: null };
            setTimeout(() => ((channel.readyState = 'open'), channel.onopen?.()), 100);
            return channel;
        }
        async createOffer() {
            const sections = this.#transceivers.map((transceiver, index) =>
                `m=${transceiver.receiver.track.kind}\r\na=mid:${transceiver.mid ?? index}\r\na=${transceiver.direction}\r\n`);
            return { type: 'offer', sdp: `v=0\r\n${sections.join('')}` };
        }
        async createAnswer() {
            return { ...(await this.createOffer()), type: 'answer' };
        }
        async setLocalDescription(description) {
            if (description.type === 'rollback') return void (this.signalingState = 'stable');
            this.#transceivers.forEach((transceiver, index) => (transceiver.mid = String(index)));
            this.localDescription = description;
            this.signalingState = description.type === 'offer' ? 'have-local-offer' : 'stable';
        }
        async setRemoteDescription(description) {
            this.remoteDescription = description;
            this.signalingState = 'stable';
            for (const [, mid, what, seed] of description.sdp.matchAll(/a=fake:(\S+) (\S+) (\S+)/g)) {
                this.#what.set(mid, [what, seed]);
            }
            for (const transceiver of this.#transceivers) {
                this.ontrack?.({ track: transceiver.receiver.track });
            }
            setTimeout(() => this.fakeState('connected'), 20);
        }
        /** For screenshots of interrupted media. */
        fakeState(state) {
            this.connectionState = this.iceConnectionState = state;
            this.onconnectionstatechange?.();
        }
        async addIceCandidate() {}
        restartIce() {}
        async getStats() {
            const seconds = (Date.now() - this.#startedAt) / 1000;
            const reports = this.#transceivers.map(({ mid, direction, receiver }, index) => {
                const sent = direction === 'sendonly';
                const poor = this.#what.get(mid)?.[0] === 'person' && globalThis.fakePoor?.includes(mid);
                const packets = Math.round(seconds * 80);
                return {
                    id: `s${index}`, type: sent ? 'outbound-rtp' : 'inbound-rtp', mid, kind: receiver.track.kind, timestamp: Date.now(),
                    bytesReceived: seconds * 90_000, bytesSent: seconds * 150_000, packetsReceived: packets, packetsSent: packets,
                    packetsLost: poor ? Math.round(packets * 0.2) : 0, framesDecoded: Math.round(seconds * 30), frameWidth: 1280, frameHeight: 720, jitter: 0.004,
                };
            });
            reports.push({ id: 'p', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.024, availableOutgoingBitrate: 2_400_000 });
            return new Map(reports.map((report) => [report.id, report]));
        }
        close() {
            for (const { receiver } of this.#transceivers) receiver.track.stop();
        }
    }
    if (!options.real) window.RTCPeerConnection = FakePeerConnection;
}
