/**
 * Every language calls every other one in real Chromium: directly, through the media server, as it is when nothing is
 * set, and through relays only. Either end hangs up. Prints one table, in which no cell is blank; what may become of a
 * call otherwise is in call_ends.test.mjs.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { credentials, freePort, relayPorts, secret } from '../support/turn.mjs';
import { chromium } from './helpers/browsers.mjs';
import { bothEnd, bothSee, reach } from './helpers/call_clients.mjs';
import { Table } from './helpers/call_table.mjs';
import { inRounds, isOdd, modes, named, pairs, rounds, world } from './helpers/call_world.mjs';
import { until } from './helpers/roost.mjs';

const columns = ['direct', 'anchored', 'auto', 'relayed'];
const table = new Table();
let chrome;

before(async () => {
    chrome = await chromium();
});
after(() => chrome?.close());

/** The call goes through the server's media, or past it: told by the ends, not by the server. */
async function goes(here, mode, sides, localType) {
    for (const side of sides) {
        const path = await until(`the path of ${side.user}`, () => side.path());
        assert.equal(path.remotePort === here.roost.mediaPort, mode === 'anchored', `${side.user}: ${JSON.stringify(path)}`);
        if (localType) assert.equal(path.localType, localType, side.user);
    }
}

async function talk(here, from, to, mode, { localType, calleeEnds = false } = {}) {
    const sides = [here.callers[from], here.callees[to]];
    await reach(...sides);
    await sides[1].accept();
    await bothSee(...sides);
    await goes(here, mode, sides, localType);
    await sides[calleeEnds ? 1 : 0].hangup();
    await bothEnd(...sides);
}

for (const mode of modes) {
    describe(mode === 'direct' ? 'directly' : 'through the media server', () => {
        const here = world(() => chrome, { 'calls.media': mode });
        inRounds('calls', async (from, to) => {
            // who hung up in one mode is hung up on in the other
            const calleeEnds = isOdd(from, to) === (mode === 'direct');
            await talk(here, from, to, mode, { calleeEnds });
            table.note(mode, named(from, to), `ended by its ${calleeEnds ? 'callee' : 'caller'}`);
        });
    });
}

describe('as it is when nothing is set: directly within a language', () => {
    const here = world(() => chrome, {});
    inRounds('calls', async (from, to) => {
        const mode = from === to ? 'direct' : 'anchored';
        await talk(here, from, to, mode);
        table.note('auto', named(from, to), mode);
    });
});

for (const mode of modes) {
    describe(`through relays only, ${mode}`, () => {
        let relays;
        let port;
        const set = {};
        before(async () => {
            port = await freePort();
            relays = await relayPorts();
            Object.assign(set, { 'calls.media': mode, 'media.udp_port': String(port), 'turn.port': String(port),
                'turn.relay_addresses': '127.0.0.1', 'turn.relay_sockets': 'on_demand', ...relays.set, 'turn.secrets': secret });
        });
        after(() => relays?.release());
        const here = world(() => chrome, set, (page) => page.evaluate((server) => {
            const Original = globalThis.RTCPeerConnection;
            globalThis.RTCPeerConnection = class extends Original {
                constructor(configuration) {
                    super({ ...configuration, iceServers: [server], iceTransportPolicy: 'relay' });
                }
            };
        }, { urls: `turn:127.0.0.1:${port}`, ...credentials() }));
        inRounds('calls', async (from, to) => {
            await talk(here, from, to, mode, { localType: 'relay', calleeEnds: isOdd(from, to) });
            table.note('relayed', named(from, to), mode);
            // through the media server each language is once a caller and once a callee
        }, mode === 'direct' ? rounds : rounds.slice(1, 2));
    });
}

test('the table has no blank cell', () => {
    const rows = pairs.map(([from, to]) => named(from, to));
    table.print(columns, rows);
    assert.deepEqual(table.blank(columns, rows), []);
});
