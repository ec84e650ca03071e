/**
 * What may become of a call, for every language at either end: refused, not answered, busy, answered on another device of
 * the user; directly and through the media server. Each end knows why, in the words of its language. Prints one table, in
 * which no cell is blank.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { bothEnd, bothSee, reach } from './helpers/call_clients.mjs';
import { Table } from './helpers/call_table.mjs';
import { inRounds, isOdd, languages, modes, named, pairs, rounds, world } from './helpers/call_world.mjs';
import { until } from './helpers/roost.mjs';

const columns = ['rejected', 'no answer', 'busy', 'answered elsewhere'];
const table = new Table();
let chrome;

before(async () => {
    chrome = await chromium();
});
after(() => chrome?.close());

/** What the unmodified client of PeerJS knows of every call that came to nothing. */
const wordOf = (side, reason) => (side.language === 'peerjs' ? 'peer-unavailable' : reason);

async function callerKnows(side, reason) {
    await until(`${side.user} knows that it has ended`, async () => (await side.state()) === 'ended');
    assert.equal(await side.reason(), wordOf(side, reason), side.user);
}

/** It rings no longer, and the page knows why; a page with PeerJS hears nothing. */
async function calleeKnows(side, reason) {
    await until(`${side.user} rings no longer`, () => side.isSilent());
    assert.equal(await side.reason(), side.language === 'peerjs' ? null : reason, side.user);
}

// the calls of this one wait, mostly
describe('nobody answers', { concurrency: true }, () => {
    for (const mode of modes) {
        describe(mode, { concurrency: 1 }, () => {
            const here = world(() => chrome, { 'calls.media': mode, 'signal.ring_timeout': '5s' });
            inRounds('calls, and is not answered by', async (from, to) => {
                await here.callers[from].call(here.callees[to].user);
                await callerKnows(here.callers[from], 'timeout');
                await calleeKnows(here.callees[to], 'timeout');
                table.note('no answer', named(from, to), mode);
            });
        });
    }
});

for (const mode of modes) {
    describe(`somebody is there, ${mode}`, () => {
        const here = world(() => chrome, { 'calls.media': mode });

        inRounds('calls, and is refused by', async (from, to) => {
            await reach(here.callers[from], here.callees[to]);
            await here.callees[to].reject();
            await callerKnows(here.callers[from], 'rejected');
            table.note('rejected', named(from, to), mode);
        }, rounds.map((round) => round.filter(([, to]) => to !== 'peerjs')));
        // PeerJS's own client has no refusal: see its documentation
        for (const from of languages) table.note('rejected', named(from, 'peerjs'), '(no word)');

        let first;
        before(async () => {
            first = await here.enter('native', 'first');
        });
        for (const to of ['native', 'mqtt']) {
            test(`${to} is in a call, and others hear so`, async () => {
                const callee = here.callees[to];
                await reach(first, callee);
                await callee.accept();
                await bothSee(first, callee);
                await Promise.all(languages.map(async (from) => {
                    await here.callers[from].call(callee.user);
                    const refusal = { native: 'user-busy', mqtt: 'user_busy' };
                    await callerKnows(here.callers[from], refusal[from] ?? 'busy');
                    table.note('busy', named(from, to), mode);
                }));
                assert.equal(await callee.state(), 'connected');
                await first.hangup();
                await bothEnd(first, callee);
            });
        }
        // theirs are in several calls at once
        for (const to of ['peerjs', 'simple-peer']) {
            test(`${to} is in a call, and others ring there all the same`, async () => {
                const callee = here.callees[to];
                await reach(first, callee);
                await callee.accept();
                await bothSee(first, callee);
                for (const from of languages) {
                    const caller = here.callers[from];
                    await reach(caller, callee);
                    await callee.accept();
                    await bothSee(caller, callee, first);
                    await caller.hangup();
                    await bothEnd(caller, callee);
                    assert.equal(await first.state(), 'connected');
                    table.note('busy', named(from, to), `rings (${mode})`);
                }
                await first.hangup();
            });
        }

        describe('a user with a device of each language', () => {
            let devices;
            before(async () => {
                devices = await Promise.all(languages.map((language) => here.enter(language, 'everywhere')));
            });
            // half of them in each mode
            for (const [from, to] of pairs.filter(([from, to]) => isOdd(from, to) === (mode === 'anchored'))) {
                test(`${from} calls, ${to} answers, and the others know`, async () => {
                    const caller = here.callers[from];
                    const answers = devices.find(({ language }) => language === to);
                    await reach(caller, answers);
                    for (const device of devices)
                        await until(`the ${device.language} device rings`, async () => (await device.state()) === 'incoming' && !(await device.isSilent()));
                    await answers.accept();
                    await bothSee(caller, answers);
                    for (const device of devices.filter((device) => device !== answers)) await calleeKnows(device, 'elsewhere');
                    await caller.hangup();
                    await bothEnd(caller, answers);
                    table.note('answered elsewhere', named(from, to), mode);
                });
            }
        });
    });
}

test('the table has no blank cell', () => {
    const rows = pairs.map(([from, to]) => named(from, to));
    table.print(columns, rows);
    assert.deepEqual(table.blank(columns, rows), []);
});
