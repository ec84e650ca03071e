/**
 * What the tests of calls between languages share: the pairs, rounds of pairs that do not disturb each other, and a server
 * with two pages of each language.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { runCommand } from '../../support/server.mjs';
import { clients } from './call_clients.mjs';
import { startRoost } from './roost.mjs';

export const languages = Object.keys(clients);
export const pairs = languages.flatMap((from) => languages.map((to) => [from, to]));
/** A round has each language once as caller and once as callee: its calls go on at the same time. */
export const rounds = languages.map((_, shift) => languages.map((from, index) => [from, languages[(index + shift) % languages.length]]));
export const modes = ['direct', 'anchored'];
export const named = (from, to) => `${from} -> ${to}`;

/** Half of the pairs, of each language as many. */
export const isOdd = (from, to) => (languages.indexOf(from) + languages.indexOf(to)) % 2 === 1;

const tokenSecret = 'what signs the tokens of this test alone';

async function mint(user) {
    const { status, output } = await runCommand(['token', '--set', `auth.token_secret=${tokenSecret}`, '--user', user]);
    assert.equal(status, 0, output);
    return output.trim();
}

/**
 * A server, and two pages of each language: one that calls and one that is called.
 *
 * @param {() => import('puppeteer-core').Browser} chrome
 * @param {Record<string, string>} set
 * @param {(page: import('puppeteer-core').Page) => Promise<void>} [prepare]
 */
export function world(chrome, set, prepare) {
    const here = { roost: null, pages: [], callers: {}, callees: {} };
    here.enter = async (language, user) => {
        const page = await clients[language].open(chrome(), here.roost.url);
        here.pages.push(page);
        await prepare?.(page);
        return clients[language].register(page, user, { token: await mint(user) });
    };
    before(async () => {
        here.roost = await startRoost({ workers: 1, set: { 'auth.token_secret': tokenSecret, ...set } });
        for (const language of languages) {
            [here.callers[language], here.callees[language]] =
                await Promise.all(['caller', 'callee'].map((role) => here.enter(language, `${language}-${role}`)));
        }
    });
    after(async () => {
        await Promise.all(here.pages.map((page) => page.close()));
        await here.roost?.stop();
    });
    return here;
}

/** One round after the other. */
export function inRounds(what, one, chosen = rounds) {
    for (const round of chosen) {
        describe(round.map(([from, to]) => named(from, to)).join(', '), { concurrency: round.length }, () => {
            for (const [from, to] of round) test(`${from} ${what} ${to}`, () => one(from, to));
        });
    }
}
