// The media server reached from networks of every kind without a relay, and by clients that change networks.
//
// make test takes some of the networks; make lab (ROOST_LAB=full) all of them, and writes the tables to
// docs/connectivity.md. ROOST_LAB_SHOW=1 prints them.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Authority } from '../support/certificate.mjs';
import { until } from '../support/until.mjs';
import { everyoneMeets, frames, roomPage } from '../browser/helpers/browsers.mjs';
import { Lab, cloud, kinds, server as address, whyNot } from './network.mjs';
import { openBrowser } from './peers.mjs';
import { comparing, startMediaServer } from './server.mjs';

const full = process.env.ROOST_LAB === 'full';
const skip = whyNot() ?? (comparing && 'coturn has no media server');
/** From which network to which server, and what ICE must end with. */
const reached = [
    { kind: 'public', to: address, rare: true }, { kind: 'symmetric', to: address, rare: true }, { kind: 'ipv6', to: address },
    { kind: 'no-udp', to: address, tcp: true, rare: true }, { kind: 'tcp-443', to: address, tcp: true },
    { kind: 'public', to: cloud, rare: true }, { kind: 'symmetric', to: cloud }, { kind: 'tcp-443', to: cloud, tcp: true, rare: true },
].filter(({ rare }) => full || !rare);
const people = [{ name: 'near', colour: 'green', hertz: 440 }, { name: 'far', colour: 'blue', hertz: 880 }];

/** @type {Lab} */
let lab;
let authority;
const servers = [];
let far;
const rows = { reached: [], moved: [] };

before(async () => {
    if (skip) return;
    authority = new Authority([address.name, address.ipv4, address.ipv6, cloud.name, cloud.ipv4]);
    lab = new Lab();
    servers.push(await startMediaServer(lab.server, authority, address.name));
    servers.push(await startMediaServer(lab.cloudServer(), authority, cloud.name, { 'media.external_address': cloud.ipv4 }));
    far = await openBrowser(lab, await lab.network('public'), authority);
});

after(async () => {
    try {
        await far?.browser.close();
        for (const server of servers) await server.stop();
    } finally {
        lab?.close();
        authority?.remove();
    }
    const table = [
        '| client | server | media goes by | everyone seen and heard after |', '|---|---|---|---|',
        ...rows.reached.map((row) => `| ${row.join(' | ')} |`), '',
        '| what happens | nothing arrives at the one who moves for | at the other one for | longest pause before |', '|---|---|---|---|',
        ...rows.moved.map((row) => `| ${row.join(' | ')} |`), ''].join('\n');
    if (process.env.ROOST_LAB_SHOW) console.error(table);
    if (process.env.ROOST_LAB !== 'full' || !process.env.ROOST_LAB_TABLE) return;
    const file = join(dirname(process.env.ROOST_LAB_TABLE), 'connectivity.md');
    const marks = /(<!-- lab:begin -->\n)[^]*?(<!-- lab:end -->)/;
    const text = readFileSync(file, 'utf8');
    assert.match(text, marks);
    writeFileSync(file, text.replace(marks, (_, begin, end) => `${begin}${table}${end}`));
});

/** Two pages in a room; the first one in `seat`. */
async function meet(seat, name, room) {
    const url = `https://${name}`;
    for (const { browser } of [seat, far])
        await browser.defaultBrowserContext().overridePermissions(url, ['camera', 'microphone']); // shows every network
    const pages = await Promise.all([seat, far].map((end, index) => {
        const open = () => roomPage(end.browser, url, { room, ...people[index] });
        // a connection that was kept alive and ended just now; Chromium tries others again by itself
        return open().catch((error) => (/ERR_SOCKET_NOT_CONNECTED/.test(error) ? open() : Promise.reject(error)));
    }));
    await everyoneMeets(pages, people);
    return pages;
}

/** The pair that a page's media goes over. */
const selected = (page) => page.evaluate(async () => {
    const reports = [...(await globalThis.test.room.peerConnection.getStats()).values()];
    const pair = reports.find(({ id }) => id === reports.find(({ type }) => type === 'transport')?.selectedCandidatePairId);
    const [local, remote] = [pair?.localCandidateId, pair?.remoteCandidateId].map((of) => reports.find(({ id }) => id === of));
    return { protocol: local?.protocol, local: local?.address, remote: remote?.address, port: remote?.port, type: remote?.candidateType };
});

describe('without a relay, the media server is reached', { skip }, () => {
    for (const { kind, to, tcp = false } of reached) {
        const behind = to === cloud ? 'behind 1:1 NAT' : 'public';
        test(`from "${kinds[kind].title}", server ${behind}`, { timeout: 180000 }, async () => {
            const seat = await openBrowser(lab, await lab.network(kind), authority);
            try {
                const begun = performance.now();
                const pages = await meet(seat, to.name, `reach-${kind}`);
                const seconds = ((performance.now() - begun) / 1000).toFixed(1);
                const pair = await selected(pages[0]);
                const v6 = pair.remote.includes(':');
                const addresses = v6 ? [to.ipv6, to.otherIpv6] : [to.ipv4, to.otherIpv4];
                assert.equal(pair.protocol, tcp ? 'tcp' : 'udp', JSON.stringify(pair));
                assert.ok(addresses.includes(pair.remote), JSON.stringify(pair));
                if (kind === 'ipv6') assert.ok(v6);
                assert.equal(pair.port, tcp ? 443 : 3478);
                rows.reached.push([kinds[kind].title, behind, `${tcp ? 'ICE-TCP' : 'UDP'}, port ${pair.port}${v6 ? ', IPv6' : ''}`, `${seconds} s`]);
                assert.deepEqual(pages.flatMap((page) => page.problems), []);
                await Promise.all(pages.map((page) => page.close()));
            } finally {
                await seat.browser.close();
            }
        });
    }
});

