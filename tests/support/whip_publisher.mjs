// A WHIP publisher with the habits of OBS: libdatachannel, no PATCH, candidates after the answer.
import nodeDataChannel from 'node-datachannel';

import { until } from './until.mjs';
import { call, post } from './whip.mjs';

const AUDIO_SSRC = 1001;

/** Never collected: the library's finalizers crash when peers and tracks go in the wrong order. */
const kept = [];

/** Publishes one audio and one video section, and sends Opus silence until it ends. */
export class WhipPublisher {
    static async start(server, path, { fields = {} } = {}) {
        const publisher = new WhipPublisher();
        kept.push(publisher);
        const peer = new nodeDataChannel.PeerConnection('obs', { iceServers: [], bindAddress: '127.0.0.1' });
        const audio = new nodeDataChannel.Audio('0', 'SendOnly');
        audio.addOpusCodec(111);
        audio.addSSRC(AUDIO_SSRC, 'obs', 'stream', 'audio');
        const video = new nodeDataChannel.Video('1', 'SendOnly');
        video.addH264Codec(96, 'profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1');
        video.addSSRC(1002, 'obs', 'stream', 'video');
        publisher.tracks = [peer.addTrack(audio), peer.addTrack(video)];
        const description = new Promise((resolve) => peer.onLocalDescription((sdp) => resolve(sdp)));
        peer.setLocalDescription('offer');
        const created = await post(server, path, await description, { fields });
        Object.assign(publisher, { server, peer, status: created.status, location: created.headers.get('location') });
        if (created.status !== 201) throw new Error(`${path}: ${created.status}`);
        peer.setRemoteDescription(await created.text(), 'answer');
        await until('the publisher is connected', () => peer.state() === 'connected');
        publisher.resume();
        return publisher;
    }

    /** Sends sound. */
    resume() {
        this.sequence ??= 0;
        this.timer = setInterval(() => {
            const packet = Buffer.alloc(12 + 40, 7);
            packet[0] = 0x80;
            packet[1] = 111;
            packet.writeUInt16BE(this.sequence & 0xffff, 2);
            packet.writeUInt32BE((this.sequence++ * 960) >>> 0, 4);
            packet.writeUInt32BE(AUDIO_SSRC, 8);
            packet[12] = 0xfc;
            this.tracks[0].sendMessageBinary(packet);
        }, 20);
    }

    /** Sends nothing any more. */
    pause() {
        clearInterval(this.timer);
    }

    /** Ends it as OBS does. Returns the status of DELETE. */
    async stop() {
        this.pause();
        const { status } = await call(this.server, this.location, 'DELETE');
        this.peer.close();
        return status;
    }
}
