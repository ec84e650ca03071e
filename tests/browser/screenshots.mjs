/**
 * Pictures of every state of the application, to be looked at:
 *     node tests/browser/screenshots.mjs OUTPUT_FOLDER [NAME_PART]
 */

import { mkdir } from 'node:fs/promises';
import puppeteer from 'puppeteer-core';
import { installFakeMedia } from './helpers/fake_media.js';
import { startMockServer } from './mock_server.mjs';

const [folder, only = ''] = process.argv.slice(2);
if (!folder) {
    console.error('Usage: node screenshots.mjs OUTPUT_FOLDER [NAME_PART]');
    process.exit(2);
}

const NAMES = [
    'Ada', 'Grace', 'Linus', 'Margaret', 'Dennis', 'Radia', 'Ken', 'Barbara', 'Alan', 'Katherine', 'Donald', 'Frances',
    'Edsger', 'Hedy', 'John', 'Joan', 'Tim', 'Anita', 'Niklaus', 'Karen', 'Emmy', 'Mary', 'Vint', 'Evelyn',
];
const people = (count, change = {}) => NAMES.slice(0, count).map((name, index) => ({ name, ...change[index] }));

const SIZES = { wide: [1280, 800], large: [1920, 1080], phone: [390, 844], small: [360, 640] };

const chat = [
    { name: 'Ada', text: 'Good morning!' },
    { name: 'Ada', text: 'The figures are at https://example.org/figures?run=42' },
    { name: 'Grace', text: 'Thanks. I will read them while Linus shares his screen, and then we can go through the open questions together.' },
    { name: 'me', text: 'Perfect' },
];

