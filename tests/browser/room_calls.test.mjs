// Calls to rooms: clients that know calls alone meet those that know rooms, and each other (docs/calls.md, Rooms).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { runCommand } from '../support/server.mjs';
import { joinByKeyboard, playing } from './helpers/app_pages.mjs';
import { chromium, roomPage } from './helpers/browsers.mjs';
import { bothSee, clients } from './helpers/call_clients.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;
let serial = 0;
const tokenSecret = 'what signs the tokens of this test alone';

before(async () => {
    roost = await startRoost({ workers: 2, set: { 'auth.token_secret': tokenSecret } });
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

async function mint(...args) {
    const { status, output } = await runCommand(['token', '--set', `auth.token_secret=${tokenSecret}`, ...args]);
    assert.equal(status, 0, output);
    return output.trim();
}

async function enter(language, at = roost, ...args) {
    const user = `${language}-${++serial}`;
    const page = await clients[language].open(chrome, at.url);
    return clients[language].register(page, user, { token: await mint('--user', user, ...args) });
}

/** The member of that name that a page in the room sees, and what it shows. */
const seen = (page, name) => page.evaluate(async (wanted) => {
    const { room, look } = globalThis.test;
    const member = [...room.members.values()].find((one) => one.name === wanted);
    return member && { user: member.user, frames: (await look()).find((tile) => tile.from === wanted)?.frames ?? 0 };
}, name);

const sees = (page, name) => until(`${page.label} sees ${name}`, async () => (await seen(page, name))?.frames > 10, 30000);
const isGone = (page, name) => until(`${name} has left`, async () => !(await seen(page, name)), 30000);
const sum = async (name) => Object.values(await roost.metric(name)).reduce((a, b) => a + b, 0);
const ended = (caller) => until('the caller knows of the end', async () => (await caller.state()) === 'ended', 30000);

for (const language of Object.keys(clients)) {
    test(`${language} calls a room, sees who is in it and is seen, and hangs up`, async () => {
        const room = `of-${language}`;
        const page = await roomPage(chrome, roost.url, { room, name: 'ann' });
        const caller = await enter(language);
        await caller.call(`${room}@rooms`);
        await bothSee(caller);
        await sees(page, caller.user);
        assert.equal((await seen(page, caller.user)).user, caller.user);
        await caller.hangup();
        await isGone(page, caller.user);
        assert.deepEqual(page.problems, []);
        await page.close();
        await caller.page.close();
    });
}

test('a private link to a room leads there', async () => {
    const page = await roomPage(chrome, roost.url, { room: 'linked', name: 'ann' });
    const guest = await joinByKeyboard(chrome, `${roost.url}/call/linked@rooms`, 'The Guest');
    await sees(page, 'The Guest');
    await playing(guest, 2);
    assert.deepEqual(guest.problems, []);
    await guest.context.close();
    await isGone(page, 'The Guest');
    await page.close();
});

test('callers of all languages meet in a room that none of them knows to be one', async () => {
    const callers = [];
    await until('nobody is left of before', async () => (await sum('room_calls')) === 0, 60000);
    for (const language of Object.keys(clients)) {
        const caller = await enter(language);
        await caller.call('meeting@rooms');
        callers.push(caller);
    }
    await bothSee(...callers);
    assert.equal(await sum('room_calls'), callers.length);
    // one goes by closing its page: its media tells
    await callers[0].page.close();
    await until('it has left', async () => (await sum('room_calls')) < callers.length, 60000);
    for (const caller of callers.slice(1)) await caller.page.close();
});

test('a moderator removes a caller, whose call ends, and who cannot call again', async () => {
    const page = await roomPage(chrome, roost.url, { room: 'strict', name: 'ann' });
    const caller = await enter('peerjs');
    await caller.call('strict@rooms');
    await sees(page, caller.user);
    await page.evaluate((name) => {
        const { room } = globalThis.test;
        return room.kick([...room.members.values()].find((member) => member.name === name));
    }, caller.user);
    await ended(caller);
    await caller.call('strict@rooms');
    await ended(caller);
    assert.ok(Object.entries(await roost.metric('room_calls_refused_total')).some(([labels, value]) => labels.includes('room') && value === 1));
    await page.close();
    await caller.page.close();
});

test('where rooms take tokens, calls to them do', async () => {
    const closed = await startRoost({ workers: 1, set: { 'auth.mode': 'token', 'auth.token_secret': tokenSecret } });
    try {
        for (const language of ['peerjs', 'simple-peer', 'native']) {
            const stranger = await enter(language, closed);
            await stranger.call('secret@rooms');
            await ended(stranger);
            if (language === 'native') assert.match(String(await stranger.reason()), /token/i);
            const member = await enter(language, closed, '--room', 'secret');
            const other = await enter('simple-peer', closed, '--room', 'sec*');
            await member.call('secret@rooms');
            await other.call('secret@rooms');
            await bothSee(member, other);
            for (const { page } of [stranger, member, other]) await page.close();
        }
    } finally {
        await closed.stop();
    }
});