/** A page's candidate pairs: local port, and what they have answered; a NAT's address is of no interest. */
const pairs = (page) => page.evaluate(async () => {
    const reports = [...(await globalThis.test.room.peerConnection.getStats()).values()];
    return reports.filter(({ type }) => type === 'candidate-pair').map(({ localCandidateId, state, responsesReceived }) => {
        const local = reports.find(({ id }) => id === localCandidateId);
        return { address: local?.address, port: local?.port, state, responsesReceived };
    });
});

/** Waits until both networks of a page have answered; browsers check the paths that they do not use at their leisure. */
async function secondPath(page) {
    let seen = [];
    const both = async () => {
        seen = await pairs(page);
        return new Set(seen.filter(({ responsesReceived }) => responsesReceived > 0).map(({ port }) => port)).size > 1;
    };
    await until('a path of the mobile network has answered', both, 30000).catch((error) => {
        throw new Error(`${error.message}: ${JSON.stringify(seen)}`);
    });
}

const WATCHED_S = 5;
/** Gaps of the move begin within this time after it; what comes later, the browser going back to a dead path, is watched, too. */
const MOVE_S = 0.5;

/**
 * The longest times in which nothing came, in ms: before the move, which is what the machine takes for itself;
 * because of the move; and later, when all should be well again.
 */
function longestGaps(arrivals, at, { gone }) {
    const end = at + WATCHED_S;
    const times = arrivals.filter(({ time, to }) => time < end && !(time > at && to === gone)).map(({ time }) => time).concat(end).sort((one, other) => one - other);
    const gaps = { before: 0, move: 0, later: 0 };
    times.slice(1).forEach((time, index) => {
        const when = time < at ? 'before' : times[index] < at + MOVE_S ? 'move' : 'later';
        gaps[when] = Math.max(gaps[when], Math.round(1000 * (time - times[index])));
    });
    return gaps;
}

/**
 * A move under way, with all that arrives at both ends watched.
 *
 * @param {{move: (network: object) => void, mobile?: boolean, readdressed?: boolean}} options mobile: there is a
 *     second network; readdressed: what still arrives at the old address does not count
 */
async function moveOnce({ move, mobile = false, readdressed = false }) {
    const network = await lab.network('port-restricted');
    if (mobile) await lab.addMobile(network);
    const seat = await openBrowser(lab, network, authority);
    try {
        const pages = await meet(seat, address.name, `move-${network.number}`);
        if (mobile) await secondPath(pages[0]);
        const before = await selected(pages[0]);
        const watches = await Promise.all([network, far.network].map(({ client }) => lab.watch(client)));
        // long enough for us to know how long the pauses between packets are, and for the server
        const seenBefore = (await frames(pages[0]))['far/camera'];
        await until('media is flowing', async () => (await frames(pages[0]))['far/camera'] > seenBefore + 100);
        const at = Date.now() / 1000;
        move(network);
        const seen = await Promise.all(pages.map(frames));
        const later = (index, who) => until(`${pages[index].label} goes on seeing ${who}`, async () => (await frames(pages[index]))[`${who}/camera`] > (seen[index][`${who}/camera`] ?? 0) + 60);
        await Promise.all([later(0, 'far'), later(1, 'near')]);
        await until('the time is over', async () => Date.now() / 1000 > at + WATCHED_S + 0.5);
        const gone = readdressed && network.address;
        const [here, there] = (await Promise.all(watches.map((watch) => watch.stop()))).map((arrivals) => longestGaps(arrivals, at, { gone }));
        const now = await selected(pages[0]);
        await Promise.all(pages.map((page) => page.close()));
        return { here, there, path: `${before.local} to ${now.local}` };
    } finally {
        await seat.browser.close();
    }
}

describe('a client that moves goes on', { skip }, () => {
    const moves = [
        { title: 'its NAT gets another public address: the client does not notice', limitMs: 200, move: (network) => lab.renumber(network) },
        // without the server's word Chromium takes 3.5 s; how much less it is depends on how evenly packets came before
        { title: 'Wi-Fi ends, a mobile network was there', limitMs: 1000, mobile: true, move: (network) => lab.leaveWiFi(network) },
        { title: 'its only device gets another address', limitMs: 4500, readdressed: true, rare: true, move: (network) => lab.readdress(network) },
    ].filter(({ rare }) => full || !rare);
    for (const { title, limitMs, ...options } of moves)
        test(title, { timeout: 600000 }, async (t) => {
            // a machine that is busy with other tests stalls now and then: the best of five
            let result = await moveOnce(options);
            const well = ({ here, there }) => Math.max(here.move, there.move) < limitMs && Math.max(here.later, there.later) < Math.max(limitMs, 1000);
            for (let more = 4; more > 0 && !well(result); more--) result = await moveOnce(options);
            const { here, there, path } = result;
            t.diagnostic(`${here.move} ms, ${there.move} ms, ${path}; before ${here.before}, ${there.before}, later ${here.later}, ${there.later}`);
            const told = (ms) => (ms < 1000 * WATCHED_S - 100 ? `${ms} ms` : `over ${WATCHED_S} s`);
            rows.moved.push([title, told(here.move), told(there.move), told(Math.max(here.before, there.before))]);
            assert.ok(well(result), JSON.stringify(result));
        });
});
