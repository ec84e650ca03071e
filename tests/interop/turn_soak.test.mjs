// Thousands of allocations held, and memory given back when they end.
//
// ROOST_SOAK=full holds 10,000 idle and 2,000 active ones and waits until the idle ones expire.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { StunClient } from '../support/stun_client.mjs';
import { TurnServer, comparing, credentials, loopbackPeers } from '../support/turn.mjs';
import { patienceMs, until } from '../support/until.mjs';

const full = process.env.ROOST_SOAK === 'full';
const idleCount = full ? 10000 : 1500;
const activeCount = full ? 2000 : 300;
const messagesEach = full ? 30 : 20;

/** @type {TurnServer} */
let server;
let echo;
const open = new Set();

before(async () => {
    server = await TurnServer.start({
        sanitized: false, workers: 2, set: {
            ...loopbackPeers, 'turn.max_allocations': 40000, 'turn.max_allocations_per_user': 0, 'turn.default_lifetime': full ? '1m' : '10m',
            'turn.unauthenticated_rate': 0,
            // many ports, and none of those that the clients' own sockets get
            'turn.min_port': 10000, 'turn.max_port': 32767,
        },
    });
    echo = createSocket({ type: 'udp4', recvBufferSize: 8 << 20, sendBufferSize: 8 << 20 });
    echo.on('message', (bytes, { port, address }) => echo.send(bytes, port, address));
    echo.bind(0, '127.0.0.1');
    await once(echo, 'listening');
});

after(async () => {
    for (const client of open) client.close();
    echo?.close();
    if (server) assert.deepEqual(await server.stop(), { status: 0, signal: null });
});

/** Kibibytes of memory of its own; pages of code and of files are not among them. */
const ownKib = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);

/** Runs `body` for each of many, some at a time. */
async function each(items, body, atOnce = 32) {
    const rest = items[Symbol.iterator]();
    await Promise.all(Array.from({ length: atOnce }, async () => {
        for (const item of rest) await body(item);
    }));
}

const living = () => server.metric('turn_allocations');
const count = (number) => Array.from({ length: number }, (_, i) => i);

async function allocate(number, prefix) {
    const clients = [];
    await each(count(number), async (i) => {
        const client = await StunClient.open({ port: server.port });
        open.add(client);
        await client.allocate(credentials(`${prefix}${i % 500}`));
        clients.push(client);
    });
    return clients;
}

function close(client) {
    open.delete(client);
    client.close();
}

const release = (clients) => each(clients, async (client) => {
    assert.equal((await client.refresh(0))?.kind, 'success');
    close(client);
});

async function bind(clients) {
    const peer = { address: '127.0.0.1', port: echo.address().port };
    await each(clients, async (client) => {
        const answer = await client.channel(0x4000, peer);
        assert.equal(answer?.kind, 'success', `error ${answer?.error} at ${client.relayed.port}: ${server.roost?.output.slice(-2000)}`);
    });
}

test(`${idleCount} idle and ${activeCount} active allocations are held, and nothing of them is left`, { timeout: full ? 300000 : 180000 }, async (t) => {
    // what the first ones make for good (pools) is no leak
    const first = await allocate(100, 'first');
    await bind(first);
    await release(first);
    const start = ownKib();

    const idle = await allocate(idleCount, 'idle');
    const held = ownKib();
    t.diagnostic(`idle: ${((held - start) * 1024 / idleCount).toFixed(0)} bytes of memory each`);
    if (!comparing) {
        assert.ok((held - start) * 1024 / idleCount < 2048, 'less than 2 KiB each');
        assert.equal(await living(), idleCount);
        assert.equal(await server.metric('turn_relay_sockets'), 0, 'an idle allocation has no socket');
    }

    const active = await allocate(activeCount, 'active');
    await bind(active);
    t.diagnostic(`active: ${((ownKib() - held) * 1024 / activeCount).toFixed(0)} bytes of memory each`);
    if (!comparing) {
        assert.equal(await living(), idleCount + activeCount);
        assert.equal(await server.metric('turn_relay_sockets'), activeCount);
    }
    const peak = ownKib();
    // everyone talks; some at a time, so that this process can listen
    for (let round = 0; round < messagesEach; round++)
        await each(active, async (client) => {
            const before = client.received.length;
            client.sendChannel(0x4000, Buffer.alloc(200, round));
            await until('an echo', () => client.received.length > before, patienceMs, 2);
        }, 64);
    for (const client of active) assert.deepEqual(client.received.map(({ data }) => data[0]), count(messagesEach));

    // half say goodbye; in the full run the other half is forgotten by its clients
    await release(active);
    await release(idle.slice(0, idleCount / 2));
    const rest = idle.slice(idleCount / 2);
    if (full) for (const client of rest) close(client);
    else await release(rest);
    if (!comparing) {
        await until('all allocations to end', async () => (await living()) === 0, full ? 90000 : patienceMs);
        assert.equal(await server.metric('turn_relay_sockets'), 0);
        assert.equal(await server.metric('turn_allocations_ended_total', 'reason="expired"'), full ? rest.length : 0);
    }
    const after = ownKib();
    // once more the same: what one round leaves behind, a second does not add to
    await release(await allocate(idleCount, 'again'));
    const again = ownKib();
    t.diagnostic(`memory: ${start} KiB at first, ${peak} with all, ${after} after all, ${again} after as many again`);
    if (!comparing) {
        // the server tidies up after many, not after a few
        assert.ok(after - start < Math.max(2048, (peak - start) / 2), `${after - start} KiB are left of ${peak - start}`);
        assert.ok(again - after < 512, `${again - after} KiB more`);
    }
});