/** name: [room scenario, what to do in the page, options] */
const CALLS = {
    'call-1': [{}],
    'call-2': [{ people: people(1), speaking: ['Ada'] }],
    'call-3': [{ people: people(2), speaking: ['Grace'] }],
    'call-5': [{ people: people(4, { 1: { camera: false }, 2: { muted: true } }), speaking: ['Margaret'] }],
    'call-9': [{ people: people(8, { 3: { muted: true } }), speaking: ['Ada'] }],
    'call-16': [{ people: people(15, { 3: { camera: false } }), speaking: ['Ada'] }],
    'call-25': [{ people: people(24, { 3: { camera: false, muted: true } }), speaking: ['Linus'] }],
    'call-long-names': [{
        people: [
            { name: 'Maria Magdalena Wilhelmina von und zu Hohenstein-Langenfeld' },
            { name: 'محمد عبد الرحمن الشريف', camera: false },
            { name: 'Šárka Žluťoučká', camera: false, muted: true },
            { name: '山田太郎', camera: false },
        ],
        speaking: ['Šárka Žluťoučká'],
    }],
    'call-poor': [{ people: people(3, { 1: { away: true } }) }, async (page) => {
        await page.evaluate(() => (globalThis.fakePoor = ['2', '3', '4', '5']));
        await page.waitForSelector('.poor:not([hidden])');
        await pause(4500);
    }],
    'call-screen': [{ people: people(4), sharer: 'Linus', speaking: ['Linus'] }],
    'call-own-screen': [{ people: people(3) }, (page) => page.keyboard.press('s')],
    'call-chat': [{ people: people(3), chat }, (page) => page.keyboard.press('c')],
    'call-files': [{ people: people(3), chat: chat.slice(0, 3) }, async (page) => {
        await page.keyboard.press('c');
        await page.evaluate(async () => {
            const { room } = globalThis.roostApp;
            const [, ada, grace] = room.members.keys();
            const tell = (from, topic, data) => room.data.emit('message', { member: null, from, topic, data, directed: false });
            const offer = (from, number, name, size) => tell(from, 'roost.file', { number, name, size });
            offer(ada, '1', 'Figures 2026.ods', 48_200);
            offer(ada, '2', 'Minutes of the meeting of last week, as agreed on, with all annexes.pdf', 2_345_678);
            offer(grace, '1', 'beach.jpg', 3_900_000);
            const [first, second] = document.querySelectorAll('.file .icon-button');
            first.click();
            tell(ada, 'roost.file.content:1', new ArrayBuffer(10));
            second.click();
            room.data.emit('progress', { from: ada, topic: 'roost.file.content:2', received: 1_400_000, size: 2_345_678 });
        });
        const input = await page.$('.panel input[type=file]');
        await input.uploadFile(new URL('../../LICENSE', import.meta.url).pathname);
    }],
    'call-people': [{ people: people(6, { 2: { muted: true } }) }, async (page) => {
        await page.keyboard.press('p');
        await page.click('.person .icon-button');
    }],
    'call-muted': [{ people: people(3) }, async (page) => {
        await page.keyboard.press('m');
        await page.keyboard.press('v');
    }],
    'call-menu': [{ people: people(3), locked: true }, (page) => page.click('[aria-label="More"]')],
    'call-devices': [{ people: people(3) }, (page) =>
        page.evaluate(() => document.querySelector('.control-chevron').click())],
    'call-shortcuts': [{ people: people(3) }, (page) => page.keyboard.press('?')],
    'call-details': [{ people: people(3) }, async (page) => {
        await page.click('[aria-label="More"]');
        await page.evaluate(() => [...document.querySelectorAll('.menu button')].find((b) => /details/.test(b.textContent)).click());
        await page.waitForSelector('.details-table');
        await pause(1500);
    }],
    'call-speaker': [{ people: people(6), speaking: ['Radia'] }, async (page) => {
        await page.click('[aria-label="More"]');
        await page.evaluate(() => [...document.querySelectorAll('.menu button')].find((b) => /speaker large/.test(b.textContent)).click());
    }],
    'call-unread': [{ people: people(2), chat }],
    'call-reconnecting': [{ people: people(2) }, async (page) => {
        await page.evaluate(() => {
            window.WebSocket = class { static OPEN = 1; constructor() { setTimeout(() => this.onerror?.(), 10); } close() {} };
            globalThis.roostApp.client.interrupt();
        });
        await page.waitForSelector('.banner');
    }],
    'call-media-lost': [{ people: people(2) }, (page) =>
        page.evaluate(() => globalThis.roostApp.room.peerConnection.fakeState('disconnected'))],
    'ended-kicked': [{ people: people(2), removed: { reason: 'kicked', message: 'A moderator removed you from the room.' } }],
    'ended-left': [{ people: people(2) }, (page) => page.click('.leave')],
    'refused-full': [{ refuse: 'room_full' }],
    'refused-locked': [{ refuse: 'room_locked' }],
    'refused-token': [{ refuse: 'token_required' }],
};

/** name: [path, what to do, fake media options] */
const PAGES = {
    lobby: ['/'],
    'lobby-room': ['/r/weekly-planning'],
    'lobby-call': ['/call/k3v-99q'],
    'lobby-off': ['/', async (page) => {
        await page.keyboard.press('m');
        await page.keyboard.press('v');
    }],
    'lobby-missing-name': ['/', async (page) => {
        await page.evaluate(() => (document.querySelector('#name').value = ''));
        await page.click('.primary');
    }],
    'lobby-denied': ['/', null, { camera: 'denied' }],
    'lobby-no-camera': ['/', null, { camera: 'none' }],
    'lobby-busy': ['/', null, { camera: 'busy' }],
    'lobby-insecure': ['/', null, { camera: 'insecure' }],
    'lobby-starting': ['/', null, { camera: 'pending' }],
    'lobby-unreachable': ['/', null, { offline: true }],
    'private-waiting': ['/call/wait-99q', (page) => page.click('.primary')],
    'private-ringing': ['/call/ring-99q', (page) => page.click('.primary')],
    'private-talking': ['/call/k3v-99q', async (page) => {
        await page.click('.primary');
        await page.waitForSelector('.tile');
    }],
    'private-held': ['/call/k3v-99q', async (page) => {
        await page.click('.primary');
        await page.waitForSelector('.tile');
        await fromMenu(page, 'Put on hold');
        await page.waitForSelector('[data-subject="held"]');
    }],
    'private-menu': ['/call/k3v-99q', async (page) => {
        await page.click('.primary');
        await page.waitForSelector('.tile');
        await openMore(page);
    }],
    'private-transfer': ['/call/k3v-99q', async (page) => {
        await page.click('.primary');
        await page.waitForSelector('.tile');
        await fromMenu(page, 'Transfer');
        await page.type('#transfer-user', 'katherine');
    }],
    'not-found': ['/nothing/here'],
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function openMore(page) {
    await page.click('[aria-label="More"]');
    await page.waitForSelector('[role="menu"] button');
}

async function fromMenu(page, label) {
    await openMore(page);
    await page.evaluate((wanted) => [...document.querySelectorAll('[role="menu"] button')].find(({ textContent }) => textContent.includes(wanted)).click(), label);
}

const scenarios = Object.fromEntries(Object.entries(CALLS).map(([name, [scenario]]) => [name, scenario]));
const server = await startMockServer(scenarios);
const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
    ],
});
await mkdir(folder, { recursive: true });
let problems = 0;

