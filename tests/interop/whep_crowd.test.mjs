// A broadcast to 300 WHEP viewers: the load generator's, which are our own peers with real sockets.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { loadMissing, startLoad } from '../support/load.mjs';
import { Server } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const VIEWERS = 300;

test(`${VIEWERS} viewers come, get every packet, and go`, { skip: loadMissing() }, async (context) => {
    const server = await Server.start({ set: { 'server.workers': 2, 'rooms.max_members': 1 } });
    context.after(async () => assert.deepEqual(await server.stop(), { status: 0, signal: null }));
    const load = await startLoad(context, server, '--kind', 'whip', '--publishers', '1', '--subscribers', String(VIEWERS), '--audio', '--video',
        '--burst', '2', '--payload', '300');
    const { joined } = load;
    assert.equal(joined.clients, VIEWERS + 1, JSON.stringify(joined));
    assert.ok(joined.memory < 64 << 10, `${joined.memory} bytes each`);
    const metrics = await server.metrics();
    assert.equal(metrics.get('room_viewers'), VIEWERS);
    assert.equal(metrics.get('room_members'), 1);
    assert.ok(metrics.get('room_members_settled_total') <= 4 * (VIEWERS + 1), 'nobody\'s coming is a look at all others');
    // again when the machine had no time for them
    await until('every packet comes', async () => {
        const { packets, lost } = await load.ask('measure 1500');
        context.diagnostic(`${packets} packets, ${lost} lost`);
        return packets > VIEWERS * 50 && lost <= packets / 100;
    });
    await load.end();
    await until('all have left', async () => (await server.metrics()).get('room_viewers') === 0);
    assert.equal((await server.metrics()).get('whip_sessions{kind="whep"}'), 0);
});
