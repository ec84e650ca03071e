// Data messages of rooms between real browsers, through a server with several workers.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { inRoom, joinByKeyboard } from './helpers/app_pages.mjs';
import { chromium, firefox, roomPage } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser[]} */
let browsers = [];

before(async () => {
    roost = await startRoost({ workers: 3 });
    browsers = await Promise.all([chromium(), firefox()]);
});

after(async () => {
    for (const browser of browsers) await browser.close();
    await roost?.stop();
});

let rooms = 0;
/** Pages in one new room, by turns in Chromium and Firefox, that keep the messages they get. */
async function meet(names, { which = (index) => browsers[index % browsers.length], keys = [] } = {}) {
    const room = `data-${++rooms}`;
    return Promise.all(names.map(async (name, index) => {
        const page = await roomPage(which(index), roost.url, { room, name, publish: false, key: keys[index] });
        const member = await page.evaluate(async () => {
            const { test } = globalThis;
            test.got = [];
            test.plain = [];
            test.room.data.on('message', ({ from, data, topic, directed }) => test.got.push({ from, data, topic, directed }));
            await test.room.data.ready;
            return test.room.self.id;
        });
        return Object.assign(page, { member });
    }));
}

async function part(pages) {
    for (const page of pages) {
        assert.deepEqual(page.problems, [], page.label);
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), [], page.label);
        await page.close();
    }
}

const got = (page) => page.evaluate(() => globalThis.test.got);
const heard = (page, what, ready) => until(`${page.label} has ${what}`, async () => {
    const messages = await got(page);
    return ready(messages) ? messages : Promise.reject(JSON.stringify(messages).slice(0, 500));
});

test('SCTP speaks what the table of docs/data-channels.md says of each browser', async () => {
    const pages = await meet(['chromium', 'firefox']);
    const [chromiumPage, firefoxPage] = pages;
    await chromiumPage.evaluate(() => globalThis.test.room.data.send('from chromium'));
    await firefoxPage.evaluate(() => globalThis.test.room.data.send('x'.repeat(30000)));
    // what comes in another kind of chunk than was agreed on is dropped: messages that arrive are interleaved ones
    await heard(chromiumPage, 'it', (messages) => messages.length === 1);
    await heard(firefoxPage, 'it', (messages) => messages.length === 1);
    const all = { partial_reliability: true, interleaving: false, stream_reset: true, zero_checksum: false };
    for (const [page, spoken] of [[chromiumPage, all], [firefoxPage, { ...all, interleaving: true }]]) {
        const { data } = await roost.api('GET', `/rooms/data-${rooms}/participants/${page.member}/stats`);
        assert.deepEqual(data.sctp, spoken, page.label);
        assert.equal(data.messages_from_participant, 1);
        assert.equal(data.messages_to_participant, 1);
    }
    await part(pages);
});

test('messages reach everybody, or those whom they are for, with their sender and topic', async () => {
    const pages = await meet(['ann', 'ben', 'cleo', 'dan']);
    const [ann, ben, cleo, dan] = pages;
    await ann.evaluate(async (ids) => {
        const { data } = globalThis.test.room;
        await data.send('hello');
        await data.send({ x: [1, null] }, { to: ids, topic: 'game' });
        await data.send('quick', { reliable: false, topic: 'unreliable' });
        await data.send('any order', { ordered: false, topic: 'unordered' });
    }, [ben.member, cleo.member]);
    for (const page of [ben, cleo, dan]) {
        const messages = await heard(page, 'all', (list) => list.length === (page === dan ? 3 : 4));
        assert.ok(messages.every(({ from }) => from === ann.member));
        assert.deepEqual(messages.find(({ topic }) => topic === ''), { from: ann.member, data: 'hello', topic: '', directed: false });
        const directed = messages.find(({ topic }) => topic === 'game');
        assert.deepEqual(directed, page === dan ? undefined : { from: ann.member, data: { x: [1, null] }, topic: 'game', directed: true });
        assert.ok(messages.some(({ data, topic }) => data === 'quick' && topic === 'unreliable'));
        assert.ok(messages.some(({ data, topic }) => data === 'any order' && topic === 'unordered'));
    }
    assert.deepEqual(await got(ann), []);
    await part(pages);
});

test('a plain channel carries text and bytes to all that opened it, up to 256 KiB whole', async () => {
    const pages = await meet(['ann', 'ben', 'cleo']);
    for (const page of pages)
        await page.evaluate(async () => {
            const channel = globalThis.test.room.data.open('raw', { protocol: 'x' });
            globalThis.test.channel = channel;
            channel.on('message', (message) => globalThis.test.plain.push(typeof message === 'string' ? message
                : { size: message.byteLength, sum: new Uint8Array(message).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7) }));
            await channel.ready;
        });
    for (const from of pages) {
        const sum = await from.evaluate(async () => {
            const bytes = Uint8Array.from({ length: 262144 }, (_, i) => (i * 13) % 253);
            await globalThis.test.channel.send('text');
            await globalThis.test.channel.send(bytes);
            return bytes.reduce((value, byte) => (value * 31 + byte) >>> 0, 7);
        });
        for (const page of pages.filter((other) => other !== from)) {
            const messages = await until(`${page.label} has both`, async () => {
                const list = await page.evaluate(() => globalThis.test.plain);
                return list.length === 2 && list;
            });
            assert.deepEqual(messages, ['text', { size: 262144, sum }]);
            await page.evaluate(() => { globalThis.test.plain.length = 0; });
        }
    }
    await part(pages);
});

