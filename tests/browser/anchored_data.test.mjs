// Data channels of calls whose media goes through the server: they reach the other side, whatever both speak.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, firefox } from './helpers/browsers.mjs';
import { bothEnd, bothSee, clients, reach } from './helpers/call_clients.mjs';
import { callPage, meetByLink, talks } from './helpers/peer_to_peer.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
/** @type {import('puppeteer-core').Browser} */
let fox;
let count = 0;

before(async () => {
    roost = await startRoost({ workers: 2, set: { 'calls.media': 'anchored' } });
    [chrome, fox] = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    await Promise.allSettled([chrome?.close(), fox?.close()]);
    await roost?.stop();
});

const patience = 30000;

/** @param {string} language */
async function enter(language, options) {
    const page = await clients[language].open(chrome, roost.url);
    return clients[language].register(page, `${language}-${++count}`, options);
}

async function connect(from, to) {
    const [caller, callee] = [await enter(from), await enter(to)];
    await reach(caller, callee);
    await callee.accept();
    await bothSee(caller, callee);
    return [caller, callee];
}

async function part(...sides) {
    await sides[0].hangup();
    await bothEnd(...sides);
    await Promise.all(sides.map(({ page }) => page.close()));
}

/** What a page of either language says and hears as text. */
const text = {
    native: {
        listen: (page) => page.evaluate(() => {
            globalThis.test.heard = [];
            globalThis.test.current.on('chat', ({ text, own }) => own || globalThis.test.heard.push(text));
        }),
        say: (page, what) => page.evaluate((words) => globalThis.test.current.chat(words), what),
    },
    'simple-peer': {
        listen: (page) => page.evaluate(() => {
            globalThis.test.heard = [];
            globalThis.test.peer.on('data', (data) => globalThis.test.heard.push(new TextDecoder().decode(data)));
        }),
        say: (page, what) => page.evaluate((words) => globalThis.test.peer.send(words), what),
    },
};

for (const [from, to] of [['simple-peer', 'simple-peer'], ['native', 'native'], ['simple-peer', 'native'], ['native', 'simple-peer']]) {
    test(`${from} and ${to} write to each other`, async () => {
        const sides = await connect(from, to);
        for (const side of sides) await text[side.language].listen(side.page);
        for (const [side, other] of [sides, [...sides].reverse()]) {
            await text[side.language].say(side.page, `hello from ${side.user}`);
            await until(`${other.user} hears ${side.user}`,
                () => other.page.evaluate((words) => globalThis.test.heard.includes(words), `hello from ${side.user}`), patience);
        }
        await part(...sides);
    });
}

test('Firefox and Chromium write to each other', async () => {
    const pages = [await callPage(fox, roost.url, 'first'), await callPage(chrome, roost.url, 'second')];
    await meetByLink(...pages);
    await Promise.all(pages.map((page) => talks(page, 'they talk')));
    for (const page of pages)
        await page.evaluate(() => {
            globalThis.test.heard = [];
            globalThis.test.call.on('chat', ({ text: words, own }) => own || globalThis.test.heard.push(words));
        });
    for (const [page, other] of [pages, [...pages].reverse()]) {
        await page.evaluate(() => globalThis.test.call.chat('hello'));
        await until('it is heard', () => other.evaluate(() => globalThis.test.heard.includes('hello')), patience);
    }
    await Promise.all(pages.map((page) => page.close()));
});

test('channels of every kind are opened and closed by either side, and carry what is sent', async () => {
    const [first, second] = await connect('native', 'native');
    for (const [page, other] of [[first.page, second.page], [second.page, first.page]]) {
        await other.evaluate(() => {
            globalThis.test.came = [];
            globalThis.test.connection.addEventListener('datachannel', ({ channel }) => {
                const one = { label: channel.label, protocol: channel.protocol, ordered: channel.ordered, retransmits: channel.maxRetransmits, lifetime: channel.maxPacketLifeTime, got: [], closed: false };
                globalThis.test.came.push(one);
                channel.binaryType = 'arraybuffer';
                channel.onmessage = ({ data }) => {
                    one.got.push(typeof data === 'string' ? data : data.byteLength);
                    channel.send('heard');
                };
                channel.onclose = () => (one.closed = true);
            });
        });
        await page.evaluate(async () => {
            const { connection } = globalThis.test;
            globalThis.test.open = [
                connection.createDataChannel('text', { protocol: 'words' }),
                connection.createDataChannel('text', { ordered: false, maxRetransmits: 2 }), // the same label
                connection.createDataChannel('', { ordered: false, maxPacketLifeTime: 5000 }),
            ];
            globalThis.test.answers = 0;
            for (const channel of globalThis.test.open) {
                channel.onmessage = () => (globalThis.test.answers += 1);
                channel.onopen = () => {
                    channel.send('a word');
                    channel.send(new Uint8Array(150000));
                };
            }
        });
        const came = () => other.evaluate(() => globalThis.test.came);
        await until('all came', async () => (await came()).filter(({ got }) => got.length === 2).length === 3, patience);
        const bare = (await came()).map(({ got, closed, ...rest }) => rest);
        for (const wanted of [
            { label: 'text', protocol: 'words', ordered: true, retransmits: null, lifetime: null },
            { label: 'text', protocol: '', ordered: false, retransmits: 2, lifetime: null },
            { label: '', protocol: '', ordered: false, retransmits: null, lifetime: 5000 },
        ]) assert.ok(bare.some((one) => JSON.stringify(one) === JSON.stringify(wanted)), JSON.stringify(bare));
        for (const { got } of await came()) assert.deepEqual(new Set(got), new Set(['a word', 150000]));
        await until('all are answered', () => page.evaluate(() => globalThis.test.answers === 6), patience);
        await page.evaluate(() => globalThis.test.open.forEach((channel) => channel.close()));
        await until('all are closed', async () => (await came()).every(({ closed }) => closed), patience);
    }
    await part(first, second);
});
