// Many joins and leaves, and memory given back: the load generator's clients (ICE, DTLS, SRTP, over
// real sockets) come and go while others send and receive.
//
// ROOST_SOAK=full: minutes instead of seconds, and some leave without a word, so that their
// sessions wait for them until the resume window is over.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { loadMissing, startLoad } from '../support/load.mjs';
import { Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const full = process.env.ROOST_SOAK === 'full';
const churnMs = full ? 60000 : 2500;
// on a busy machine more is on its way at once, and what it needs grows for longer
const roundsMax = full ? 8 : 40;
const skip = loadMissing();

/** @type {Server} */
let server;

before(async () => {
    server = await Server.start({ set: { 'server.workers': 2, 'signal.resume_window': '1s' } });
});

after(async () => {
    if (server) assert.deepEqual(await server.stop(), { status: 0, signal: null });
});

/** Kibibytes of memory of its own; pages of code and of files are not among them. */
const ownKib = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);

/** Media sessions of all workers. */
const living = () => server.total('media_sessions');

/** So many rounds and clients together tell whether memory grows: single ones are all noise. */
const roundsLooked = 4;
const clientsLooked = 400;
/** KiB of each client that came and went. A leak is some object: a session, a transport, a packet. */
const growthMax = 0.4;

/**
 * KiB of growth per client over the newest rounds, by the line with the least squares; undefined when there are too few to
 * tell. Pools of packets, stores of the estimator and the allocator's own fill in the first rounds: these are to be left
 * behind.
 *
 * @param {number[]} memory KiB after each round
 * @param {number[]} came clients in each round
 */
function growthOf(memory, came) {
    let first = memory.length - 1;
    let clients = 0;
    while (first > 0 && (clients < clientsLooked || memory.length - 1 - first < roundsLooked)) clients += came[first--];
    if (clients < clientsLooked || memory.length - 1 - first < roundsLooked) return undefined;
    const kib = memory.slice(first);
    const at = kib.map((_, i) => came.slice(first + 1, first + 1 + i).reduce((sum, count) => sum + count, 0));
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const [middle, level] = [mean(at), mean(kib)];
    return at.reduce((sum, x, i) => sum + (x - middle) * (kib[i] - level), 0) / at.reduce((sum, x) => sum + (x - middle) ** 2, 0);
}

/** Goes on until memory has come to rest, which it never does with a leak. `round` answers how many came and went in it. */
async function untilFlat(t, round) {
    const memory = [];
    const came = [];
    let growth;
    while (memory.length < roundsMax && !(growth < growthMax)) {
        came.push(await round());
        memory.push(ownKib());
        growth = growthOf(memory, came);
    }
    t.diagnostic(`came and went: ${came.join(', ')}; KiB after each round: ${memory.join(', ')}; grows by ${growth} KiB a client`);
    assert.ok(growth < growthMax, `grows on and on: ${memory.join(', ')}`);
    return came.reduce((sum, count) => sum + count, 0);
}

test('a leak of less than a kibibyte a client is told from rest', () => {
    const came = new Array(30).fill(100);
    const noise = [0, 36, -28, 16, -44, 24, 40, -12];
    for (const leak of [0, 0.9]) {
        const memory = came.map((count, i) => Math.round(20000 + 3000 * (1 - Math.exp(-i)) + noise[i % noise.length] + leak * count * (i + 1)));
        const rests = came.map((_, i) => growthOf(memory.slice(0, i + 1), came.slice(0, i + 1))).findIndex((growth) => growth < growthMax);
        assert.equal(rests >= 0, leak === 0, `${leak} KiB a client: at rest in round ${rests}`);
    }
});

test('clients that come and go leave no memory behind', { timeout: full ? 600000 : 400000, skip }, async (t) => {
    const load = await startLoad(t, server, '--burst', '5', '--video', '--audio', '--publishers', '3', '--subscribers', '20');
    await until('all to be there', async () => (await living()) === 23);
    let before = 0;
    const returned = await untilFlat(t, async () => {
        const now = (await load.ask(`churn ${churnMs} ${full ? 1 : 0}`)).returned;
        await until('those who left to be gone', async () => (await living()) === 23);
        const came = now - before;
        before = now;
        return came;
    });
    assert.ok(returned > 50, `only ${returned} came back`);
    await load.end();
    await until('all sessions to end', async () => (await living()) === 0);
});

test('a room that ends gives its memory back, and the next one needs no more', { timeout: 400000, skip }, async (t) => {
    await untilFlat(t, async () => {
        const load = await startLoad(t, server, '--burst', '5', '--video', '--publishers', '1', '--subscribers', '100');
        assert.ok(await load.ask('measure 300'));
        await load.end();
        await until('all sessions to end', async () => (await living()) === 0);
        return 101;
    });
});
