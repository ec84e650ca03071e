// Who speaks, by voices that real browsers send and the server hears by their levels; and whose cameras that brings.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, colours, roomPage, sameColour } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;

before(async () => {
    roost = await startRoost({ set: { 'rooms.last_speakers': '1' } });
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

test('whoever speaks is told to all, and of the cameras only that of the last speaker comes', async () => {
    const listener = await roomPage(chrome, roost.url, { room: 'voices', name: 'listener', publish: false });
    await listener.evaluate(() => {
        globalThis.test.speakers = [];
        globalThis.test.room.on('speakers', (speakers) => { globalThis.test.speakers = speakers.map(({ member }) => member.name); });
    });
    const people = [{ name: 'ann', colour: 'red', hertz: 440 }, { name: 'ben', colour: 'green', hertz: 880 }];
    const pages = [];
    for (const person of people) {
        const page = await roomPage(chrome, roost.url, { room: 'voices', ...person });
        await page.evaluate(() => globalThis.test.local[1].mute());
        pages.push(page);
    }
    await until('silence', () => listener.evaluate(() => globalThis.test.speakers.length === 0));
    for (const turn of [1, 0, 1]) {
        await pages[turn].evaluate(() => globalThis.test.local[1].unmute());
        const { name, colour } = people[turn];
        await until(`${name} is the speaker`, async () => {
            const speakers = await listener.evaluate(() => globalThis.test.speakers);
            return speakers.join() === name || Promise.reject(speakers.join());
        });
        await until(`the one camera is that of ${name}`, async () => {
            const seen = await listener.evaluate(() => globalThis.test.look());
            return (seen.length === 1 && seen[0].from === name && sameColour(seen[0].rgb, colours[colour])) || Promise.reject(JSON.stringify(seen));
        });
        await pages[turn].evaluate(() => globalThis.test.local[1].mute());
        await until('silence again', () => listener.evaluate(() => globalThis.test.speakers.length === 0));
    }
    for (const page of [listener, ...pages]) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        await page.close();
    }
});