test('channels are closed by pages and by the server, and their ids serve again', async () => {
    const openChannels = async () => Object.values(await roost.metric('data_channels')).reduce((sum, value) => sum + value, 0);
    // those of the tests before may still be going
    await until('nobody is there', async () => (await openChannels()) === 0);
    const pages = await meet(['ann', 'ben']);
    const before = await openChannels();
    for (let round = 0; round < 4; round++) {
        await Promise.all(pages.map((page) => page.evaluate(async () => {
            const channel = globalThis.test.room.data.open('again');
            globalThis.test.channel = channel;
            channel.on('message', (message) => globalThis.test.plain.push(message));
            await channel.ready;
        })));
        await until('the server has both', async () => (await openChannels()) === before + 2);
        const text = `round ${round}`;
        await pages[round % 2].evaluate((message) => globalThis.test.channel.send(message), text);
        await until('heard', async () => (await pages[1 - (round % 2)].evaluate(() => globalThis.test.plain.at(-1))) === text);
        for (const page of pages) await page.evaluate(() => globalThis.test.channel.close());
        await until('closed', async () => (await openChannels()) === before);
    }
    for (const page of pages) {
        // the server closes a second channel of the same name, and one whose label is too long
        const closed = await page.evaluate(async () => {
            const lost = (label) => new Promise((resolve) => {
                const channel = globalThis.test.room.data.open(label);
                channel.on('lost', () => { channel.close(); resolve(label.length); });
            });
            const first = globalThis.test.room.data.open('twice');
            await first.ready;
            const ended = [await lost('twice'), await lost('l'.repeat(129))];
            const state = first.state;
            first.close();
            return [...ended, state];
        });
        assert.deepEqual(closed, [5, 129, 'open'], page.label);
    }
    await part(pages);
});

test('20 MiB in one message: split, held back while nobody takes it, whole at the other end', async () => {
    const pages = await meet(['ann', 'ben']);
    const [ann, ben] = pages;
    for (const page of pages)
        await page.evaluate(() => globalThis.test.room.data.on('message', async ({ data }) => {
            const hash = await crypto.subtle?.digest('SHA-256', data);
            globalThis.test.large = { size: data.byteLength, hash: hash ? [...new Uint8Array(hash)].join() : 'none', first: new Uint8Array(data)[12345] };
        }));
    for (const [from, to] of [[ann, ben], [ben, ann]]) {
        const sent = await from.evaluate(async (id) => {
            const { data } = globalThis.test.room;
            const bytes = new Uint8Array(20 * 1024 * 1024);
            for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + (i >> 12)) & 255;
            let most = 0;
            await data.send(new Blob([bytes]), { to: id, onProgress: () => { most = Math.max(most, data.bufferedAmount); } });
            const hash = await crypto.subtle?.digest('SHA-256', bytes);
            return { most, size: bytes.length, hash: hash ? [...new Uint8Array(hash)].join() : 'none', first: bytes[12345] };
        }, to.member);
        const { most, ...whole } = sent;
        const received = await until('it came', () => to.evaluate(() => globalThis.test.large));
        assert.deepEqual(received, whole);
        assert.ok(most <= 2 * 1024 * 1024, `${most} bytes in the browser's buffer`);
        await to.evaluate(() => { globalThis.test.large = undefined; });
    }
    await part(pages);
});

test('a page that has stopped hurts nobody else', async () => {
    const pages = await meet(['ann', 'ben', 'cleo'], { which: (index) => browsers[index === 1 ? 1 : 0] });
    const [ann, ben, cleo] = pages;
    // the network thread takes what comes; a page that sleeps is a reader that piles it up in the browser
    const sleep = await cleo.createCDPSession();
    await sleep.send('Debugger.enable');
    const asleep = new Promise((resolve) => { sleep.once('Debugger.paused', resolve); });
    void sleep.send('Runtime.evaluate', { expression: 'debugger' });
    await asleep;
    await ann.evaluate(async () => {
        for (let i = 0; i < 200; i++) await globalThis.test.room.data.send(new Uint8Array(40_000).fill(i), { topic: String(i) });
    });
    const messages = await until('ben has all 200', () => ben.evaluate(() => globalThis.test.got.length === 200 && globalThis.test.got.map(({ topic }) => topic)));
    await sleep.send('Debugger.resume');
    assert.deepEqual(messages, Array.from({ length: 200 }, (_, i) => String(i)));
    await until('cleo is back and has them, too', () => cleo.evaluate(() => globalThis.test.got.length >= 200));
    await part(pages);
});

