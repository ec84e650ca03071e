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

/**
 * Goes on until two rounds together have grown by nothing to speak of: pools of packets, stores of the estimator and
 * the allocator's own fill in the first ones. `round` answers how many came and went in it. A leak never comes to rest.
 */
async function untilFlat(t, round) {
    const memory = [];
    const came = [];
    for (let i = 0; i < roundsMax; i++) {
        came.push(await round());
        memory.push(ownKib());
        const grown = memory.at(-1) - memory.at(-3);
        if (grown < 128 + (came.at(-1) + came.at(-2)) / 4) break;
    }
    t.diagnostic(`came and went: ${came.join(', ')}; KiB after each round: ${memory.join(', ')}`);
    assert.ok(memory.length < roundsMax, `grows on and on: ${memory.join(', ')}`);
    return came.reduce((sum, count) => sum + count, 0);
}

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
