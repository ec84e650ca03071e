// What changes within a private call: it is held, and something is added, with programs that take that and one that does not.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { bothEnd, bothSee, clients, reach } from './helpers/call_clients.mjs';
import { startRoost, until } from './helpers/roost.mjs';

const patience = 30000;

/** @param {string} media */
function world(media) {
    const here = { roost: null, chrome: null, count: 0 };
    before(async () => {
        here.roost = await startRoost({ workers: 1, set: { 'calls.media': media } });
        here.chrome = await chromium();
    });
    after(async () => {
        await here.chrome?.close();
        await here.roost?.stop();
    });
    const enter = async (language) => {
        const page = await clients[language].open(here.chrome, here.roost.url);
        return clients[language].register(page, `${language}-${++here.count}`);
    };
    here.connect = async (from, to) => {
        const sides = [await enter(from), await enter(to)];
        await reach(...sides);
        await sides[1].accept();
        await bothSee(...sides);
        for (const { page, language } of sides)
            if (language === 'native')
                await page.evaluate(() => {
                    globalThis.test.problems = [];
                    globalThis.test.current.on('error', ({ code }) => globalThis.test.problems.push(code));
                });
        return sides;
    };
    here.part = async (sides) => {
        await sides[0].hangup();
        await bothEnd(...sides);
        await Promise.all(sides.map(({ page }) => page.close()));
    };
    return here;
}

const directions = ({ page }) => page.evaluate(() => globalThis.test.connection.getTransceivers().map((one) => one.currentDirection));
const problems = ({ page }) => page.evaluate(() => globalThis.test.problems);
const hold = ({ page }) => page.evaluate(() => globalThis.test.current.hold());
const resume = ({ page }) => page.evaluate(() => globalThis.test.current.resume());

async function moves(side) {
    const before = await side.videoDecoded();
    await until(`${side.user} sees the other again`, async () => (await side.videoDecoded()) > before + 5, patience);
}

for (const media of ['direct', 'anchored']) {
    describe(media, () => {
        const here = world(media);

        for (const [from, to] of [['native', 'native'], ['native', 'simple-peer'], ['simple-peer', 'native']]) {
            test(`${from} calls ${to}: who is held has nothing agreed on any more, and all of it again afterwards`, async () => {
                const sides = await here.connect(from, to);
                const holder = sides.find(({ language }) => language === 'native');
                const other = sides.find((side) => side !== holder);
                await hold(holder);
                await until('the holder takes and sends nothing', async () => (await directions(holder)).every((one) => one === 'inactive'), patience);
                // of an anchored call each side has its own agreement with the server
                if (media === 'direct')
                    await until('nor does the other', async () => (await directions(other)).every((one) => one === 'inactive'), patience);
                await resume(holder);
                await until('all is as it was', async () => (await directions(holder)).includes('sendrecv'), patience);
                await Promise.all(sides.map(moves));
                assert.deepEqual(await problems(holder), []);
                await here.part(sides);
            });
        }

        test('a program that takes no changes is held by word alone', async () => {
            const sides = await here.connect('native', 'peerjs');
            await hold(sides[0]);
            assert.equal(await sides[0].page.evaluate(() => globalThis.test.current.held.local), true);
            await resume(sides[0]);
            await Promise.all(sides.map(moves));
            assert.deepEqual(await problems(sides[0]), []);
            await here.part(sides);
        });

        test('what is added for such a program is refused, and the call goes on', async () => {
            const sides = await here.connect('native', 'peerjs');
            await sides[0].page.evaluate(() => globalThis.test.current.publish(globalThis.movingPicture(), { source: 'screen' }));
            await until('the refusal is told', async () => (await problems(sides[0])).length > 0, patience);
            assert.deepEqual(await problems(sides[0]), ['cannot-renegotiate']);
            await Promise.all(sides.map(moves));
            await here.part(sides);
        });
    });
}
