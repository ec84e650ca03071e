/** Starts a roost of its own for a test file: free ports, a new data folder, everything on loopback. */

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { patienceMs } from '../../support/until.mjs';

const root = new URL('../../../', import.meta.url).pathname;

/** The binary under test: ROOST_BINARY, or what was built last for use. */
function binary() {
    const candidates = [process.env.ROOST_BINARY, 'build/release/roost', 'build/asan/roost', 'build/debug/roost'];
    const found = candidates.filter(Boolean).map((path) => resolve(root, path ?? '')).find(existsSync);
    if (!found) throw new Error('no roost is built: run make, or set ROOST_BINARY');
    return found;
}

/**
 * @param {{workers?: number, set?: Record<string, string>, binary?: string}} [options]
 */
export async function startRoost({ workers = 2, set = {}, binary: chosen } = {}) {
    const data = mkdtempSync(join(tmpdir(), 'roost-test-'));
    const settings = {
        'http.bind': '127.0.0.1',
        'http.http_port': '0',
        'http.https_port': '0',
        'media.udp_port': '0',
        'turn.bind': '127.0.0.1',
        'turn.port': '0',
        'turn.tls_port': '0',
        'log.format': 'json',
        'log.level': process.env.ROOST_LOG ?? 'info',
        ...set,
    };
    const args = ['serve', '--data', join(data, 'data'), '--workers', String(workers)];
    for (const [key, value] of Object.entries(settings)) args.push('--set', `${key}=${value}`);
    const child = spawn(chosen ?? binary(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    /** @type {string[]} */
    const log = [];
    let mediaPort = 0;
    /** @type {string | undefined} */
    let token;
    const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    const ready = new Promise((resolve, reject) => {
        const read = (/** @type {string} */ line) => {
            log.push(line);
            if (process.env.ROOST_LOG) console.error(line);
            if (!line.startsWith('{')) return;
            const record = JSON.parse(line);
            if (record.message === 'media is ready') mediaPort = record.port;
            if (record.message === 'ready') resolve(record);
        };
        createInterface(child.stdout).on('line', read);
        createInterface(child.stderr).on('line', read);
        void exited.then(() => reject(new Error(`roost did not start:\n${log.join('\n')}`)));
    });
    const record = await ready;
    const url = `http://127.0.0.1:${record.http_port}`;
    return {
        child,
        log,
        url,
        mediaPort,
        https: `https://127.0.0.1:${record.https_port}`,
        /** Ends it and fails when it did not end well (a sanitizer's report, a crash). */
        async stop() {
            child.kill('SIGTERM');
            const { code, signal } = await exited;
            rmSync(data, { recursive: true, force: true });
            if (code !== 0) throw new Error(`roost ended with ${code ?? signal}:\n${log.slice(-60).join('\n')}`);
        },
        /** What `roost token` makes with these arguments. @param {...string} grants */
        token(...grants) {
            const signing = set['auth.token_secret'] ? ['--set', `auth.token_secret=${set['auth.token_secret']}`] : [];
            return execFileSync(chosen ?? binary(), ['token', '--data', join(data, 'data'), ...signing, ...grants], { encoding: 'utf8' }).trim();
        },
        /** A request of the control API that must succeed; returns its JSON. */
        async api(/** @type {string} */ method, /** @type {string} */ path, /** @type {unknown} */ body) {
            token ??= this.token('--admin');
            const response = await fetch(`${url}/api/v1${path}`, { method, body: JSON.stringify(body), headers: { authorization: `Bearer ${token}` } });
            if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
            return response.json();
        },
        /** Sum of a metric's lines, by label: `{ 'worker="0"': 12 }`. */
        async metric(/** @type {string} */ name) {
            const text = await (await fetch(`${url}/metrics`)).text();
            /** @type {Record<string, number>} */
            const values = {};
            for (const line of text.split('\n')) {
                const match = /^roost_(\w+)(?:\{(.*)\})? (\d+)$/.exec(line);
                if (match && match[1] === name) values[match[2] ?? ''] = (values[match[2] ?? ''] ?? 0) + Number(match[3]);
            }
            return values;
        },
    };
}

/**
 * Waits for a condition, not for a time. Returns its first truthy value.
 *
 * @template T
 * @param {string} what for the error
 * @param {() => T | Promise<T>} condition
 * @param {number} [timeoutMs]
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, condition, timeoutMs = patienceMs) {
    const end = Date.now() + timeoutMs;
    let last;
    let reason;
    while (Date.now() < end) {
        try {
            last = await condition();
        } catch (problem) {
            // what the condition rejects with tells how far it is
            last = undefined;
            reason = problem;
        }
        if (last) return /** @type {NonNullable<T>} */ (last);
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`waited ${timeoutMs} ms in vain for: ${what} (last: ${reason ?? JSON.stringify(last)})`);
}
