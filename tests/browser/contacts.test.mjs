// The page /contacts as two people use it: signing in, seeing each other, writing, calling.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium } from './helpers/browsers.mjs';
import { bothSee, clients } from './helpers/call_clients.mjs';
import { startRoost, until } from './helpers/roost.mjs';

/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let chrome;

before(async () => {
    roost = await startRoost({ workers: 1 });
    chrome = await chromium();
});

after(async () => {
    await chrome?.close();
    await roost?.stop();
});

let count = 0;

/** Two accounts of one test: who is still on the way out of another one is nobody here. */
async function people() {
    const users = [`ada${++count}`, `grace${count}`];
    for (const [index, name] of ['Ada Lovelace', 'Grace Hopper'].entries())
        await roost.api('POST', '/users', { name: users[index], display_name: name, password: `${users[index]} has a password` });
    return users;
}

/** A visitor of the page, in a browser of their own. */
async function visit() {
    const context = await chrome.createBrowserContext();
    await context.overridePermissions(roost.url, ['camera', 'microphone']);
    const page = await context.newPage();
    page.on('console', (message) => process.env.ROOST_LOG && console.error(message.text()));
    await page.goto(`${roost.url}/contacts`);
    await page.waitForSelector('#user');
    return page;
}

async function fillIn(page, user, password) {
    await page.$eval('#user', (field) => (field.value = ''));
    await page.type('#user', user);
    await page.$eval('#password', (field) => (field.value = ''));
    await page.type('#password', password);
    await page.keyboard.press('Enter');
}

async function signIn(user) {
    const page = await visit();
    await fillIn(page, user, `${user} has a password`);
    await page.waitForSelector('.contacts');
    return page;
}

const text = (page, selector) => page.$eval(selector, (element) => element.textContent);
const shows = (page, selector, wanted) =>
    until(`${selector} shows ${wanted}`, async () => ((await page.$(selector)) ? (await text(page, selector)).includes(wanted) : false));
const row = (user) => `[data-user="${user}"]`;

async function open(page, user) {
    await page.waitForSelector(row(user));
    await page.click(row(user));
    await page.waitForSelector('.conversation textarea');
}

async function write(page, words) {
    await page.type('.conversation textarea', words);
    await page.keyboard.press('Enter');
}

/** The picture of the other side moves. */
const sees = (page) => until('the other side is seen', () =>
    page.evaluate(() => [...document.querySelectorAll('.tile video')].filter((video) => video.videoWidth > 0 && video.currentTime > 0).length >= 2));

const close = (...pages) => Promise.all(pages.map((page) => page.browserContext().close()));

test('a wrong password is told, and the right one lets in', async () => {
    const page = await visit();
    const [adasName] = await people();
    await fillIn(page, adasName, 'guessed');
    await page.waitForSelector('.notice');
    assert.match(await text(page, '.notice'), /password/i);
    await fillIn(page, adasName, `${adasName} has a password`);
    await page.waitForSelector('.contacts');
    await close(page);
});

test('people see who is there, and in which state', async () => {
    const [adasName, gracesName] = await people();
    const ada = await signIn(adasName);
    await shows(ada, row(gracesName), 'Offline');
    const grace = await signIn(gracesName);
    await shows(ada, row(gracesName), 'Online');
    await shows(ada, row(gracesName), 'Grace Hopper');
    await grace.click('.presence-button');
    await grace.evaluate(() => [...document.querySelectorAll('.menu button')].find((button) => button.textContent.includes('Away')).click());
    await shows(ada, row(gracesName), 'Away');
    await close(grace);
    await shows(ada, row(gracesName), 'Offline');
    await close(ada);
});

