// Other people's TURN clients, each from relay to relay through our server: libjuice (C, in
// libdatachannel) and werift (TypeScript).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import nodeDataChannel from 'node-datachannel';
import * as werift from 'werift';

import { TurnServer, comparing, credentials } from '../support/turn.mjs';
import { until } from '../support/until.mjs';

/** @type {TurnServer} */
let server;

before(async () => { server = await TurnServer.start({ set: { 'turn.relay_addresses': '127.0.0.1' } }); });
after(async () => {
    nodeDataChannel.cleanup();
    const ended = await server?.stop();
    // both stacks keep timers or threads of closed connections
    setTimeout(() => process.exit(), 500).unref();
    assert.deepEqual(ended, { status: 0, signal: null });
});

/** What went from relay to relay inside the server while `body` ran. */
async function relayed(body) {
    const before = await server.metric('turn_inside_packets_total', 'with="relay"');
    await body();
    if (comparing) return;
    assert.ok(await server.metric('turn_inside_packets_total', 'with="relay"') > before + 20, 'it went through the server');
    assert.equal(await server.metric('turn_relay_sockets'), 0, 'without a socket');
}

const texts = Array.from({ length: 50 }, (_, i) => `${i} ${'x'.repeat(i * 20)}`);

test('libjuice', async () => {
    const { username, credential } = credentials('juice');
    const configuration = {
        iceServers: [{ hostname: '127.0.0.1', port: server.port, username, password: credential, relayType: 'TurnUdp' }],
        iceTransportPolicy: 'relay',
    };
    await relayed(async () => {
        const [one, other] = ['one', 'other'].map((name) => new nodeDataChannel.PeerConnection(name, configuration));
        const candidates = [];
        const got = [];
        for (const [from, to] of [[one, other], [other, one]]) {
            from.onLocalDescription((sdp, type) => to.setRemoteDescription(sdp, type));
            from.onLocalCandidate((candidate, mid) => {
                candidates.push(candidate);
                to.addRemoteCandidate(candidate, mid);
            });
        }
        other.onDataChannel((channel) => channel.onMessage((text) => channel.sendMessage(text)));
        const channel = one.createDataChannel('relay');
        channel.onMessage((text) => got.push(text));
        await until('an open channel', () => channel.isOpen());
        for (const text of texts) channel.sendMessage(text);
        await until('all answers', () => got.length === texts.length);
        assert.deepEqual(got, texts);
        assert.ok(candidates.length >= 2 && candidates.every((candidate) => candidate.includes('typ relay')), candidates.join('\n'));
        assert.equal(one.getSelectedCandidatePair()?.local.type, 'relay');
        for (const peer of [one, other]) peer.close();
    });
});

for (const transport of ['udp', 'tcp'])
    test(`werift over ${transport.toUpperCase()}`, async () => {
        // its policy "relay" still gathers host candidates; without families it has none
        const iceServers = [{ urls: `turn:127.0.0.1:${server.port}`, ...credentials('werift') }];
        const config = { iceServers, iceTransportPolicy: 'relay', iceUseIpv4: false, iceUseIpv6: false, forceTurnTCP: transport === 'tcp' };
        await relayed(async () => {
            const [one, other] = [0, 1].map(() => new werift.RTCPeerConnection(config));
            const got = [];
            other.onDataChannel.subscribe((channel) => channel.onMessage.subscribe((text) => channel.send(text)));
            const channel = one.createDataChannel('relay');
            channel.onMessage.subscribe((text) => got.push(text.toString()));
            await one.setLocalDescription(await one.createOffer());
            await other.setRemoteDescription(one.localDescription);
            await other.setLocalDescription(await other.createAnswer());
            await one.setRemoteDescription(other.localDescription);
            await until('an open channel', () => channel.readyState === 'open');
            for (const text of texts) channel.send(text);
            await until('all answers', () => got.length === texts.length);
            assert.deepEqual(got, texts);
            const lines = one.localDescription.sdp.split('\r\n').filter((line) => line.startsWith('a=candidate'));
            assert.ok(lines.length > 0 && lines.every((line) => line.includes('typ relay')), lines.join('\n'));
            if (!comparing) assert.ok(await server.metric('turn_allocations', `transport="${transport}"`) >= 2);
            await Promise.all([one.close(), other.close()]);
        });
    });
