// Pages with mqtt.js and RTCPeerConnection, and nothing of ours, call pages of every language and are called by them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { bothEnd, bothSee, clients } from './helpers/call_clients.mjs';
import { startRoost, until } from './helpers/roost.mjs';
import { runCommand } from '../support/server.mjs';

const secret = 'a secret of at least thirty-two bytes';
/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
let count = 0;

before(async () => {
    roost = await startRoost({ workers: 1, set: { 'auth.token_secret': secret, 'calls.media': 'direct' } });
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

async function mint(user) {
    const { status, output } = await runCommand(['token', '--set', `auth.token_secret=${secret}`, '--user', user]);
    assert.equal(status, 0, output);
    return output.trim();
}

/** A client of its own name. */
async function enter(language) {
    const page = await clients[language].open(chrome, roost.url), user = `${language}-${++count}`;
    return clients[language].register(page, user, { token: await mint(user) });
}

const close = (...sides) => Promise.all(sides.map(({ page }) => page.close()));

for (const [from, to] of [['mqtt', 'mqtt'], ['mqtt', 'native'], ['native', 'mqtt'], ['mqtt', 'peerjs'], ['peerjs', 'mqtt']]) {
    test(`${from} calls ${to}, and either hangs up`, async () => {
        const caller = await enter(from), callee = await enter(to);
        for (const ends of [caller, callee]) {
            await caller.call(callee.user);
            await callee.accept();
            await bothSee(caller, callee);
            await ends.hangup();
            await bothEnd(caller, callee);
        }
        await close(caller, callee);
    });
}

test('a refusal reaches its caller', async () => {
    for (const [from, to] of [['mqtt', 'native'], ['native', 'mqtt']]) {
        const caller = await enter(from), callee = await enter(to);
        await caller.call(callee.user);
        await callee.reject();
        await until('the caller knows', async () => (await caller.state()) === 'ended');
        assert.equal(await caller.reason(), 'rejected');
        await close(caller, callee);
    }
});

test('the phone of docs/mqtt.md works as written', async () => {
    const text = readFileSync(new URL('../../docs/mqtt.md', import.meta.url), 'utf8');
    const code = /```js\n(async function phone.*?)```/s.exec(text)?.[1] ?? '';
    const page = await clients.mqtt.open(chrome, roost.url);
    await page.evaluate(`globalThis.phone = ${code}`);
    await page.evaluate(async (password) => {
        const { test: watched } = globalThis;
        globalThis.own = await globalThis.phone({
            url: `${location.origin.replace('http', 'ws')}/mqtt`, user: 'ada', password, stream: watched.stream(),
            show(stream) {
                document.querySelector('video')?.remove();
                if (stream) watched.show(stream);
            },
        });
    }, await mint('ada'));
    const native = await enter('native');
    const shows = () => page.evaluate(() => (document.querySelector('video')?.currentTime ?? 0) > 0);
    await native.call('ada');
    await bothSee(native);
    await until('the page shows its caller', shows);
    await native.hangup();
    await until('the page knows of the end', async () => !await shows());
    await page.evaluate((to) => globalThis.own.call(to), native.user);
    await native.accept();
    await bothSee(native);
    await until('the page shows whom it called', shows);
    await page.evaluate(() => globalThis.own.hangup());
    await until('the other side knows of the end', async () => (await native.state()) === 'ended');
    await close(native, { page });
});
