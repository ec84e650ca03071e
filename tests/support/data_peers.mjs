// Members of rooms with data channels and no media, by two independent stacks: libdatachannel (C++ over usrsctp)
// and werift.
import assert from 'node:assert/strict';

import nodeDataChannel from 'node-datachannel';
import * as werift from 'werift';

import { NativeClient } from './native_client.mjs';
import { until } from './until.mjs';

/** One data channel, alike for both stacks. Whatever came is in `received`: texts and buffers. */
class Channel {
    received = [];

    take(message) {
        this.received.push(typeof message === 'string' ? message : Buffer.from(message));
    }
}

class NativeChannel extends Channel {
    open = false;
    closed = false;
    #channel;

    constructor(channel) {
        super();
        this.#channel = channel;
        channel.onOpen(() => { this.open = true; });
        channel.onClosed(() => { this.closed = true; });
        channel.onMessage((message) => this.take(message));
    }

    get id() { return this.#channel.getId(); }
    close() { this.#channel.close(); }

    send(message) {
        if (typeof message === 'string') this.#channel.sendMessage(message);
        else this.#channel.sendMessageBinary(message);
    }
}

class ScriptChannel extends Channel {
    #channel;

    constructor(channel) {
        super();
        this.#channel = channel;
        channel.onMessage.subscribe((message) => this.take(message));
    }

    get open() { return this.#channel.readyState === 'open'; }
    get closed() { return this.#channel.readyState === 'closed'; }
    get id() { return this.#channel.id; }
    close() { this.#channel.close(); }
    send(message) { this.#channel.send(message); }
}

class DataPeer {
    /** @type {Record<string, Channel>} by label, the one opened last */
    channels = {};

    /**
     * Joins, and waits until the channels are open.
     *
     * @param {Record<string, {protocol?: string, unordered?: boolean, maxRetransmits?: number}>} channels by label
     * @param {object} [fields] of the join
     */
    static async join(server, room, name, channels, fields = {}) {
        const member = new this(name);
        member.client = await NativeClient.join(server, room, name, fields);
        for (const [label, options] of Object.entries(channels)) member.open(label, options);
        const { sdp } = await member.client.request('offer', { sdp: await member.describe(), tracks: [] });
        assert.match(sdp, /^m=application 9 UDP\/DTLS\/SCTP webrtc-datachannel\r$/m);
        assert.match(sdp, /^a=sctp-port:5000\r$/m);
        assert.match(sdp, /^a=max-message-size:262144\r$/m);
        await member.accept(sdp);
        await member.client.event('media_state', ({ state }) => state === 'connected');
        await until('the channels are open', () => Object.values(member.channels).every(({ open }) => open));
        return member;
    }

    /** Messages that came, by label. */
    get received() {
        const used = Object.entries(this.channels).filter(([, { received }]) => received.length > 0);
        return Object.fromEntries(used.map(([label, { received }]) => [label, received]));
    }

    send(label, message) {
        this.channels[label].send(message);
    }

    async leave() {
        await this.peer.close();
        await this.client.goodbye();
    }
}

/** By libdatachannel. */
export class Native extends DataPeer {
    constructor(name) {
        super();
        this.peer = new nodeDataChannel.PeerConnection(name, { iceServers: [], bindAddress: '127.0.0.1' });
        // it describes itself as soon as it has a channel
        this.gathered = new Promise((resolve) => { this.peer.onGatheringStateChange((state) => state === 'complete' && resolve()); });
    }

    open(label, { protocol = '', unordered = false, maxRetransmits } = {}) {
        const options = { protocol, unordered, ...(maxRetransmits !== undefined && { maxRetransmits }) };
        return (this.channels[label] = new NativeChannel(this.peer.createDataChannel(label, options)));
    }

    async describe() {
        await this.gathered;
        return this.peer.localDescription().sdp;
    }

    accept(sdp) { this.peer.setRemoteDescription(sdp, 'answer'); }
}

/** By werift. */
export class Script extends DataPeer {
    peer = new werift.RTCPeerConnection({ iceServers: [], iceAdditionalHostAddresses: ['127.0.0.1'] });

    open(label, { protocol = '', unordered = false, maxRetransmits } = {}) {
        return (this.channels[label] = new ScriptChannel(this.peer.createDataChannel(label, { protocol, ordered: !unordered, maxRetransmits })));
    }

    async describe() {
        const offer = await this.peer.createOffer();
        // without a STUN server werift asks one in the internet; tests stay on this machine
        for (const transport of this.peer.iceTransports) transport.connection.stunServer = undefined;
        await this.peer.setLocalDescription(offer);
        return this.peer.localDescription.sdp;
    }

    accept(sdp) { return this.peer.setRemoteDescription({ type: 'answer', sdp }); }
}

/** Ends the threads of libdatachannel; werift keeps timers of closed connections, so the process is ended, too. */
export function endDataPeers() {
    nodeDataChannel.cleanup();
    setTimeout(() => process.exit(), 500).unref();
}
