// A broadcast to 300 WHEP viewers: the load generator's, which are our own peers with real sockets.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { test } from 'node:test';

import { root, Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const VIEWERS = 300;
const GENERATOR = process.env.ROOST_TEST_BENCH_SFU ?? join(root, 'build', 'release', 'bench', 'bench_sfu');
const skip = existsSync(GENERATOR) ? false : `${GENERATOR} is not built (ninja -C build/release bench_sfu)`;

test(`${VIEWERS} viewers come, get every packet, and go`, { skip }, async (context) => {
    const server = await Server.start({ set: { 'server.workers': 2, 'rooms.max_members': 1 } });
    context.after(async () => assert.deepEqual(await server.stop(), { status: 0, signal: null }));
    const load = spawn(GENERATOR, ['--server', `127.0.0.1:${server.httpPort}`, '--kind', 'whip', '--pid', String(server.pid), '--publishers', '1',
        '--subscribers', String(VIEWERS), '--audio', '--video', '--burst', '2', '--payload', '300']);
    context.after(() => load.kill());
    let problem = '';
    load.stderr.on('data', (chunk) => { problem += chunk; });
    const ended = new Promise((resolve) => load.on('close', resolve));
    const lines = createInterface(load.stdout)[Symbol.asyncIterator]();
    const next = async () => JSON.parse((await lines.next()).value ?? `"the load generator ended: ${problem}"`);
    const joined = await next();
    assert.equal(joined.clients, VIEWERS + 1, JSON.stringify(joined));
    assert.ok(joined.memory < 64 << 10, `${joined.memory} bytes each`);
    const metrics = await server.metrics();
    assert.equal(metrics.get('room_viewers'), VIEWERS);
    assert.equal(metrics.get('room_members'), 1);
    assert.ok(metrics.get('room_members_settled_total') <= 4 * (VIEWERS + 1), 'nobody\'s coming is a look at all others');
    load.stdin.write('measure 1500\n');
    const measured = await next();
    assert.ok(measured.packets > VIEWERS * 50, JSON.stringify(measured));
    assert.ok(measured.lost <= measured.packets / 100, JSON.stringify(measured));
    load.stdin.end();
    assert.equal(await ended, 0, problem);
    await until('all have left', async () => (await server.metrics()).get('room_viewers') === 0);
    assert.equal((await server.metrics()).get('whip_sessions{kind="whep"}'), 0);
});
