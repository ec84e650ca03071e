import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium, colours, firefox, roomPage, sameColour } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;

before(async () => {
    roost = await startRoost({ workers: 4 });
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

const people = [
    { name: 'ann', colour: 'red', hertz: 440 },
    { name: 'ben', colour: 'green', hertz: 880 },
    { name: 'cleo', colour: 'blue', hertz: 1760 },
];

/** Each page sees each other's colour move and hears its pitch. */
async function everyoneMeets(pages, present) {
    for (const page of pages) {
        const others = present.filter((person) => person.name !== page.label);
        await until(`${page.label} sees ${others.map((other) => other.name)}`, async () => {
            const seen = await page.evaluate(() => globalThis.test.look());
            return others.every((other) => seen.some((tile) => tile.from === other.name && tile.frames > 10 && sameColour(tile.rgb, colours[other.colour])));
        }, 30000);
        await until(`${page.label} hears ${others.map((other) => other.name)}`, async () => {
            const heard = await page.evaluate(() => globalThis.test.listen());
            return others.every((other) => heard.some((tone) => tone.from === other.name && Math.abs(tone.hertz - other.hertz) < 40 && tone.db > -60));
        }, 30000);
    }
}

test('three Chromium pages in a room see and hear each other', async () => {
    const pages = await Promise.all(people.map((person) => roomPage(chrome, roost.url, { room: 'three', ...person })));
    await everyoneMeets(pages, people);
    for (const page of pages) {
        assert.deepEqual(await page.evaluate(() => globalThis.test.errors), []);
        assert.deepEqual(page.problems, []);
        await page.close();
    }
});
