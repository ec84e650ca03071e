// A TURN server under test on loopback: roost, or coturn where a test is itself tested.
import { spawn } from 'node:child_process';
import { createHmac, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Authority } from './certificate.mjs';
import { Server } from './server.mjs';
import { until } from './until.mjs';

/** ROOST_LAB_SERVER=coturn: what a test says of coturn tells whether the test is right. */
export const comparing = process.env.ROOST_LAB_SERVER === 'coturn';

export const secret = 'a secret of tests';

/** Time-limited credentials (REST). */
export function credentials(user = 'tester', { lifetimeS = 3600, key = secret } = {}) {
    const username = `${Math.floor(Date.now() / 1000) + lifetimeS}:${user}`;
    return { username, credential: createHmac('sha1', key).update(username).digest('base64') };
}

const bound = (bind) => new Promise((resolve, reject) => {
    bind(resolve, reject);
});

/**
 * A port that is free for UDP and for TCP, in both families, now, and that the system gives to nobody who does not ask
 * for it (as it does with 32768 and more).
 */
export async function freePort() {
    for (let tries = 0; tries < 50; tries++) {
        const port = randomInt(5000, 10000);
        const tcp = createServer();
        const udp = createSocket({ type: 'udp6' });
        try {
            await bound((resolve, reject) => tcp.once('error', reject).listen(port, '::', resolve));
            await bound((resolve, reject) => udp.once('error', reject).bind(port, '::', resolve));
            return port;
        } catch {
            // taken for UDP: another one
        } finally {
            tcp.close();
            udp.close();
        }
    }
    throw new Error('no port is free for both UDP and TCP');
}

const RELAY_PORTS = 300;

/**
 * Ports for the relays of one server, which no other test has: sockets of relays open late, so servers that take ports
 * out of the same range meet there. `set` are the options, `release` gives them back.
 */
export const relayPorts = () => until('ports for relays', async () => {
    // above those that the system gives away
    for (let first = 61000; first + RELAY_PORTS <= 65536; first += RELAY_PORTS) {
        // whoever listens at the first one has them all
        const holder = createServer().unref();
        const has = await bound((resolve, reject) => holder.once('error', reject).listen(first, '127.0.0.1', resolve)).then(() => true, () => false);
        if (has) return { set: { 'turn.min_port': first + 1, 'turn.max_port': first + RELAY_PORTS - 1 }, release: () => holder.close() };
    }
    return undefined;
});

/** Sum of all lines of a metric whose labels contain `labels`, over workers. */
export function sumOf(metrics, name, labels = '') {
    let sum = 0;
    for (const [key, value] of metrics)
        if ((key === name || key.startsWith(`${name}{`)) && key.includes(labels)) sum += value;
    return sum;
}

/** What a peer on loopback needs; without it the server refuses to reach this machine. */
export const loopbackPeers = { 'turn.allowed_peers': '127.0.0.0/8, ::1/128' };

export class TurnServer {
    /**
     * @param {{set?: Record<string, string|number|boolean>, sanitized?: boolean, args?: string[],
     *     coturn?: string[], workers?: number, dataDir?: string}} [options] coturn: its arguments for the
     *     same when comparing
     */
    static async start({ set = {}, sanitized = true, args = [], coturn = [], workers = 2, dataDir } = {}) {
        const server = new TurnServer();
        server.authority = new Authority(['localhost', '127.0.0.1', '::1']);
        server.port = await freePort();
        server.tlsPort = await freePort();
        server.relays = await relayPorts();
        if (comparing) await server.#startCoturn(coturn);
        else server.roost = await Server.start({
            sanitized, args, dataDir, set: {
                'server.workers': workers, 'media.udp_port': server.port, 'turn.port': server.port, 'turn.tls_port': server.tlsPort,
                'turn.relay_addresses': '127.0.0.1, ::1', 'turn.secrets': secret,
                ...server.relays.set,
                'http.cert': server.authority.chain, 'http.key': server.authority.key, ...set,
            },
        });
        server.pid = (server.roost ?? server.child).pid;
        return server;
    }

    async #startCoturn(extra) {
        this.folder = mkdtempSync(join(tmpdir(), 'roost-coturn-'));
        this.child = spawn('turnserver', ['-n', '-L', '127.0.0.1', '-L', '::1', '-p', String(this.port), '--tls-listening-port', String(this.tlsPort),
            '--cert', this.authority.chain, '--pkey', this.authority.key, '--use-auth-secret', '--static-auth-secret', secret, '-r', 'roost',
            '--no-cli', '-l', 'stdout', '--simple-log', '--pidfile', join(this.folder, 'pid'), '--allow-loopback-peers', '--mobility', ...extra],
        { stdio: ['ignore', 'pipe', 'pipe'] });
        this.output = '';
        for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (chunk) => { this.output += chunk; });
        await new Promise((resolve) => setTimeout(resolve, 800));
    }

    get httpsPort() { return this.roost?.httpsPort; }

    /** Sum of a metric now; when comparing there are none. */
    async metric(name, labels) {
        return comparing ? NaN : sumOf(await this.roost.metrics(), name, labels);
    }

    async stop() {
        try {
            if (this.roost) return await this.roost.stop();
            this.child.kill();
            rmSync(this.folder, { recursive: true, force: true });
            return { status: 0, signal: null };
        } finally {
            this.relays.release();
            this.authority.remove();
        }
    }
}
