// WHIP and WHEP from networks that let nothing through but TURN: the servers come with the answer, in Link fields.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { freePort, relayPorts, secret } from '../support/turn.mjs';
import { chromium, firefox } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';
import { sees, whipPages } from './helpers/whip_pages.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {Awaited<ReturnType<typeof relayPorts>>} */
let relays;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;

before(async () => {
    relays = await relayPorts();
    const port = String(await freePort());
    roost = await startRoost({ set: { 'media.udp_port': port, 'turn.port': port, 'turn.relay_addresses': '127.0.0.1', ...relays.set, 'turn.secrets': secret } });
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
    relays?.release();
});

/** The type of the own end of the pair in use. */
const pathOf = (page) => page.evaluate(async () => {
    const reports = [...(await globalThis.session.peerConnection.getStats()).values()];
    const pair = reports.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded');
    return reports.find(({ id }) => id === pair?.localCandidateId)?.candidateType;
});

const relayed = { configuration: { iceTransportPolicy: 'relay' } };

/** Notes what a page sends by PATCH, and what it is answered. */
async function noting(page) {
    await page.evaluate(() => {
        const original = globalThis.fetch;
        globalThis.patches = [];
        globalThis.fetch = async (url, options) => {
            const answer = await original(url, options);
            if (options?.method === 'PATCH') globalThis.patches.push({ status: answer.status, body: options.body, match: options.headers['If-Match'] });
            return answer;
        };
    });
}

for (const [name, by, to] of [['Chromium publishes, Firefox watches', () => chrome, () => fox], ['Firefox publishes, Chromium watches', () => fox, () => chrome]]) {
    test(`by relays alone: ${name}`, async () => {
        const room = name.split(' ')[0].toLowerCase();
        const { publisher, viewer } = whipPages(chrome, roost.url);
        const ann = await publisher(`/whip/${room}/ann`, 'green', { by: by(), ...relayed, prepare: noting });
        const watching = await viewer(`/whep/${room}?wait=true`, { by: to(), options: relayed, prepare: noting });
        await sees(watching, 'green', 'the picture arrives');
        await until('sound arrives', async () => (await watching.evaluate(() => globalThis.count('audio'))) > 20);
        for (const page of [ann, watching]) {
            assert.equal(await until('a path', () => pathOf(page)), 'relay');
            // candidates follow the offer by PATCH, to the very end
            const patches = await until('the end of candidates', async () => {
                const sent = await page.evaluate(() => globalThis.patches);
                return sent.some(({ body }) => /^a=end-of-candidates\r$/m.test(body)) ? sent : Promise.reject(JSON.stringify(sent));
            });
            assert.ok(patches.every(({ status, match }) => status === 204 && match !== '*'), JSON.stringify(patches));
            const sent = patches.map(({ body }) => body).join('');
            assert.ok(patches.every(({ body }) => /^a=ice-ufrag:/m.test(body) && /^a=mid:/m.test(body)), sent);
            assert.match(sent, /^a=candidate:.* typ relay /m);
            assert.doesNotMatch(sent, /^a=candidate:.* typ host/m);
        }
        // a restart gathers from the same relays
        const before = await watching.evaluate(async () => {
            await globalThis.session.restart();
            return globalThis.count('video');
        });
        await until('pictures go on after a restart', async () => (await watching.evaluate(() => globalThis.count('video'))) > before + 20);
        await until('the new candidates are sent', async () => (await watching.evaluate(() => globalThis.patches))
            .filter(({ status, body }) => status === 204 && /^a=candidate:.* typ relay /m.test(body)).length > 1);
        assert.equal(await pathOf(watching), 'relay');
        for (const page of [ann, watching]) {
            await page.evaluate(() => globalThis.session.stop());
            await page.close();
        }
    });
}
