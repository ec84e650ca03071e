// Our SCTP judged by usrsctp (of libdatachannel) and by werift: order, repair, reset, limits.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import nodeDataChannel from 'node-datachannel';
import * as werift from 'werift';

import { NativeClient } from '../support/native_client.mjs';
import { Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';

let server;
let roomNumber = 0;
const newRoom = () => `room-${++roomNumber}`;

before(async () => {
    server = await Server.start({ sanitized: true, set: { 'server.workers': 2 } });
});
after(async () => {
    nodeDataChannel.cleanup();
    const ended = await server?.stop();
    setTimeout(() => process.exit(), 500).unref();
    assert.deepEqual(ended, { status: 0, signal: null });
});

/** One connection with data channels alone; a channel is { open, closed, received, send, close }. */
class Native {
    static async join(room, name) {
        const member = new Native();
        member.client = await NativeClient.join(server, room, name);
        member.peer = new nodeDataChannel.PeerConnection(name, { iceServers: [], bindAddress: '127.0.0.1' });
        member.first = member.open('first');
        await until('addresses are gathered', () => member.peer.gatheringState() === 'complete');
        const answer = await member.client.request('offer', { sdp: member.peer.localDescription().sdp, tracks: [] });
        member.peer.setRemoteDescription(answer.sdp, 'answer');
        await until('the first channel is open', () => member.first.open);
        return member;
    }

    open(label, options = {}) {
        const channel = this.peer.createDataChannel(label, options);
        const state = { open: false, closed: false, received: [] };
        channel.onOpen(() => { state.open = true; });
        channel.onClosed(() => { state.closed = true; });
        channel.onMessage((message) => state.received.push(message));
        state.send = (message) => (typeof message === 'string' ? channel.sendMessage(message) : channel.sendMessageBinary(message));
        state.close = () => channel.close();
        state.id = () => channel.getId();
        return state;
    }

    async leave() {
        this.peer.close();
        await this.client.goodbye();
    }
}

class Script {
    static async join(room, name) {
        const member = new Script();
        member.client = await NativeClient.join(server, room, name);
        member.peer = new werift.RTCPeerConnection({ iceServers: [], iceAdditionalHostAddresses: ['127.0.0.1'] });
        member.first = member.open('first');
        const offer = await member.peer.createOffer();
        // without a STUN server werift asks one in the internet; tests stay on this machine
        for (const transport of member.peer.iceTransports) transport.connection.stunServer = undefined;
        await member.peer.setLocalDescription(offer);
        const answer = await member.client.request('offer', { sdp: member.peer.localDescription.sdp, tracks: [] });
        await member.peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
        await until('the first channel is open', () => member.first.open);
        return member;
    }

    open(label, { unordered = false, ...options } = {}) {
        const channel = this.peer.createDataChannel(label, { ordered: !unordered, ...options });
        const state = { received: [] };
        Object.defineProperty(state, 'open', { get: () => channel.readyState === 'open' });
        Object.defineProperty(state, 'closed', { get: () => channel.readyState === 'closed' });
        channel.onMessage.subscribe((message) => state.received.push(message));
        state.send = (message) => channel.send(message);
        state.close = () => channel.close();
        state.id = () => channel.id;
        return state;
    }

    async leave() {
        await this.peer.close();
        await this.client.goodbye();
    }
}

// werift does all its work on the thread of the test
const stacks = { usrsctp: [Native, 2000], werift: [Script, 200] };

for (const [name, [Stack, count]] of Object.entries(stacks)) {
    const pair = async (context) => {
        const room = newRoom();
        const members = [await Stack.join(room, 'ann'), await Stack.join(room, 'ben')];
        context.after(() => Promise.all(members.map((member) => member.leave())));
        return members;
    };

    test(`${name}: ${count} messages of all sizes come whole and in order`, async (context) => {
        const [ann, ben] = await pair(context);
        const size = (i) => 4 + (i * 337) % (i % 100 === 0 ? 60000 : 3000);
        for (let i = 0; i < count; i++) {
            const message = Buffer.alloc(size(i), i & 0xff);
            message.writeUInt32BE(i);
            ann.first.send(message);
        }
        await until('all of them', () => ben.first.received.length === count, 30000);
        ben.first.received.forEach((message, i) => {
            const bytes = Buffer.from(message);
            assert.equal(bytes.readUInt32BE(0), i);
            assert.ok(bytes.length === size(i) && bytes.at(-1) === (bytes.length > 4 ? i & 0xff : bytes.at(-1)), `message ${i}`);
        });
    });

    test(`${name}: a channel closed by the client is closed on both sides, and its id serves again`, async (context) => {
        const [ann, ben] = await pair(context);
        const closes = await server.total('data_channels');
        const ids = new Set();
        for (let round = 0; round < 5; round++) {
            const [from, to] = [ann.open('short'), ben.open('short')];
            await until('both are open', () => from.open && to.open);
            ids.add(from.id());
            // the server may hear of one's message before the other's channel is there
            await until('heard', () => {
                from.send(`round ${round}`);
                return to.received.length > 0;
            });
            assert.ok(to.received.every((message) => message === `round ${round}`), 'nothing of an older channel');
            from.close();
            to.close();
            await until('closed everywhere', async () => from.closed && to.closed && (await server.total('data_channels')) === closes);
        }
        context.diagnostic(`ids: ${[...ids].join(' ')}`);
        ann.first.send('still here');
        await until('others go on', () => ben.first.received.includes('still here'));
    });

    test(`${name}: labels that are too long are refused without harm to others`, async (context) => {
        const [ann, ben] = await pair(context);
        const before = await server.total('data_channels_refused_total');
        const refused = ann.open('l'.repeat(129));
        await until('refused', async () => (await server.total('data_channels_refused_total')) === before + 1);
        await until('closed', () => refused.closed);
        ann.first.send('unharmed');
        await until('others go on', () => ben.first.received.includes('unharmed'));
    });
}

test('usrsctp: packets go without checksum, as DTLS has better ones', async (context) => {
    const ann = await Native.join(newRoom(), 'ann');
    context.after(() => ann.leave());
    for (let i = 0; i < 50; i++) ann.first.send('x');
    await until('they came', async () => (await server.total('data_messages_received_total')) >= 50);
    assert.equal(await server.total('sctp_dropped_total'), 0);
});
