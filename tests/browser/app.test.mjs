// The application as a person uses it: lobby, room and private call through the real server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { inRoom, joinByKeyboard, playing } from './helpers/app_pages.mjs';
import { chromium } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
    roost = await startRoost();
    browser = await chromium();
});

after(async () => {
    await browser?.close();
    await roost?.stop();
});

/** A new person's page, who joins. */
const join = (path, name, options) => joinByKeyboard(browser, roost.url + path, name, options);
const adopted = async () => Object.values(await roost.metric('media_sessions_adopted_total')).reduce((a, b) => a + b, 0);
const text = (page) => page.evaluate(() => document.body.innerText);

test('two people join a room from the lobby, talk, chat and leave', async () => {
    const one = await join('/r/tea', 'Person One');
    const two = await join('/r/tea', 'Person Two');
    await Promise.all([inRoom(one), inRoom(two)]);
    await Promise.all([playing(one, 2), playing(two, 2)]);
    await until('names are shown', async () => (await text(one)).includes('Person Two'));

    // M mutes, and the other one is told
    await one.evaluate(() => document.activeElement?.blur());
    await one.keyboard.press('m');
    await until('the other sees the muted microphone', () => two.evaluate(() =>
        [...globalThis.roostApp.room.members.values()].some((member) => member.name === 'Person One'
            && [...member.tracks.values()].some((track) => track.kind === 'audio' && track.muted))));
    await one.keyboard.press('m');

    // C opens the chat; what is typed arrives
    await one.keyboard.press('c');
    await one.waitForSelector('textarea, .chat input');
    await one.focus('textarea, .chat input');
    await one.keyboard.type('hello from the keyboard');
    await one.keyboard.press('Enter');
    await two.evaluate(() => document.activeElement?.blur());
    await two.keyboard.press('c');
    await until('the message is shown', async () => (await text(two)).includes('hello from the keyboard'));

    await two.evaluate(() => globalThis.roostApp.room.leave());
    await until('the one who stays is alone', () => one.evaluate(() => globalThis.roostApp.room.members.size === 1));
    assert.deepEqual(one.problems, []);
    assert.deepEqual(two.problems, []);
    await Promise.all([one.context.close(), two.context.close()]);
});

/** From now on the page's questions about devices are answered when the test says so. */
function holdBackDevices() {
    const devices = navigator.mediaDevices;
    const open = devices.getUserMedia.bind(devices);
    const opened = [];
    globalThis.openedTracks = opened;
    const allowed = new Promise((resolve) => { globalThis.allowDevices = resolve; });
    devices.getUserMedia = async (constraints) => {
        await allowed;
        const stream = await open(constraints);
        opened.push(...stream.getTracks());
        return stream;
    };
}

test('who joins while the browser still asks about the camera is seen after the answer', async () => {
    const one = await join('/r/early', 'The First');
    await inRoom(one);
    const two = await join('/r/early', 'The Hasty', { before: holdBackDevices });
    await inRoom(two);
    assert.equal(await two.evaluate(() => globalThis.roostApp.room.localTracks.length), 0);
    await two.evaluate(() => globalThis.allowDevices());
    await playing(one, 2);
    await Promise.all([one.context.close(), two.context.close()]);
});

test('who leaves before answering about the camera has it switched off after the answer', async () => {
    const page = await join('/r/gone', 'The Hasty', { before: holdBackDevices });
    await inRoom(page);
    await page.evaluate(() => /** @type {HTMLElement} */ (document.querySelector('.control-button.leave')).click());
    await until('the page tells of the end', () => page.evaluate(() => globalThis.roostApp.page === 'message'));
    await page.evaluate(() => globalThis.allowDevices());
    await until('the devices are let go', () => page.evaluate(() =>
        globalThis.openedTracks.length === 2 && globalThis.openedTracks.every((track) => track.readyState === 'ended')));
    await page.context.close();
});

test('a moderator takes somebody out, who is told so', async () => {
    const one = await join('/r/strict', 'The Moderator');
    await inRoom(one);
    const two = await join('/r/strict', 'The Guest');
    await inRoom(two);
    await until('both are there', () => one.evaluate(() => globalThis.roostApp.room.members.size === 2));
    await one.evaluate(() => {
        const { room } = globalThis.roostApp;
        return room.kick([...room.members.values()].find((member) => member.name === 'The Guest'));
    });
    await until('the guest reads why', async () => globalThis.String(await two.evaluate(() => globalThis.roostApp.page)) === 'message');
    await Promise.all([one.context.close(), two.context.close()]);
});

test('a private link connects two people directly', async () => {
    const before = await adopted();
    const one = await join('/call/a-secret-meeting-place', 'Caller');
    const two = await join('/call/a-secret-meeting-place', 'Callee');
    await until('the call is up on both sides', async () => {
        const states = await Promise.all([one, two].map((page) => page.evaluate(() => globalThis.roostApp.call?.state)));
        return states.every((state) => state === 'connected') || Promise.reject(states.join());
    });
    await Promise.all([playing(one, 2), playing(two, 2)]);
    assert.equal(await adopted(), before, 'the media server saw nothing of the call');
    assert.deepEqual(one.problems, []);
    assert.deepEqual(two.problems, []);
    await Promise.all([one.context.close(), two.context.close()]);
});

test('a private call begins after the answer about the camera', async () => {
    const one = await join('/call/a-hasty-meeting-place', 'Caller');
    const two = await join('/call/a-hasty-meeting-place', 'Callee', { before: holdBackDevices });
    await until('the caller waits', () => one.evaluate(() => globalThis.roostApp.page === 'call'));
    assert.equal(await two.evaluate(() => globalThis.roostApp.page), 'lobby');
    await two.evaluate(() => globalThis.allowDevices());
    await Promise.all([playing(one, 2), playing(two, 2)]);
    await Promise.all([one.context.close(), two.context.close()]);
});

test('an address that does not exist leads back', async () => {
    const page = await browser.newPage();
    const response = await page.goto(`${roost.url}/no/such/page`);
    assert.equal(response?.status(), 404);
    await page.close();
});