test('messages come at once, wait for who is away, and stay', async () => {
    const [adasName, gracesName] = await people();
    const ada = await signIn(adasName);
    await open(ada, gracesName);
    await write(ada, 'While you are away');
    await shows(ada, '.conversation .chat-log', 'While you are away');
    const grace = await signIn(gracesName);
    await shows(grace, row(adasName), '1'); // unread
    await open(grace, adasName);
    await shows(grace, '.conversation .chat-log', 'While you are away');
    await write(grace, 'Here I am: <b>bold</b> https://example.org/a');
    await shows(ada, '.conversation .chat-log', 'Here I am: <b>bold</b>');
    assert.equal(await ada.$$eval('.chat-log b', (found) => found.filter((element) => element.textContent === 'bold').length), 0);
    assert.equal(await ada.$eval('.chat-log a', (link) => link.href), 'https://example.org/a');
    await close(ada);
    const again = await signIn(adasName);
    await open(again, gracesName);
    await shows(again, '.conversation .chat-log', 'Here I am');
    await shows(again, '.conversation .chat-log', 'While you are away');
    await close(again, grace);
});

test('somebody who speaks another language is there, is called, and calls', async () => {
    for (const language of ['mqtt', 'simple-peer']) {
        const [adasName, gracesName] = await people();
        const ada = await signIn(adasName);
        const page = await clients[language].open(chrome, roost.url);
        const password = `${gracesName} has a password`;
        const grace = await clients[language].register(page, gracesName, language === 'mqtt' ? { token: password } : { password });
        await shows(ada, row(gracesName), 'Online');
        await open(ada, gracesName);
        await ada.click('[aria-label="Call with video"]');
        await grace.accept();
        await Promise.all([sees(ada), bothSee(grace)]);
        await grace.hangup();
        await ada.waitForSelector('.contacts');
        await grace.call(adasName);
        await ada.waitForSelector('dialog.incoming');
        assert.match(await text(ada, 'dialog.incoming'), /Grace Hopper/);
        await ada.click('dialog.incoming .primary');
        await Promise.all([sees(ada), bothSee(grace)]);
        await ada.click('.control-button.leave');
        await until('the other one knows of the end', async () => (await grace.state()) === 'ended');
        await page.close();
        await close(ada);
    }
});

test('a call with video, answered and hung up; the history tells', async () => {
    const [adasName, gracesName] = await people();
    const ada = await signIn(adasName);
    const grace = await signIn(gracesName);
    await open(ada, gracesName);
    await ada.click('[aria-label="Call with video"]');
    await grace.waitForSelector('dialog.incoming');
    assert.match(await text(grace, 'dialog.incoming'), /Ada Lovelace/);
    await grace.click('dialog.incoming .primary');
    await Promise.all([sees(ada), sees(grace)]);
    await shows(ada, '.room-name', 'Grace Hopper');
    await grace.click('.control-button.leave');
    for (const page of [ada, grace]) await page.waitForSelector('.contacts');
    await ada.evaluate(() => document.querySelectorAll('[role=tab]')[1].click());
    await shows(ada, '.call-row', 'Grace Hopper');
    await close(ada, grace);
});

test('a call that is declined, and one that is missed', async () => {
    const [adasName, gracesName] = await people();
    const ada = await signIn(adasName);
    const grace = await signIn(gracesName);
    await open(ada, gracesName);
    await ada.click('[aria-label="Call"]');
    await grace.waitForSelector('dialog.incoming');
    await grace.click('dialog.incoming .danger');
    await shows(ada, '.toasts', 'declined');
    await ada.waitForSelector('.conversation');
    await ada.click('[aria-label="Call"]');
    await grace.waitForSelector('dialog.incoming');
    await ada.waitForSelector('.control-button.leave');
    await ada.click('.control-button.leave');
    await until('it rings no longer', async () => (await grace.$('dialog.incoming')) === null);
    await grace.evaluate(() => document.querySelectorAll('[role=tab]')[1].click());
    await shows(grace, '.call-row.missed', 'Ada Lovelace');
    await close(ada, grace);
});

test('another device can be signed out', async () => {
    const [adasName] = await people();
    const here = await signIn(adasName);
    const there = await signIn(adasName);
    await here.evaluate(() => document.querySelectorAll('[role=tab]')[2].click());
    await here.waitForSelector('.device-row .button');
    await here.click('.device-row .button');
    await here.waitForSelector('dialog .danger');
    await here.click('dialog .danger');
    await there.waitForSelector('#user');
    await until('it is alone', async () => (await here.$$('.device-row')).length === 1);
    await close(here, there);
});
