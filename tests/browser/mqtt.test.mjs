// Pages of the server itself that speak MQTT to it: mqtt.js as browsers get it, in Chromium and Firefox.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { patienceMs } from '../support/until.mjs';
import { chromium, firefox } from './helpers/browsers.mjs';
import { startRoost } from './helpers/roost.mjs';

const bundle = readFileSync(new URL('../node_modules/mqtt/dist/mqtt.min.js', import.meta.url), 'utf8');
/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser[]} */
let browsers = [];

before(async () => {
    roost = await startRoost();
    browsers = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    for (const browser of browsers) await browser.close();
    await roost?.stop();
});

const versions = [4, 5];

/** A page with a client of each version that has subscribed to `pages/#`. */
async function openPage(browser) {
    const page = await browser.newPage();
    await page.goto(roost.url, { waitUntil: 'domcontentloaded' });
    // not as a script element: the policy of the application's page wants its scripts from the server
    await page.evaluate(bundle);
    await page.evaluate(async (all) => {
        const { mqtt } = globalThis;
        globalThis.clients = await Promise.all(all.map(async (protocolVersion) => {
            const client = mqtt.connect(`${location.origin.replace('http', 'ws')}/mqtt`, { protocolVersion });
            client.got = [];
            client.on('message', (topic, payload, { qos }) => client.got.push(`${topic} ${payload} ${qos}`));
            await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject));
            await client.subscribeAsync('pages/#', { qos: 2 });
            return client;
        }));
    }, versions);
    return page;
}

test('pages publish to each other', async () => {
    const pages = await Promise.all(browsers.map(openPage));
    const expected = pages.flatMap((_, from) => versions.flatMap((_version, index) => [0, 1, 2].map((qos) => `pages/${from}/${index} hello ${qos}`))).sort();
    await Promise.all(pages.map((page, from) => page.evaluate((topic) => Promise.all(globalThis.clients.map(async (client, index) => {
        for (const qos of [0, 1, 2]) await client.publishAsync(`${topic}/${index}`, 'hello', { qos });
    })), `pages/${from}`)));
    for (const page of pages) {
        await page.waitForFunction((count) => globalThis.clients.every(({ got }) => got.length >= count), { timeout: patienceMs, polling: 100 }, expected.length);
        for (const got of await page.evaluate(() => globalThis.clients.map((client) => client.got))) assert.deepEqual(got.sort(), expected);
    }
});

test('a page of another site may not', async () => {
    const [browser] = browsers;
    const page = await browser.newPage();
    // "localhost" is another origin than 127.0.0.1
    await page.goto(roost.url.replace('127.0.0.1', 'localhost'), { waitUntil: 'domcontentloaded' });
    const outcome = await page.evaluate((url) => new Promise((resolve) => {
        const socket = new WebSocket(url, 'mqtt');
        socket.onopen = () => resolve('open');
        socket.onerror = () => resolve('refused');
    }), `${roost.url.replace('http', 'ws')}/mqtt`);
    assert.equal(outcome, 'refused');
});
