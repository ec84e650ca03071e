// Calls between networks of every kind, each through the server's relay where it must be.
//
// make test takes a few pairs; make lab (ROOST_LAB=full) all of them, and ROOST_LAB_TABLE=FILE puts the
// result between the marks `<!-- networks:begin -->` and `<!-- networks:end -->` of a file.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { Authority } from '../support/certificate.mjs';
import { colours, everyoneMeets, roomPage } from '../browser/helpers/browsers.mjs';
import { Lab, behaviour, canBeDirect, hasProgram, kinds, server as address, whyNot } from './network.mjs';
import { call, describe as describePath, openBrowser } from './peers.mjs';
import { comparing, iceServers, startDiscovery, startServer } from './server.mjs';
import { tableOf } from './table.mjs';

const full = process.env.ROOST_LAB === 'full';
const skip = whyNot() ?? false;
const names = Object.keys(kinds);
const pairs = full
    ? names.flatMap((one, index) => names.slice(index).map((other) => [one, other]))
    : [['public', 'full-cone'], ['port-restricted', 'address-restricted'], ['symmetric', 'symmetric'], ['symmetric', 'tcp-443'],
        ['tcp-443', 'no-udp'], ['ipv6', 'port-restricted'], ['ipv6', 'tcp-443'], ['lossy', 'symmetric'], ['slow', 'no-udp']];
const groups = full ? names : ['symmetric', 'tcp-443', 'ipv6', 'lossy'];

/** @type {Lab} */
let lab;
let authority;
let server;
const seats = new Map();
const results = { calls: new Map(), groups: new Map() };

/** The page in a network; `twin`: in a second network of that kind. */
function seat(kind, twin = false) {
    const key = `${kind}${twin ? ' twin' : ''}`;
    if (!seats.has(key)) seats.set(key, lab.network(kind).then((network) => openBrowser(lab, network, authority)));
    return seats.get(key);
}

before(async () => {
    if (skip) return;
    authority = new Authority([address.name, address.ipv4, address.ipv6]);
    lab = new Lab();
    server = await startServer(lab, authority);
});

after(async () => {
    try {
        for (const open of seats.values()) await (await open.catch(() => null))?.browser.close();
        await server?.stop();
    } finally {
        lab?.close();
        authority?.remove();
    }
    if (full && process.env.ROOST_LAB_TABLE) {
        const file = process.env.ROOST_LAB_TABLE;
        const marks = /(<!-- networks:begin -->\n)[^]*?(<!-- networks:end -->)/;
        const text = readFileSync(file, 'utf8');
        assert.match(text, marks);
        writeFileSync(file, text.replace(marks, (_, begin, end) => `${begin}${tableOf(results, kinds)}${end}`));
    } else if (process.env.ROOST_LAB_SHOW) {
        console.error(tableOf(results, kinds));
    }
});

const noDiscovery = !hasProgram('turnutils_natdiscovery') && "this needs coturn's client programs";

describe('every gateway is what it is called', { skip: skip || noDiscovery, concurrency: 4 }, () => {
    let discovery;
    before(async () => { discovery = await startDiscovery(lab, authority); });
    after(() => discovery?.stop());
    for (const [kind, { mapping, filtering }] of Object.entries(behaviour))
        test(kind, async () => {
            const { client } = await lab.network(kind);
            const { output } = await lab.run(client, 'turnutils_natdiscovery', ['-m', '-f', '-p', String(discovery.port), address.ipv4]);
            const found = [...output.matchAll(/NAT with (.*) (Mapping|Filtering)!/g)].map(([, what, of]) => `${of}: ${what.toLowerCase()}`);
            assert.deepEqual(found, [`Mapping: ${mapping}`, `Filtering: ${filtering}`], output);
        });
});

describe('a call connects between', { skip, concurrency: 2 }, () => {
    for (const [one, other] of pairs)
        test(`${one} and ${other}`, { timeout: 180000 }, async (t) => {
            const direct = canBeDirect(one, other);
            const ends = [await seat(one), await seat(other, one === other)];
            const result = await call(ends[0], ends[1], iceServers(), { direct });
            const path = result.looks.map(describePath);
            results.calls.set(`${one} ${other}`, { ...result, path });
            t.diagnostic(`${path.join(' - ')}, ${result.ms} ms`);
            if (process.env.ROOST_LAB_SHOW) t.diagnostic(JSON.stringify(result.looks));
            assert.ok(result.connected, JSON.stringify(result.looks, null, 1));
            if (!direct) assert.ok(result.relayed, `no relay between ${path}: the laboratory leaks`);
            else if (one !== 'lossy' && other !== 'lossy') assert.ok(!result.relayed, `${path} where a direct path exists`);
        });
});

describe('a group call reaches', { skip: skip || (comparing && 'coturn has no media server') }, () => {
    for (const kind of groups)
        test(kind, { timeout: 240000 }, async (t) => {
            const url = `https://${address.name}`;
            const [here, there] = await Promise.all([seat(kind), seat('public', kind === 'public')]);
            const people = [{ name: 'near', colour: 'green', hertz: 440 }, { name: 'far', colour: 'blue', hertz: 880 }];
            assert.ok(people.every(({ colour }) => colour in colours));
            const begun = performance.now();
            const pages = await Promise.all([here, there].map((end, index) => roomPage(end.browser, url, { room: `lab-${kind}`, ...people[index] })));
            try {
                await everyoneMeets(pages, people);
                const ms = Math.round(performance.now() - begun);
                const path = await pages[0].evaluate(async () => {
                    const reports = [...(await globalThis.test.room.peerConnection.getStats()).values()];
                    const pair = reports.find(({ id }) => id === reports.find(({ type }) => type === 'transport')?.selectedCandidatePairId);
                    const local = reports.find(({ id }) => id === pair?.localCandidateId);
                    return local && { local: { type: local.candidateType, relay: local.relayProtocol }, remote: {} };
                });
                results.groups.set(kind, { connected: true, ms, path: describePath(path) });
                t.diagnostic(`${describePath(path)}, ${ms} ms`);
                assert.deepEqual(pages.flatMap((page) => page.problems), []);
            } finally {
                await Promise.all(pages.map((page) => page.close()));
            }
        });
});
