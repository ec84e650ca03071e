/**
 * Every language calls every other one in real Chromium, directly, through the media server, and
 * through relays only; then what may become of a call. Prints one table.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { runCommand } from '../support/server.mjs';
import { credentials, freePort, relayPorts, secret } from '../support/turn.mjs';
import { chromium } from './helpers/browsers.mjs';
import { bothEnd, bothSee, clients, reach } from './helpers/call_clients.mjs';
import { startRoost, until } from './helpers/roost.mjs';

const languages = Object.keys(clients);
const pairs = languages.flatMap((from) => languages.map((to) => [from, to]));

const tokenSecret = 'what signs the tokens of this test alone';

async function mint(user) {
    const { status, output } = await runCommand(['token', '--set', `auth.token_secret=${tokenSecret}`, '--user', user]);
    assert.equal(status, 0, output);
    return output.trim();
}

/** Column -> row -> what was seen. */
const table = new Map();

function note(column, row, mark = 'yes') {
    const rows = table.get(column) ?? new Map();
    table.set(column, rows.set(row, mark));
}

after(() => {
    const columns = [...table.keys()];
    const rows = [...new Set([...table.values()].flatMap((marks) => [...marks.keys()]))];
    const wide = Math.max(...rows.map((row) => row.length), 4);
    console.log(['call'.padEnd(wide), ...columns].join(' | '));
    for (const row of rows)
        console.log([row.padEnd(wide), ...columns.map((column) => (table.get(column).get(row) ?? '').padEnd(column.length))].join(' | '));
});

/**
 * A server, a browser, and two pages of each language: one that calls and one that is called.
 *
 * @param {Record<string, string>} set
 * @param {(page: import('puppeteer-core').Page) => Promise<void>} [prepare]
 */
function world(set, prepare) {
    const here = { roost: null, chrome: null, callers: {}, callees: {} };
    before(async () => {
        here.roost = await startRoost({ workers: 1, set: { 'auth.token_secret': tokenSecret, ...set } });
        here.chrome = await chromium();
        for (const language of languages) {
            here.callers[language] = await here.enter(language, `${language}-caller`);
            here.callees[language] = await here.enter(language, `${language}-callee`);
        }
    });
    after(async () => {
        await here.chrome?.close();
        await here.roost?.stop();
    });
    here.enter = async (language, user) => {
        const page = await clients[language].open(here.chrome, here.roost.url);
        await prepare?.(page);
        return clients[language].register(page, user, { token: await mint(user) });
    };
    return here;
}

const sum = async (roost, name) => Object.values(await roost.metric(name)).reduce((a, b) => a + b, 0);

/** Whether the server's media carried the call. */
const isAnchored = async (roost) => (await sum(roost, 'anchored_calls')) > 0;

/** All pairs, and either side hangs up in turn. */
function everybodyCallsEverybody(column, here, anchored) {
    for (const [index, [from, to]] of pairs.entries()) {
        test(`${from} calls ${to}`, async () => {
            const caller = here.callers[from];
            const callee = here.callees[to];
            await reach(caller, callee);
            await callee.accept();
            await bothSee(caller, callee);
            assert.equal(await isAnchored(here.roost), anchored);
            await (index % 2 ? caller : callee).hangup();
            await bothEnd(caller, callee);
            note(column, `${from} -> ${to}`);
        });
    }
}

describe('direct', () => {
    const here = world({ 'calls.media': 'direct' });
    everybodyCallsEverybody('direct', here, false);
});

describe('through the media server', () => {
    const here = world({ 'calls.media': 'anchored' });
    everybodyCallsEverybody('anchored', here, true);
});