/** @param {string} label */
async function shoot(label, size, scheme, { path, act, fake = {}, join }) {
    const page = await browser.newPage();
    const [width, height] = SIZES[size];
    const phone = size === 'phone' || size === 'small';
    await page.setViewport({ width, height, deviceScaleFactor: phone ? 2 : 1, isMobile: phone, hasTouch: phone });
    await page.emulateMediaFeatures([
        { name: 'prefers-color-scheme', value: scheme },
        { name: 'prefers-reduced-motion', value: 'reduce' },
    ]);
    const complain = (text) => {
        problems++;
        console.log(`  ! ${label}: ${text}`);
    };
    page.on('console', (message) => {
        if (['error', 'warn'].includes(message.type()) && !fake.offline && !/terminated|WebSocket/.test(message.text())) complain(message.text());
    });
    page.on('pageerror', (error) => complain(String(error)));
    await page.evaluateOnNewDocument(installFakeMedia, fake);
    await page.evaluateOnNewDocument((offline) => {
        localStorage.setItem('roost', JSON.stringify({ name: 'Rosalind' }));
        if (offline) window.WebSocket = class { static OPEN = 1; constructor() { setTimeout(() => this.onerror?.(), 10); } close() {} };
    }, fake.offline ?? false);
    await page.goto(server.url + path, { waitUntil: 'networkidle2' });
    if (join) {
        await page.waitForSelector('.preview video');
        await page.click('.primary');
        await page.waitForSelector('.room, .message, .notice');
    }
    await pause(350);
    await act?.(page);
    await pause(700);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (sideways > 0) complain(`scrolls sideways by ${sideways} px`);
    await page.screenshot({ path: `${folder}/${label}.png` });
    await page.close();
}

const PHONE_CALLS = ['call-1', 'call-2', 'call-3', 'call-5', 'call-9', 'call-long', 'call-screen', 'call-chat', 'call-files', 'call-people', 'call-menu', 'call-muted', 'call-25', 'refused-full', 'ended'];
for (const [name, [, act]] of Object.entries(CALLS)) {
    const job = { path: `/r/${name}`, act, join: true };
    const sizes = ['wide', ...(PHONE_CALLS.some((part) => name.startsWith(part)) ? ['phone'] : []), ...(['call-3', 'call-9', 'call-25', 'call-screen'].includes(name) ? ['large'] : [])];
    for (const size of sizes) {
        const label = `${name}-${size}`;
        if (label.includes(only)) await shoot(label, size, 'dark', job).catch((error) => (problems++, console.log(`  ! ${label}: ${error}`)));
    }
}
for (const [name, [path, act, fake]] of Object.entries(PAGES)) {
    for (const [size, scheme] of [['wide', 'light'], ['wide', 'dark'], ['phone', 'light'], ['small', 'dark']]) {
        const label = `${name}-${size}-${scheme}`;
        if (label.includes(only)) await shoot(label, size, scheme, { path, act, fake }).catch((error) => (problems++, console.log(`  ! ${label}: ${error}`)));
    }
}
await browser.close();
server.close();
console.log(problems === 0 ? 'no problems' : `${problems} problems`);
