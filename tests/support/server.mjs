// Starts the server under test: free ports, a data folder of its own, output kept for failures.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { patienceMs } from './until.mjs';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The program: what tools/run_tests.sh built, or what is there. */
export function binary({ sanitized = false } = {}) {
    const named = process.env[sanitized ? 'ROOST_TEST_BINARY_ASAN' : 'ROOST_TEST_BINARY'];
    if (named) return named;
    const presets = sanitized ? ['asan'] : ['release', 'debug', 'asan'];
    const found = presets.map((preset) => join(root, 'build', preset, 'roost')).find(existsSync);
    if (!found) throw new Error('build the server first: make build');
    return found;
}

/** The environment without options of the one who runs the tests. */
export function cleanEnvironment(extra = {}) {
    const environment = Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !/^ROOST_(?!TEST_)/.test(name)));
    return { ...environment, NO_COLOR: '1', ...extra };
}

/** Runs a command of the program to its end. */
export function runCommand(args, { environment = {}, sanitized = false, timeoutMs = patienceMs } = {}) {
    return new Promise((resolve, reject) => {
        const child = spawn(binary({ sanitized }), args, { env: cleanEnvironment(environment) });
        const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
        let output = '';
        child.stdout.on('data', (chunk) => { output += chunk; });
        child.stderr.on('data', (chunk) => { output += chunk; });
        child.on('error', reject);
        child.on('close', (status, signal) => {
            clearTimeout(timer);
            resolve({ status, signal, output });
        });
    });
}

export class Server {
    #child;
    #waiters = [];
    output = '';
    /** Parsed JSON log lines. */
    log = [];
    exit = null;

    /**
     * Starts it and waits until it is ready.
     * @param {{set?: Record<string, string|number|boolean>, args?: string[], dataDir?: string,
     *     environment?: Record<string, string>, sanitized?: boolean, within?: string[]}} options within: a
     *     command that runs it elsewhere, as in a network namespace
     */
    static async start(options = {}) {
        const server = new Server();
        await server.#start(options);
        return server;
    }

    async #start({ set = {}, args = [], dataDir, environment, sanitized, within = [] }) {
        this.ownDataDir = !dataDir;
        this.dataDir = dataDir ?? mkdtempSync(join(tmpdir(), 'roost-test-'));
        const settings = {
            'http.https_port': 0, 'http.http_port': 0, 'media.udp_port': 0,
            'turn.port': 0, 'turn.tls_port': 0,
            'log.format': 'json', 'server.data_dir': this.dataDir, ...set,
        };
        const assignments = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
        const [program, ...command] = [...within, binary({ sanitized }), 'serve', ...assignments, ...args];
        this.#child = spawn(program, command, { env: cleanEnvironment(environment) });
        let rest = '';
        const take = (chunk) => {
            this.output += chunk;
            rest += chunk;
            const lines = rest.split('\n');
            rest = lines.pop();
            for (const line of lines) this.#line(line);
        };
        this.#child.stdout.on('data', take);
        this.#child.stderr.on('data', take);
        this.#child.on('close', (status, signal) => {
            this.exit = { status, signal };
            this.#wake();
        });
        const ready = await this.logged((record) => record.message === 'ready');
        this.httpsPort = ready.https_port;
        this.httpPort = ready.http_port;
        this.pid = this.#child.pid;
    }

    #line(line) {
        if (!line.startsWith('{')) return;
        try {
            this.log.push(JSON.parse(line));
        } catch {
            return;
        }
        this.#wake();
    }

    #wake() {
        for (const waiter of this.#waiters.splice(0)) waiter();
    }

    /** The first log record that `matches`, already written or to come. */
    async logged(matches, timeoutMs = patienceMs) {
        const end = Date.now() + timeoutMs;
        for (let at = 0; ;) {
            for (; at < this.log.length; at++) if (matches(this.log[at])) return this.log[at];
            if (this.exit) throw new Error(`the server has ended: ${JSON.stringify(this.exit)}\n${this.output}`);
            const left = end - Date.now();
            if (left <= 0) throw new Error(`not logged in time\n${this.output}`);
            await this.#news(left);
        }
    }

    #news(timeoutMs) {
        return new Promise((resolve) => {
            const timer = setTimeout(resolve, timeoutMs);
            this.#waiters.push(() => { clearTimeout(timer); resolve(); });
        });
    }

    signal(name) {
        this.#child.kill(name);
    }

    get url() { return `http://localhost:${this.httpPort}`; }
    get secureUrl() { return `https://localhost:${this.httpsPort}`; }

    /** One request, the self-signed certificate accepted. */
    fetch(path, { secure = false, method = 'GET', headers = {}, body } = {}) {
        const request = secure ? httpsRequest : httpRequest;
        return new Promise((resolve, reject) => {
            const outgoing = request({
                host: '127.0.0.1', port: secure ? this.httpsPort : this.httpPort, path, method, headers,
                rejectUnauthorized: false, agent: false,
            }, (response) => {
                const chunks = [];
                response.on('data', (chunk) => chunks.push(chunk));
                response.on('end', () => resolve({
                    status: response.statusCode, headers: response.headers,
                    body: Buffer.concat(chunks).toString(),
                    certificate: response.socket.getPeerCertificate?.(),
                }));
                response.on('error', reject);
            });
            outgoing.on('error', reject);
            outgoing.end(body);
        });
    }

    /** Values of /metrics: `name{labels}` without the prefix to number. */
    async metrics() {
        const { status, body } = await this.fetch('/metrics');
        if (status !== 200) throw new Error(`/metrics: ${status}`);
        return Server.parseMetrics(body);
    }

    /** A metric, summed over its labels; over those sets of labels alone that contain `label`. */
    async total(name, label = '') {
        return [...await this.metrics()].reduce((sum, [full, value]) =>
            (full === name || full.startsWith(`${name}{`)) && full.includes(label) ? sum + value : sum, 0);
    }

    static parseMetrics(/** @type {string} */ text) {
        return new Map(text.split('\n').filter((line) => line.startsWith('roost_')).map((line) => {
            const space = line.lastIndexOf(' ');
            return [line.slice('roost_'.length, space), Number(line.slice(space + 1))];
        }));
    }

    /** Ends it as a service manager would. Returns how it ended; a sanitizer's word is an error. */
    async stop({ timeoutMs = patienceMs } = {}) {
        if (!this.exit) this.#child.kill('SIGTERM');
        const end = Date.now() + timeoutMs;
        while (!this.exit && Date.now() < end) await this.#news(end - Date.now());
        if (!this.exit) {
            this.#child.kill('SIGKILL');
            throw new Error(`the server did not stop\n${this.output}`);
        }
        if (this.ownDataDir) rmSync(this.dataDir, { recursive: true, force: true });
        if (/ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer/.test(this.output))
            throw new Error(this.output);
        return this.exit;
    }
}