describe('as it is when nothing is set', () => {
    const here = world({});
    for (const [from, to] of [['native', 'native'], ['native', 'peerjs'], ['peerjs', 'native']]) {
        test(`${from} calls ${to}: ${from === to ? 'directly' : 'through the media server'}`, async () => {
            await reach(here.callers[from], here.callees[to]);
            await here.callees[to].accept();
            await bothSee(here.callers[from], here.callees[to]);
            assert.equal(await isAnchored(here.roost), from !== to);
            await here.callers[from].hangup();
            await bothEnd(here.callers[from], here.callees[to]);
            note('auto', `${from} -> ${to}`, from === to ? 'direct' : 'anchored');
        });
    }
});

describe('through relays only', () => {
    let relays;
    let port;
    const set = {};
    before(async () => {
        port = await freePort();
        relays = await relayPorts();
        Object.assign(set, { 'calls.media': 'direct', 'media.udp_port': String(port), 'turn.port': String(port),
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
    for (const [from, to] of pairs.filter(([from, to]) => from === to || from === 'native' || to === 'native')) {
        test(`${from} calls ${to}`, async () => {
            const caller = here.callers[from];
            const callee = here.callees[to];
            await reach(caller, callee);
            await callee.accept();
            await bothSee(caller, callee);
            for (const side of [caller, callee])
                assert.equal(await until('the kind of its own candidate', () => side.candidateType()), 'relay');
            await caller.hangup();
            await bothEnd(caller, callee);
            note('relayed', `${from} -> ${to}`);
        });
    }
});

describe('what becomes of a call', () => {
    const here = world({ 'signal.ring_timeout': '5s', 'peerjs.expire': '5s' });
    // a language that has no word for why says that it ended
    const knows = (side, reason) => until(`${side.user} knows`, async () => (await side.state()) === 'ended')
        .then(async () => assert.ok([null, undefined, reason, 'peer-unavailable'].includes(await side.reason()), await side.reason()));

    test('all devices of a user ring, and who answers silences the others, whatever they speak', async () => {
        const devices = [await here.enter('native', 'everywhere'), await here.enter('mqtt', 'everywhere'), await here.enter('simple-peer', 'everywhere')];
        for (const answers of devices) {
            await reach(here.callers.native, devices[0]);
            for (const device of devices)
                await until(`the ${device.language} device rings`, async () => (await device.state()) === 'incoming');
            await answers.accept();
            await bothSee(here.callers.native, answers);
            for (const device of devices.filter((device) => device !== answers))
                await until(`the ${device.language} device is silent`, async () => (await device.state()) === 'ended');
            await here.callers.native.hangup();
            await bothEnd(here.callers.native, answers);
            note('elsewhere', `native -> ${answers.language}`);
        }
        await Promise.all(devices.map(({ page }) => page.close()));
    });

    for (const from of languages) {
        for (const to of languages.filter((language) => language !== 'peerjs')) {
            // PeerJS's own client has no refusal: see its documentation
            test(`${to} rejects ${from}`, async () => {
                await reach(here.callers[from], here.callees[to]);
                await here.callees[to].reject();
                await knows(here.callers[from], 'rejected');
                note('reject', `${from} -> ${to}`);
            });
        }
        test(`nobody answers ${from}`, async () => {
            await reach(here.callers[from], here.callees.native);
            await knows(here.callers[from], 'timeout');
            await until('it rings no longer', async () => (await here.callees.native.state()) === 'ended');
            note('no answer', `${from} -> native`);
        });
        test(`${from} hears that its callee is busy`, async () => {
            await reach(here.callers.native, here.callees.native);
            await here.callees.native.accept();
            await bothSee(here.callers.native, here.callees.native);
            const third = from === 'native' ? await here.enter('native', 'native-third') : here.callers[from];
            let refused = false;
            await third.call(here.callees.native.user).catch((error) => {
                assert.match(String(error), /busy|in another call/i);
                refused = true;
            });
            if (!refused) await knows(third, 'busy');
            await here.callers.native.hangup();
            await bothEnd(here.callers.native, here.callees.native);
            if (from === 'native') await third.page.close();
            note('busy', `${from} -> native`);
        });
    }
});
