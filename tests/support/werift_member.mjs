// Members of rooms whose media werift carries, an independent WebRTC stack, and media that show where
// each packet comes from.
import * as werift from 'werift';

import { NativeClient } from './native_client.mjs';

export const add16 = (a, b) => (a + b) & 0xffff;

/** One packet of VP8: RFC 7741 descriptor with a picture id, then a frame tag (RFC 6386, 9.1). */
export function vp8Payload(picture, keyFrame, number) {
    const descriptor = [0x90, 0x80, 0x80 | (picture >> 8), picture & 0xff];
    const frame = keyFrame ? [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0] : [0x11, 0, 0];
    const mark = Buffer.alloc(8);
    mark.writeUInt32BE(number, 0);
    return Buffer.concat([Buffer.from([...descriptor, ...frame]), mark, Buffer.alloc(60, number)]);
}

/** What vp8Payload was made of; undefined when it is not one of ours. */
export function vp8Read(payload) {
    if (payload[0] !== 0x90 || payload.length < 15) return undefined;
    const keyFrame = (payload[4] & 1) === 0;
    return { picture: ((payload[2] & 0x7f) << 8) | payload[3], keyFrame, number: payload.readUInt32BE(keyFrame ? 14 : 7) };
}

/** TOC byte of 20 ms of stereo CELT, then what tells packets apart. */
export function opusPayload(number) {
    const mark = Buffer.alloc(4);
    mark.writeUInt32BE(number);
    return Buffer.concat([Buffer.from([0xfc]), mark, Buffer.alloc(40, 7)]);
}
export const opusRead = (payload) => payload.readUInt32BE(1);

export function rtp({ payloadType = 0, sequence, timestamp, ssrc = 0, marker = true }, payload) {
    const head = Buffer.alloc(12);
    head[0] = 0x80;
    head[1] = (marker ? 0x80 : 0) | payloadType;
    head.writeUInt16BE(sequence, 2);
    head.writeUInt32BE(timestamp >>> 0, 4);
    head.writeUInt32BE(ssrc, 8);
    return Buffer.concat([head, payload]);
}

export const videoCodecs = {
    vp8: () => new werift.RTCRtpCodecParameters({ mimeType: 'video/VP8', clockRate: 90000,
        rtcpFeedback: [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }, { type: 'ccm', parameter: 'fir' }, { type: 'transport-cc' }] }),
    rtx: () => new werift.RTCRtpCodecParameters({ mimeType: 'video/rtx', clockRate: 90000 }),
};

/** A member whose media werift carries. */
export class Member {
    received = { audio: [], video: [] };
    keyFramesWanted = 0;
    #stopSending = [];

    static async join(server, room, name, { sends = [], slots = 1, config = {} } = {}) {
        const member = new Member();
        member.client = await NativeClient.join(server, room, name);
        const [mid, wide, sendTime] = [werift.useSdesMid(), werift.useTransportWideCC(), werift.useAbsSendTime()];
        member.peer = new werift.RTCPeerConnection({
            iceServers: [], iceAdditionalHostAddresses: ['127.0.0.1'],
            codecs: { audio: [new werift.RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48000, channels: 2 })],
                video: [videoCodecs.vp8(), videoCodecs.rtx()] },
            headerExtensions: { audio: [mid, wide], video: [mid, wide, sendTime] },
            ...config,
        });
        member.senders = {};
        for (const kind of sends) {
            const track = new werift.MediaStreamTrack({ kind });
            const transceiver = member.peer.addTransceiver(track, { direction: 'sendonly' });
            member.senders[kind] = { track, transceiver, sender: transceiver.sender };
        }
        for (let i = 0; i < slots; i++)
            for (const kind of ['audio', 'video']) member.#addSlot(kind);
        member.peer.onTrack.subscribe((track) => member.#listen(track));
        await member.offer();
        await member.client.event('media_state', ({ state }) => state === 'connected');
        return member;
    }

    #addSlot(kind) {
        this.peer.addTransceiver(kind, { direction: 'recvonly' });
    }

    #listen(track) {
        track.onReceiveRtp.subscribe((packet) => this.received[track.kind].push(packet));
    }

    async offer(options = {}) {
        const offer = await this.peer.createOffer(options);
        // without a STUN server werift asks one in the internet; tests stay on this machine
        for (const transport of this.peer.iceTransports) transport.connection.stunServer = undefined;
        await this.peer.setLocalDescription(offer);
        const sources = { audio: 'microphone', video: 'camera' };
        const tracks = Object.entries(this.senders).map(([kind, { transceiver }]) => ({ mid: transceiver.mid, source: sources[kind] }));
        this.answer = await this.client.request('offer', { sdp: this.peer.localDescription.sdp, tracks });
        await this.peer.setRemoteDescription({ type: 'answer', sdp: this.answer.sdp });
        const { video } = this.senders;
        if (video && !video.listening) {
            video.listening = true;
            video.sender.onPictureLossIndication.subscribe(() => {
                this.keyFramesWanted++;
                video.keyFrameDue = true;
            });
        }
        return this.answer;
    }

    /** Sends a packet of each track every 20 ms; a key frame when asked. */
    send() {
        const { audio, video } = this.senders;
        const start = { audio: 65500, video: 65400 }; // sequence numbers wrap within the test
        let number = 0;
        if (video) video.keyFrameDue = true;
        const timer = setInterval(() => {
            if (audio) audio.track.writeRtp(rtp({ sequence: add16(start.audio, number), timestamp: number * 960 }, opusPayload(number)));
            if (video) {
                const packet = rtp({ sequence: add16(start.video, number), timestamp: number * 1800 }, vp8Payload(number & 0x7fff, video.keyFrameDue, number));
                video.keyFrameDue = false;
                video.track.writeRtp(packet);
            }
            number++;
        }, 20);
        this.#stopSending.push(() => clearInterval(timer));
    }

    async leave() {
        for (const stop of this.#stopSending) stop();
        await this.client.goodbye();
        await this.peer.close();
    }
}

export function leaving(context, members) {
    context.after(() => Promise.all(members.map((member) => member.leave())));
}
