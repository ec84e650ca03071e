// Our SCTP judged by usrsctp (of libdatachannel) and by werift: order, repair, reset, limits.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { endDataPeers, Native, Script } from '../support/data_peers.mjs';
import { runCommand, Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';

let server;
let token;
let roomNumber = 0;
const newRoom = () => `room-${++roomNumber}`;

before(async () => {
    server = await Server.start({ sanitized: true, set: { 'server.workers': 2 } });
});
after(async () => {
    endDataPeers();
    const ended = await server?.stop();
    assert.deepEqual(ended, { status: 0, signal: null });
});

/** What the control API says. */
async function api(path) {
    token ??= (await runCommand(['token', '--admin', '--data', server.dataDir])).output.trim();
    const { status, body } = await server.fetch(`/api/v1${path}`, { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(status, 200, body);
    return JSON.parse(body);
}

/** A member with one channel to begin with. */
const join = (Stack, room, name) => Stack.join(server, room, name, { first: {} });

// werift does all its work on the thread of the test
const stacks = { usrsctp: [Native, 2000], werift: [Script, 200] };

for (const [name, [Stack, count]] of Object.entries(stacks)) {
    const pair = async (context) => {
        const room = newRoom();
        const members = [await join(Stack, room, 'ann'), await join(Stack, room, 'ben')];
        context.after(() => Promise.all(members.map((member) => member.leave())));
        return members;
    };

    test(`${name}: ${count} messages of all sizes come whole and in order`, async (context) => {
        const [ann, ben] = await pair(context);
        const size = (i) => 4 + (i * 337) % (i % 100 === 0 ? 60000 : 3000);
        for (let i = 0; i < count; i++) {
            const message = Buffer.alloc(size(i), i & 0xff);
            message.writeUInt32BE(i);
            ann.send('first', message);
        }
        await until('all of them', () => ben.channels.first.received.length === count);
        ben.channels.first.received.forEach((message, i) => {
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
            ids.add(from.id);
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
        ann.send('first', 'still here');
        await until('others go on', () => ben.channels.first.received.includes('still here'));
    });

    test(`${name}: labels that are too long are refused without harm to others`, async (context) => {
        const [ann, ben] = await pair(context);
        const before = await server.total('data_channels_refused_total');
        const refused = ann.open('l'.repeat(129));
        await until('refused', async () => (await server.total('data_channels_refused_total')) === before + 1);
        // it may have been closed before we could listen for that
        await until('closed', () => {
            if (refused.closed) return true;
            try {
                refused.send('is anybody there?');
                return false;
            } catch {
                return true;
            }
        });
        ann.send('first', 'unharmed');
        await until('others go on', () => ben.channels.first.received.includes('unharmed'));
    });
}

test('libjuice answers our checks of its consent', async (context) => {
    const ann = await join(Native, newRoom(), 'ann');
    context.after(() => ann.leave());
    const answered = () => server.total('ice_consent_checks_answered_total');
    const before = await answered();
    await until('an answer', async () => await answered() > before);
});

// what docs/data-channels.md says of each; Firefox and Chromium: tests/browser/data.test.mjs
const spoken = {
    usrsctp: { partial_reliability: true, interleaving: false, stream_reset: true, zero_checksum: true },
    werift: { partial_reliability: true, interleaving: false, stream_reset: true, zero_checksum: false },
};

for (const [name, [Stack]] of Object.entries(stacks)) {
    test(`${name}: extensions are used as far as it speaks them`, async (context) => {
        const room = newRoom();
        const ann = await join(Stack, room, 'ann');
        context.after(() => ann.leave());
        const { sctp } = (await api(`/rooms/${room}/participants/${ann.client.member}/stats`)).data;
        assert.deepEqual(sctp, spoken[name]);
        const before = { all: await server.total('sctp_packets_received_total'), unchecked: await server.total('sctp_packets_without_checksum_total') };
        for (let i = 0; i < 50; i++) ann.send('first', 'x');
        await until('they came', async () => (await server.total('sctp_packets_received_total')) > before.all);
        // no other member is there whose packets could be counted
        const without = () => server.total('sctp_packets_without_checksum_total');
        if (spoken[name].zero_checksum) await until('packets without checksum', async () => (await without()) > before.unchecked);
        else assert.equal(await without(), before.unchecked);
        assert.equal(await server.total('sctp_dropped_total', 'reason="checksum"'), 0);
    });
}
