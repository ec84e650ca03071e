/**
 * Every language calls every other one in real Chromium, directly, through the media server, and
 * through relays only; then what may become of a call. Prints one table, in which no cell is blank.
 *
 * Four calls go on at a time: a round has each language once as caller and once as callee.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { runCommand } from '../support/server.mjs';
import { credentials, freePort, relayPorts, secret } from '../support/turn.mjs';
import { chromium } from './helpers/browsers.mjs';
import { bothEnd, bothSee, clients, reach } from './helpers/call_clients.mjs';
import { Table } from './helpers/call_table.mjs';
import { startRoost, until } from './helpers/roost.mjs';

const languages = Object.keys(clients);
const pairs = languages.flatMap((from) => languages.map((to) => [from, to]));
const rounds = languages.map((_, shift) => languages.map((from, index) => [from, languages[(index + shift) % languages.length]]));
const modes = ['direct', 'anchored'];

/** Of the two modes one for each pair, and in the other mode the other one. */
const isOdd = (from, to) => (languages.indexOf(from) + languages.indexOf(to)) % 2 === 1;

const tokenSecret = 'what signs the tokens of this test alone';

async function mint(user) {
    const { status, output } = await runCommand(['token', '--set', `auth.token_secret=${tokenSecret}`, '--user', user]);
    assert.equal(status, 0, output);
    return output.trim();
}

const columns = ['direct', 'anchored', 'auto', 'relayed', 'rejected', 'no answer', 'busy', 'answered elsewhere'];
const table = new Table();
const named = (from, to) => `${from} -> ${to}`;
let chrome;

before(async () => {
    chrome = await chromium();
});
after(() => chrome?.close());

/** A server, and two pages of each language: one that calls and one that is called. */
function world(set, prepare) {
    const here = { roost: null, pages: [], callers: {}, callees: {} };
    here.enter = async (language, user) => {
        const page = await clients[language].open(chrome, here.roost.url);
        here.pages.push(page);
        await prepare?.(page);
        return clients[language].register(page, user, { token: await mint(user) });
    };
    before(async () => {
        here.roost = await startRoost({ workers: 1, set: { 'auth.token_secret': tokenSecret, ...set } });
        await Promise.all(languages.map(async (language) => {
            here.callers[language] = await here.enter(language, `${language}-caller`);
            here.callees[language] = await here.enter(language, `${language}-callee`);
        }));
    });
    after(async () => {
        await Promise.all(here.pages.map((page) => page.close()));
        await here.roost?.stop();
    });
    return here;
}

/** One after the other, each with its pairs at the same time. */
function inRounds(what, one, chosen = rounds) {
    for (const round of chosen) {
        describe(round.map(([from, to]) => named(from, to)).join(', '), { concurrency: round.length }, () => {
            for (const [from, to] of round) test(`${from} ${what} ${to}`, () => one(from, to));
        });
    }
}

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
        const here = world({ 'calls.media': mode });
        inRounds('calls', async (from, to) => {
            // who hung up in one mode is hung up on in the other
            const calleeEnds = isOdd(from, to) === (mode === 'direct');
            await talk(here, from, to, mode, { calleeEnds });
            table.note(mode, named(from, to), `yes, ended by its ${calleeEnds ? 'callee' : 'caller'}`);
        });
    });
}

describe('as it is when nothing is set: directly within a language', () => {
    const here = world({});
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
        const here = world(set, (page) => page.evaluate((server) => {
            const Original = globalThis.RTCPeerConnection;
            globalThis.RTCPeerConnection = class extends Original {
                constructor(configuration) {
                    super({ ...configuration, iceServers: [server], iceTransportPolicy: 'relay' });
                }
            };
        }, { urls: `turn:127.0.0.1:${port}`, ...credentials() }));
        inRounds('calls', async (from, to) => {
            await talk(here, from, to, mode, { localType: 'relay', calleeEnds: isOdd(from, to) });
            table.note('relayed', named(from, to), mode === 'direct' ? 'direct' : 'direct and anchored');
            // through the media server each language is once a caller and once a callee
        }, mode === 'direct' ? rounds : rounds.slice(1, 2));
    });
}

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

for (const mode of modes) {
    describe(`what becomes of a call, ${mode}`, { concurrency: true }, () => {
        const shortest = { 'calls.media': mode, 'signal.ring_timeout': '5s' };
        const also = (column, from, to) => table.note(column, named(from, to), mode === 'direct' ? 'direct' : 'direct and anchored');

        describe('nobody answers', { concurrency: 1 }, () => {
            const here = world(shortest);
            inRounds('calls, and is not answered by', async (from, to) => {
                await here.callers[from].call(here.callees[to].user);
                await callerKnows(here.callers[from], 'timeout');
                await calleeKnows(here.callees[to], 'timeout');
                also('no answer', from, to);
            });
        });

        describe('somebody answers', { concurrency: 1 }, () => {
            const here = world({ 'calls.media': mode });

            inRounds('calls, and is refused by', async (from, to) => {
                await reach(here.callers[from], here.callees[to]);
                await here.callees[to].reject();
                await callerKnows(here.callers[from], 'rejected');
                also('rejected', from, to);
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
                        also('busy', from, to);
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
                        table.note('busy', named(from, to), mode === 'direct' ? '(rings, direct)' : '(rings, direct and anchored)');
                    }
                    await first.hangup();
                });
            }
        });

        describe('a user with a device of each language', { concurrency: 1 }, () => {
            const here = world({ 'calls.media': mode });
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
