/** Pages of the application as new people use them. */

import { until } from './roost.mjs';

/**
 * Opens a page of the application as a new person (no stored names) and joins by keyboard.
 *
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} url where it is, as in `${roost.url}/r/room`
 * @param {string} name
 * @param {{before?: (() => void) | null}} [options] before: runs in the page before its own scripts
 */
export async function joinByKeyboard(browser, url, name, { before = null } = {}) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    if (before) await page.evaluateOnNewDocument(before);
    const problems = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await page.goto(url);
    await page.waitForSelector('#name');
    await page.type('#name', name);
    await page.keyboard.press('Enter');
    return Object.assign(page, { problems, context });
}

export const inRoom = (page) => until('the room', () => page.evaluate(() => globalThis.roostApp.room !== null));

export const playing = (page, count) => until(`${count} pictures`, () => page.evaluate((wanted) =>
    [...document.querySelectorAll('video')].filter((video) => video.videoWidth > 0 && !video.paused).length >= wanted, count));
