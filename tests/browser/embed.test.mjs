// A broadcast in a site of another origin, for its own visitors: the snippets of docs/embed.md as they stand there, run by
// PHP, whose tokens a server takes that asks for them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { chromium, colours, sameColour } from './helpers/browsers.mjs';
import { startRoost, until } from './helpers/roost.mjs';
import { whipPages } from './helpers/whip_pages.mjs';

const secret = 'a secret that the site and the server share';
/** @type {Awaited<ReturnType<typeof startRoost>>} */
let roost;
/** @type {import('puppeteer-core').Browser} */
let browser;
/** What the other site shows at its one address. */
let html = '';
const site = createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end(`<!doctype html><title>Site</title><p>Before</p>${html}`);
});
let siteUrl = '';

before(async () => {
    await new Promise((resolve) => site.listen(0, '127.0.0.1', () => resolve(undefined)));
    siteUrl = `http://localhost:${/** @type {import('node:net').AddressInfo} */ (site.address()).port}`;
    roost = await startRoost({ set: { 'auth.mode': 'token', 'auth.token_secret': secret, 'app.frame_ancestors': `'self', ${siteUrl}` } });
    browser = await chromium();
    const { publisher } = whipPages(browser, roost.url);
    await publisher('/whip/stage/ann', 'green', { token: roost.token('--room', 'stage', '--user', 'ann') });
});

after(async () => {
    site.close();
    await browser?.close();
    await roost?.stop();
});

/** The n-th snippet of docs/embed.md in a language, for this server. */
function snippet(language, n = 0) {
    const text = readFileSync(new URL('../../docs/embed.md', import.meta.url), 'utf8');
    return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))][n][1].replaceAll('https://call.example.com', roost.url);
}

/** What PHP makes of a text. */
const php = (text) => execFileSync('php', [], { input: text, encoding: 'utf8', env: { ...process.env, ROOST_TOKEN_SECRET: secret } });

/** Opens the site with this in it. Returns its page and the viewer's frame. */
async function visit(content) {
    html = content;
    const page = await browser.newPage();
    await page.goto(`${siteUrl}/`);
    await page.bringToFront();
    const frame = await until('the frame has the viewer', async () => {
        const found = page.frames().find((one) => one.url().startsWith(`${roost.url}/watch/stage`));
        return found && (await found.$('.watch-page.embedded')) ? found : null;
    });
    return { page, frame };
}

async function seesGreen({ page, frame }) {
    await until('the picture', async () => {
        const rgb = await frame.evaluate(() => {
            const context = new OffscreenCanvas(16, 16).getContext('2d');
            context.drawImage(document.querySelector('video'), 0, 0, 16, 16);
            return [...context.getImageData(4, 4, 1, 1).data].slice(0, 3);
        });
        return sameColour(rgb, colours.green) || Promise.reject(JSON.stringify([rgb, await frame.$eval('.watch-state', (element) => element.textContent)]));
    });
    await page.close();
}

const tokenOf = (frame) => decodeURIComponent(new URL(frame.url()).hash.slice('#token='.length));

test('the script tag, with the token that the PHP of docs/embed.md makes', async () => {
    const seen = await visit(php(snippet('php')));
    const token = tokenOf(seen.frame);
    assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    await seesGreen(seen);
    // it is for watching alone, and this room alone
    const ask = (path) => fetch(`${roost.url}${path}`, {
        method: 'POST', body: 'v=0', headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` },
    }).then(({ status }) => status);
    assert.deepEqual([await ask('/whip/stage/eve'), await ask('/whep/other')], [403, 403]);
});

test('the shortcode for WordPress, whose frame has the token in its address', async () => {
    const wordpress = `function add_shortcode($name, $code) { echo $code(['room' => 'stage']); }
        function sanitize_title($title) { return $title; }
        function is_user_logged_in() { return true; }
        define('ROOST_TOKEN_SECRET', getenv('ROOST_TOKEN_SECRET'));`;
    const [made] = snippet('php').split('?>');
    await seesGreen(await visit(php(`${made}\n${wordpress}\n${snippet('php', 1)}`)));
});

test('a token by `roost token`, in a script tag and in a frame', async () => {
    const token = roost.token('--room', 'stage', '--hidden', '--publish', 'none');
    await seesGreen(await visit(snippet('html').replace('data-room="stage"', `data-room="stage" data-token="${token}"`)));
    await seesGreen(await visit(snippet('html', 1).replace('/watch/stage', `/watch/stage#token=${token}`)));
});

test('without a token, and with one that was changed, there is nothing to see', async () => {
    const good = roost.token('--room', 'stage', '--hidden');
    const forged = `${good.slice(0, -4)}${good.endsWith('AAAA') ? 'BBBB' : 'AAAA'}`;
    for (const [what, content] of [['none', snippet('html')], ['forged', snippet('html').replace('data-room="stage"', `data-room="stage" data-token="${forged}"`)]]) {
        const { page, frame } = await visit(content);
        await until(`${what}: it is said`, () => frame.$eval('.watch-state', (element) => /needs a link with a valid token/.test(element.textContent ?? '')));
        assert.equal(await frame.$eval('video', (video) => video.videoWidth), 0);
        await page.close();
    }
});
