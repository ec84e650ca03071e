/** The server of the laboratory: roost in the server's namespace, or coturn to compare with. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Server } from '../support/server.mjs';
import { comparing, credentials, secret } from '../support/turn.mjs';
import { server as address } from './network.mjs';

export { comparing };

/** What a page gets as `iceServers`: every transport; the name has addresses of both families. */
export function iceServers() {
    return [{ urls: `stun:${address.name}:3478` }, {
        urls: [`turn:${address.name}:3478`, `turn:${address.name}:3478?transport=tcp`,
            `turns:${address.name}:5349?transport=tcp`, `turns:${address.name}:443?transport=tcp`],
        ...credentials(),
    }];
}

/** Two processes: one of them has no port for each. */
async function startCoturn(lab, authority) {
    const folder = mkdtempSync(join(tmpdir(), 'roost-coturn-'));
    const children = [[3478, 5349], [3479, 443]].map(([port, tlsPort]) => spawn('ip', ['netns', 'exec', lab.server, 'turnserver', '-n',
        '-L', address.ipv4, '-L', address.ipv6, '-E', address.ipv4, '-E', address.ipv6, '-p', String(port), '--tls-listening-port', String(tlsPort),
        '--cert', authority.chain, '--pkey', authority.key, '--use-auth-secret', '--static-auth-secret', secret, '-r', 'lab',
        '--no-cli', '-l', 'stdout', '--simple-log', '--no-rfc5780', '--min-port', port === 3478 ? '40000' : '50000', '--max-port', port === 3478 ? '49999' : '59999',
        '--pidfile', join(folder, `${port}.pid`)], { stdio: ['ignore', 'pipe', 'pipe'] }));
    await new Promise((resolve) => setTimeout(resolve, 800));
    return {
        pid: children[0].pid,
        metrics: async () => new Map(),
        stop: async () => {
            for (const child of children) child.kill();
            rmSync(folder, { recursive: true, force: true });
        },
    };
}

const common = (authority) => ({ 'turn.secrets': secret, 'turn.max_allocations_per_user': 0, 'http.cert': authority.chain, 'http.key': authority.key });

/** Everything, on the ports that a real one has. */
export async function startServer(lab, authority) {
    if (comparing) return startCoturn(lab, authority);
    const roost = await Server.start({
        within: ['ip', 'netns', 'exec', lab.server],
        set: {
            ...common(authority), 'http.https_port': 443, 'http.http_port': 8080, 'http.names': address.name,
            'media.udp_port': 3478, 'turn.port': 3478, 'turn.tls_port': 5349, 'server.workers': 2,
        },
    });
    roost.metrics = async () => {
        const { output } = await lab.run(lab.server, 'curl', ['-sS', 'http://127.0.0.1:8080/metrics']);
        return Server.parseMetrics(output);
    };
    return roost;
}

/**
 * A media server without TURN: whoever reaches it does so by ICE alone.
 *
 * @param {string} namespace
 * @param {Record<string, string>} set
 */
export function startMediaServer(namespace, authority, name, set = {}) {
    return Server.start({
        within: ['ip', 'netns', 'exec', namespace], args: ['--roles', 'app,signal,media'],
        set: {
            'http.cert': authority.chain, 'http.key': authority.key, 'http.https_port': 443, 'http.http_port': 8080, 'http.names': name,
            'media.udp_port': 3478, 'server.workers': 2, ...set,
        },
    });
}

/** A server of NAT behaviour discovery alone (RFC 5780): two addresses, two ports. */
export async function startDiscovery(lab, authority) {
    const ports = { port: 13478, otherPort: 13479 };
    if (comparing) {
        const child = spawn('ip', ['netns', 'exec', lab.server, 'turnserver', '-n', '-L', address.ipv4, '-L', address.otherIpv4, '-S', '-p', String(ports.port),
            '--alt-listening-port', String(ports.otherPort), '--no-tls', '--no-dtls', '--no-cli', '-l', 'stdout', '--simple-log', '--pidfile', '/dev/null'], { stdio: 'ignore' });
        await new Promise((resolve) => setTimeout(resolve, 800));
        return { ...ports, stop: async () => child.kill() };
    }
    const roost = await Server.start({
        within: ['ip', 'netns', 'exec', lab.server], args: ['--roles', 'turn'],
        set: {
            ...common(authority), 'server.workers': 1, 'media.bind': address.ipv4, 'media.udp_port': ports.port,
            'turn.tcp': false, 'turn.tls': false, 'turn.dtls': false,
            'turn.nat_discovery_address': address.otherIpv4, 'turn.nat_discovery_port': ports.otherPort,
        },
    });
    return { ...ports, stop: () => roost.stop() };
}
