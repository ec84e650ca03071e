// Browsers that may only use a relay: group calls and one-to-one calls over every transport of TURN.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Authority } from '../support/certificate.mjs';
import { TurnServer, comparing, credentials, freePort, relayPorts, secret } from '../support/turn.mjs';
import { chromium, everyoneMeets, firefox, roomPage } from './helpers/browsers.mjs';
import { callPage, meetByLink, talks } from './helpers/peer_to_peer.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** coturn, when these tests are tested */
let other;
let authority;
/** @type {Awaited<ReturnType<typeof relayPorts>>} */
let relays;
const ports = { plain: 0, tls: 0, https: 0 };
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    if (comparing) {
        other = await TurnServer.start();
        authority = other.authority;
        Object.assign(ports, { plain: other.port, tls: other.tlsPort, https: other.tlsPort });
        roost = await startRoost({ workers: 2 });
    } else {
        authority = new Authority(['localhost', '127.0.0.1', '::1']);
        Object.assign(ports, { plain: await freePort(), tls: await freePort() });
        relays = await relayPorts();
        roost = await startRoost({
            workers: 2, set: {
                'media.udp_port': String(ports.plain), 'turn.port': String(ports.plain), 'turn.tls_port': String(ports.tls),
                'turn.relay_addresses': '127.0.0.1', 'turn.relay_sockets': 'on_demand', ...relays.set, 'turn.secrets': secret, 'http.cert': authority.chain, 'http.key': authority.key,
            },
        });
        ports.https = Number(new URL(roost.https).port);
    }
    [chrome, fox] = await Promise.all([chromium({ home: authority.chromiumHome() }), firefox(880, { profile: authority.firefoxProfile() })]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
    await other?.stop();
    relays?.release();
    authority?.remove();
});

/** By transport: its URL, and what the browser must say of it. Names, since Firefox knows no TLS to bare addresses. */
const transports = {
    'UDP': { url: () => `turn:127.0.0.1:${ports.plain}`, protocol: 'udp', metric: 'udp' },
    'TCP': { url: () => `turn:127.0.0.1:${ports.plain}?transport=tcp`, protocol: 'tcp', metric: 'tcp' },
    'TLS': { url: () => `turns:localhost:${ports.tls}?transport=tcp`, protocol: 'tls', metric: 'tls' },
    'TLS on the HTTPS port': { url: () => `turns:localhost:${ports.https}?transport=tcp`, protocol: 'tls', metric: 'tls' },
};

/** From now on all connections of the page go through this relay. */
const through = (transport) => (/** @type {import('puppeteer-core').Page} */ page) => page.evaluateOnNewDocument((server) => {
    const Original = globalThis.RTCPeerConnection;
    globalThis.RTCPeerConnection = class extends Original {
        constructor(configuration) {
            super({ ...configuration, iceServers: [server], iceTransportPolicy: 'relay' });
        }
    };
}, { urls: transport.url(), ...credentials() });

/** The own end of the pair in use: its type, and the transport to the relay as far as the browser tells it. */
const path = (page) => page.evaluate(async () => {
    const { room, call } = globalThis.test;
    const reports = [...(await (room ?? call).peerConnection.getStats()).values()];
    const chosen = reports.find(({ type }) => type === 'transport')?.selectedCandidatePairId;
    const pair = reports.find((report) => (chosen ? report.id === chosen : report.type === 'candidate-pair' && report.selected))
        ?? reports.find((report) => report.type === 'candidate-pair' && report.nominated && report.state === 'succeeded');
    const local = reports.find(({ id }) => id === pair?.localCandidateId);
    return local && { type: local.candidateType, protocol: local.relayProtocol };
});

const sumOf = (values, label = '') => Object.entries(values).reduce((sum, [labels, value]) => (labels.includes(label) ? sum + value : sum), 0);
const metric = async (name, label) => sumOf(await roost.metric(name), label);

/** What the server has relayed so far, by what a test can tell apart. */
const counts = async (transport) => ({
    created: await metric('turn_allocations_created_total', `transport="${transport.metric}"`),
    media: await metric('turn_inside_packets_total', 'with="media"'),
    relay: await metric('turn_inside_packets_total', 'with="relay"'),
    sockets: await metric('turn_relay_sockets'),
});

async function allRelayed(pages, transport) {
    for (const page of pages)
        assert.deepEqual(await until('a path', () => path(page)), { type: 'relay', protocol: transport.protocol });
}

/** Browsers give their allocations back when a connection is closed. */
async function nothingLeft(transport) {
    if (comparing) return;
    await until('all allocations are gone', async () => {
        const left = await metric('turn_allocations', `transport="${transport.metric}"`);
        return left === 0 || Promise.reject(left);
    });
}

const people = [{ name: 'ann', colour: 'red', hertz: 440 }, { name: 'ben', colour: 'green', hertz: 880 }];

for (const [title, transport] of Object.entries(transports)) {
    describe(`over ${title}`, () => {
        test('Chromium and Firefox see and hear each other in a room, without a relay socket', async () => {
            const before = await counts(transport);
            const pages = await Promise.all(people.map((person, index) =>
                roomPage([chrome, fox][index], roost.url, { room: `relay-${transport.protocol}-${ports.https}`, ...person, prepare: through(transport) })));
            await everyoneMeets(pages, people);
            await allRelayed(pages, transport);
            if (!comparing) {
                const now = await counts(transport);
                assert.ok(now.created >= before.created + 2, 'each page has an allocation of this transport');
                assert.ok(now.media > before.media + 100, 'media goes to the media server inside the process');
                assert.equal(now.sockets, 0, 'no relay has a socket');
            }
            for (const page of pages) assert.deepEqual(page.problems, []);
            await Promise.all(pages.map((page) => page.evaluate(() => globalThis.test.room.leave())));
            await nothingLeft(transport);
            await Promise.all(pages.map((page) => page.close()));
        });

        test('Chromium and Firefox call each other, from relay to relay', async () => {
            const before = await counts(transport);
            const pages = await Promise.all([[chrome, 'first'], [fox, 'second']].map(([browser, name]) =>
                callPage(browser, roost.url, name, { prepare: through(transport) })));
            await meetByLink(pages[0], pages[1]);
            await talks(pages[0], 'the first sees the second');
            await talks(pages[1], 'the second sees the first');
            await allRelayed(pages, transport);
            if (!comparing) {
                const now = await counts(transport);
                assert.ok(now.created >= before.created + 2, 'each page has an allocation of this transport');
                assert.ok(now.relay > before.relay + 50, 'from relay to relay inside the process');
            }
            await Promise.all(pages.map((page) => page.evaluate(() => globalThis.test.call.hangup())));
            await nothingLeft(transport);
            await Promise.all(pages.map((page) => page.close()));
        });
    });
}