test('messages go on after a restart of ICE and over a new connection', async () => {
    const pages = await meet(['ann', 'ben']);
    const [ann, ben] = pages;
    await ann.evaluate(() => globalThis.test.room.restartIce());
    await ann.evaluate(() => globalThis.test.room.data.send('after the restart'));
    await heard(ben, 'one', (list) => list.length === 1);
    // the server hears the goodbye, and the SDK begins anew
    await ann.evaluate(async () => {
        const { data, peerConnection } = globalThis.test.room;
        const opened = new Promise((resolve) => { data.on('open', resolve); });
        peerConnection.close();
        await opened;
        await data.send('over a new connection');
    });
    await heard(ben, 'two', (list) => list.length === 2);
    await ben.evaluate(() => globalThis.test.room.data.send('and back'));
    await heard(ann, 'the answer', (list) => list.length === 1);
    await part(pages);
});

test('in a room with end-to-end encryption messages are read by who has the key, and by nobody else', async () => {
    const pages = await meet(['ann', 'ben', 'cleo'], { keys: ['a long and good key', 'a long and good key'] });
    const [ann, ben, cleo] = pages;
    for (const page of [ann, ben])
        await until(`${page.label} trusts the other`, () => page.evaluate(() => [...globalThis.test.room.members.values()]
            .some((member) => !member.self && globalThis.test.room.e2ee.security(member) === 'secure')));
    await ann.evaluate(async () => {
        const { data } = globalThis.test.room;
        await data.send('for those with the key', { topic: 'secret' });
        await data.send(new Uint8Array(200_000).fill(7));
    });
    const messages = await until('ben has both', () => ben.evaluate(() => globalThis.test.got.length === 2
        && globalThis.test.got.map(({ data, topic }) => [data.byteLength ?? data, topic])));
    assert.deepEqual(messages, [['for those with the key', 'secret'], [200_000, '']]);
    await cleo.evaluate(() => globalThis.test.room.data.send('I have no key'));
    await ben.evaluate(() => globalThis.test.room.data.send('an answer'));
    await heard(ann, 'the answer', (list) => list.length > 0);
    assert.deepEqual((await got(ann)).map(({ data }) => data), ['an answer']);
    assert.deepEqual(await got(cleo), []);
    await part(pages);
});

test('a file in the chat goes to whoever asks for it, and to nobody else', async (context) => {
    const [browser] = browsers;
    const folder = mkdtempSync(join(tmpdir(), 'roost-file-'));
    context.after(() => rmSync(folder, { recursive: true }));
    const content = Buffer.alloc(3_000_000, 'some bytes of a report. ');
    const path = join(folder, 'report <b>1.txt');
    writeFileSync(path, content);
    const pages = [];
    const noteSaved = () => {
        globalThis.saved = [];
        const blobs = new Map();
        const make = URL.createObjectURL.bind(URL);
        URL.createObjectURL = (blob) => {
            const url = make(blob);
            blobs.set(url, blob);
            return url;
        };
        HTMLAnchorElement.prototype.click = function click() {
            void blobs.get(this.href).text().then((text) => globalThis.saved.push({ name: this.download, text }));
        };
    };
    for (const name of ['Ann', 'Ben']) {
        const page = await joinByKeyboard(browser, `${roost.url}/r/files`, name, { before: noteSaved });
        await inRoom(page);
        await page.evaluate(() => globalThis.roostApp.room.data.ready);
        await page.evaluate(() => document.activeElement?.blur());
        await page.keyboard.press('c');
        await page.waitForSelector('.panel:not([hidden]) .attach');
        pages.push(page);
    }
    const [ann, ben] = pages;
    const cleo = await roomPage(browser, roost.url, { room: 'files', name: 'Cleo', publish: false });
    await cleo.evaluate(async () => {
        const { data } = globalThis.test.room;
        globalThis.test.topics = [];
        data.on('message', ({ topic }) => globalThis.test.topics.push(topic));
        data.on('progress', ({ topic }) => globalThis.test.topics.push(topic));
        await data.ready;
    });
    const input = await ann.$('.panel input[type=file]');
    await input.uploadFile(path);
    for (const page of pages) await page.waitForSelector('.chat-message .file');
    await ann.waitForFunction(() => document.querySelector('.file-state').textContent === 'Shared with everybody');
    assert.equal(await ben.$eval('.file-name', (element) => element.textContent), 'report <b>1.txt');
    assert.equal(await ben.$eval('.file-state', (element) => element.textContent), '3.0 MB');
    await ben.click('.file .icon-button');
    await until('ben has it', () => ben.evaluate(() => globalThis.saved.length === 1));
    // the browser replaces what is no name of a file when it saves it
    assert.deepEqual(await ben.evaluate(() => [globalThis.saved[0].text.length, document.querySelector('.file-state').textContent]), [content.length, 'Saved']);
    assert.ok(content.toString() === await ben.evaluate(() => globalThis.saved[0].text));
    assert.deepEqual(await cleo.evaluate(() => globalThis.test.topics), ['roost.file'], 'cleo did not ask');
    await ann.context.close();
    await until('it is gone with its owner', () => ben.evaluate(() => document.querySelector('.file-state').textContent === 'No longer here'));
    assert.deepEqual(ben.problems, []);
    await ben.context.close();
    await cleo.close();
});
