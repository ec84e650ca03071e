/**
 * A small internet in network namespaces: a server with public addresses, and clients in networks of
 * every kind that keeps calls from connecting. Needs root, iproute2, nftables and python3.
 *
 *      client ── gateway (NAT, firewall, bad link) ── core router ── server
 *     10.0.i.2            11.2.i.1                        │        11.1.0.1, 11.1.0.2
 *                                                         └── gateway (1:1 NAT) ── cloud server
 *                                                               11.3.0.1            10.99.0.2
 *
 * The addresses look public on purpose: a relay refuses private ones.
 */

import { execFileSync, spawn } from 'node:child_process';
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from '../support/until.mjs';

const wireProgram = new URL('wire.py', import.meta.url).pathname;
const arrivalsProgram = new URL('arrivals.py', import.meta.url).pathname;

/** The server's addresses; two of IPv4, for RFC 5780. */
export const server = { ipv4: '11.1.0.1', otherIpv4: '11.1.0.2', ipv6: '2a00:1100:1::1', otherIpv6: '2a00:1100:1::2', name: 'turn.lab.test' };

/** A server whose public address is its gateway's. */
export const cloud = { ipv4: '11.3.0.1', inside: '10.99.0.2', name: 'cloud.lab.test' };

/**
 * Every kind of network. `direct`: what a STUN client of RFC 5780 finds, and which kinds it can reach
 * without a relay.
 *
 * nat: how the gateway maps and filters; forward: rules for what leaves; link: how bad the line is
 */
export const kinds = {
    'public': { title: 'public, IPv4 and IPv6' },
    'full-cone': { title: 'NAT, full cone', nat: 'full-cone' },
    'address-restricted': { title: 'NAT, address-restricted', nat: 'address-restricted' },
    'port-restricted': { title: 'NAT, port-restricted', nat: 'port-restricted' },
    'symmetric': { title: 'NAT, symmetric', nat: 'symmetric' },
    'no-udp': { title: 'NAT, UDP blocked', nat: 'port-restricted', forward: 'meta l4proto udp drop' },
    'tcp-443': { title: 'firewall, only TCP 443', nat: 'port-restricted', forward: 'tcp dport != 443 drop; meta l4proto != tcp drop' },
    'ipv6': { title: 'IPv6 only', ipv6Only: true },
    'lossy': { title: 'NAT, 10 % loss, 50 ms', nat: 'port-restricted', wire: { delayMs: 50, lossPercent: 10 } },
    'slow': { title: 'NAT, 1 Mbit/s', nat: 'port-restricted', rate: '1mbit' },
};

/** What NAT behaviour discovery (RFC 5780) must find behind each gateway. */
export const behaviour = {
    'full-cone': { mapping: 'endpoint independent', filtering: 'endpoint independent' },
    'address-restricted': { mapping: 'endpoint independent', filtering: 'address dependent' },
    'port-restricted': { mapping: 'endpoint independent', filtering: 'address and port dependent' },
    'symmetric': { mapping: 'address and port dependent', filtering: 'address and port dependent' },
};

/** Whether a call between two kinds can do without a relay, by the book (RFC 5128). */
export function canBeDirect(one, other) {
    const [a, b] = [kinds[one], kinds[other]];
    if (a.forward || b.forward) return false;
    if (a.ipv6Only || b.ipv6Only) return [a, b].every((kind) => kind.ipv6Only || !kind.nat);
    const strict = (kind) => kind.nat === 'symmetric' || kind.nat === 'port-restricted';
    if (a.nat === 'symmetric' && strict(b)) return false;
    if (b.nat === 'symmetric' && strict(a)) return false;
    return true;
}

export function hasProgram(name) {
    try {
        execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' });
        return true;
    } catch {
        return false;
    }
}

/** Why there can be no laboratory here, or null. */
export function whyNot() {
    if (process.getuid?.() !== 0) return 'the network laboratory needs root (network namespaces)';
    const missing = ['ip', 'tc', 'nft', 'python3', 'certutil'].find((program) => !hasProgram(program));
    if (missing) return `the network laboratory needs the program ${missing}`;
    try {
        accessSync('/dev/net/tun', constants.W_OK);
        execFileSync('ip', ['netns', 'add', `rlab${process.pid}`], { stdio: 'ignore' });
        execFileSync('ip', ['netns', 'del', `rlab${process.pid}`], { stdio: 'ignore' });
    } catch {
        return 'the network laboratory needs network namespaces and /dev/net/tun';
    }
    return null;
}

const run = (program, args, options = {}) => execFileSync(program, args, { stdio: ['pipe', 'pipe', 'pipe'], encoding: 'utf8', ...options });

function natRules({ nat, forward }, client) {
    // what answers, what the gateway let out before, and what its kind of NAT lets in
    const opening = {
        'full-cone': 'set open { type inet_service; flags dynamic,timeout; timeout 120s; size 65535; }',
        'address-restricted': 'set open { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 120s; size 65535; }',
    }[nat];
    const learn = {
        'full-cone': 'iifname "in" meta l4proto udp update @open { udp sport }',
        'address-restricted': 'iifname "in" meta l4proto udp update @open { ip daddr . udp sport }',
    }[nat];
    const admit = {
        'full-cone': `iifname "out" udp dport @open dnat to ${client}`,
        'address-restricted': `iifname "out" ip saddr . udp dport @open dnat to ${client}`,
    }[nat];
    return `table ip lab {
        ${opening ?? ''}
        chain input {
            type filter hook input priority 0; policy drop;
            ct state established,related accept
            iifname "in" accept
            iifname "lo" accept
        }
        chain forward {
            type filter hook forward priority 0; policy drop;
            ${(forward ?? '').split('; ').map((rule) => rule && `iifname "in" ${rule}`).join('\n')}
            ${learn ?? ''}
            iifname "in" accept
            ct state established,related accept
            ct status dnat accept
        }
        chain prerouting {
            type nat hook prerouting priority dstnat;
            ${admit ?? ''}
        }
        chain postrouting {
            type nat hook postrouting priority srcnat;
            oifname "out" masquerade ${nat === 'symmetric' ? 'random,fully-random' : ''}
        }
    }
    `;
}

export class Lab {
    #namespaces = [];
    #wires = [];
    #hosts = [];
    #count = 0;
    #prefix = `rlab${process.pid}`;
    #folder = mkdtempSync(join(tmpdir(), 'roost-lab-'));

    /** Ends every namespace, also when the process is interrupted. */
    constructor() {
        process.once('exit', () => this.close());
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
        this.core = this.#add('core');
        this.server = this.#add('server');
        this.#ip(this.core, `link add server type veth peer name eth0 netns ${this.server}
            addr add 11.1.0.254/24 dev server
            addr add 2a00:1100:1::ff/64 dev server nodad
            link set server up`);
        this.#ip(this.server, `addr add ${server.ipv4}/24 dev eth0
            addr add ${server.otherIpv4}/24 dev eth0
            addr add ${server.ipv6}/64 dev eth0 nodad
            addr add ${server.otherIpv6}/64 dev eth0 nodad
            link set eth0 up
            route add default via 11.1.0.254
            route add default via 2a00:1100:1::ff`);
    }

    #add(name) {
        const namespace = `${this.#prefix}-${name}`;
        run('ip', ['netns', 'add', namespace]);
        this.#namespaces.push(namespace);
        // `ip netns exec` lays these files over /etc; browsers ask for STUN servers with the dot of a full name
        const etc = `/etc/netns/${namespace}`;
        mkdirSync(etc, { recursive: true });
        this.#hosts.push(etc);
        writeFileSync(join(etc, 'hosts'), `127.0.0.1 localhost\n${server.ipv4} ${server.name} ${server.name}.\n${server.ipv6} ${server.name} ${server.name}.\n${cloud.ipv4} ${cloud.name}\n`);
        writeFileSync(join(etc, 'resolv.conf'), '');
        run('ip', ['netns', 'exec', namespace, 'sh', '-c', `
            for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $f; done
            echo 1 > /proc/sys/net/ipv4/ip_forward
            echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`]);
        this.#ip(namespace, 'link set lo up');
        return namespace;
    }

    #ip(namespace, commands) {
        run('ip', ['-n', namespace, '-batch', '-'], { input: commands.split('\n').map((line) => line.trim()).join('\n') + '\n' });
    }

    #nft(namespace, rules) {
        run('ip', ['netns', 'exec', namespace, 'nft', '-f', '-'], { input: rules });
    }

    /**
     * A client's network. Returns the namespace in which the client runs, and its names.
     *
     * @param {string | {nat?: string, forward?: string, ipv6Only?: boolean, wire?: {delayMs: number, lossPercent: number}, rate?: string}} kind
     *     one of `kinds`, or one of the caller's own
     */
    async network(kind) {
        const options = typeof kind === 'string' ? kinds[kind] : kind;
        const number = ++this.#count;
        const client = this.#add(`c${number}`);
        const network = { kind, client, number, gateway: null, address: options.ipv6Only ? `2a00:1100:2:${number}::1` : options.nat ? `10.0.${number}.2` : `11.2.${number}.1` };
        const edge = options.nat ? this.#add(`g${number}`) : client;
        if (options.wire) await this.#wire(this.core, `n${number}`, edge, 'out', options.wire);
        else this.#ip(this.core, `link add n${number} type veth peer name out netns ${edge}`);
        const far = options.wire ? 'dev out' : `via 11.2.${number}.254`;
        if (!options.ipv6Only) {
            this.#ip(this.core, `addr add 11.2.${number}.254/24 dev n${number}\nlink set n${number} up`);
            this.#ip(edge, `addr add 11.2.${number}.1/24 dev out\nlink set out up\nroute add default ${far}`);
        }
        if (!options.nat) {
            this.#ip(this.core, `addr add 2a00:1100:2:${number}::ff/64 dev n${number} nodad\nlink set n${number} up`);
            this.#ip(edge, `addr add 2a00:1100:2:${number}::1/64 dev out nodad\nlink set out up\nroute add default via 2a00:1100:2:${number}::ff`);
        } else {
            network.gateway = edge;
            await this.#inside(client, edge, number, 'eth0', options);
            this.#ip(client, `route add default via 10.0.${number}.1`);
        }
        if (options.rate) {
            this.shapeDown(network, options.rate);
            this.#shape(edge, 'out', options.rate);
        }
        return network;
    }

    /** The inner side of a gateway: a device of the client with an address of its own. */
    async #inside(client, gateway, number, device, options) {
        this.#ip(gateway, `link add in type veth peer name ${device} netns ${client}
            addr add 10.0.${number}.1/24 dev in
            link set in up`);
        this.#ip(client, `addr add 10.0.${number}.2/24 dev ${device}\nlink set ${device} up`);
        this.#nft(gateway, natRules(options, `10.0.${number}.2`));
        // the kernel says so a while after the carrier is there; browsers gather candidates once, from running devices
        await until(`${device} is running`, () => run('ip', ['-n', client, 'link', 'show', device]).includes('state UP'));
    }

    /** A second way out for a client behind NAT, as a phone has: less preferred, but there all the time. */
    async addMobile({ client }) {
        const number = ++this.#count;
        const gateway = this.#add(`g${number}`);
        this.#ip(this.core, `link add n${number} type veth peer name out netns ${gateway}
            addr add 11.2.${number}.254/24 dev n${number}
            link set n${number} up`);
        this.#ip(gateway, `addr add 11.2.${number}.1/24 dev out\nlink set out up\nroute add default via 11.2.${number}.254`);
        await this.#inside(client, gateway, number, 'mobile', { nat: 'port-restricted' });
        // what has its address goes its way, as phones bind sockets to a network
        this.#ip(client, `route add default via 10.0.${number}.1 metric 100
            route add default via 10.0.${number}.1 table 100
            rule add from 10.0.${number}.2 table 100`);
    }

    /** Wi-Fi goes out of reach: the device of a client that is not its mobile one, and its address. */
    leaveWiFi({ client }) {
        this.#ip(client, 'addr flush dev eth0\nlink set eth0 down');
    }

    /** The gateway gets another public address, as when a line is dialled anew: every mapping is gone. */
    renumber({ gateway, number }) {
        this.#ip(gateway, `link set out down
            addr del 11.2.${number}.1/24 dev out
            addr add 11.2.${number}.77/24 dev out
            link set out up
            route add default via 11.2.${number}.254`);
    }

    /** The client gets another address on its only device. */
    readdress({ client, number }) {
        this.#ip(client, `addr del 10.0.${number}.2/24 dev eth0
            addr add 10.0.${number}.3/24 dev eth0
            route replace default via 10.0.${number}.1`);
    }

    /** The namespace of a server behind 1:1 NAT: `cloud` has its addresses. */
    cloudServer() {
        const gateway = this.#add('cloud-nat');
        const inside = this.#add('cloud');
        this.#ip(this.core, `link add cloud type veth peer name out netns ${gateway}
            addr add 11.3.0.254/24 dev cloud
            link set cloud up`);
        this.#ip(gateway, `addr add ${cloud.ipv4}/24 dev out
            link set out up
            route add default via 11.3.0.254
            link add in type veth peer name eth0 netns ${inside}
            addr add 10.99.0.1/24 dev in
            link set in up`);
        this.#ip(inside, `addr add ${cloud.inside}/24 dev eth0\nlink set eth0 up\nroute add default via 10.99.0.1`);
        this.#nft(gateway, `table ip lab {
            chain prerouting {
                type nat hook prerouting priority dstnat;
                iifname "out" ip daddr ${cloud.ipv4} dnat to ${cloud.inside}
            }
            chain postrouting {
                type nat hook postrouting priority srcnat;
                oifname "out" ip saddr ${cloud.inside} snat to ${cloud.ipv4}
            }
        }
        `);
        return inside;
    }

    /** Watches what media arrives in a namespace; `stop` returns when (seconds since 1970), from and to where. */
    async watch(namespace) {
        const child = spawn('python3', [arrivalsProgram, namespace], { stdio: ['ignore', 'pipe', 'inherit'] });
        this.#wires.push(child);
        let output = '';
        child.stdout.on('data', (chunk) => { output += chunk; });
        await new Promise((resolve, reject) => {
            child.stdout.once('data', resolve);
            child.once('exit', (code) => reject(new Error(`arrivals.py ended with ${code}`)));
        });
        return {
            stop: () => new Promise((resolve) => {
                child.once('close', () => resolve(output.split('\n').slice(1).filter(Boolean).map((line) => {
                    const [time, from, to] = line.split(' ');
                    return { time: Number(time), from, to };
                })));
                child.kill('SIGTERM');
            }),
        };
    }

    #shape(namespace, device, rate, burst = '8k') {
        run('tc', ['-n', namespace, 'qdisc', 'replace', 'dev', device, 'root', 'tbf', 'rate', rate, 'burst', burst, 'latency', '300ms']);
    }

    /** What comes to the client is sent at this rate from now on; 300 ms of it may wait. */
    shapeDown(network, rate, burst) {
        this.#shape(this.core, `n${network.number}`, rate, burst);
    }

    async #wire(oneNamespace, oneDevice, otherNamespace, otherDevice, { delayMs, lossPercent }) {
        const wire = spawn('python3', [wireProgram, oneNamespace, oneDevice, otherNamespace, otherDevice, String(delayMs), String(lossPercent)],
                           { stdio: ['ignore', 'pipe', 'inherit'] });
        this.#wires.push(wire);
        await new Promise((resolve, reject) => {
            wire.stdout.once('data', resolve);
            wire.once('exit', (code) => reject(new Error(`wire.py ended with ${code}`)));
        });
    }

    /** A program of that name which runs `program` inside a namespace: for those who start one by path. */
    programIn(namespace, program) {
        const path = join(this.#folder, `${namespace}-${program.split('/').pop()}`);
        writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${namespace} ${program} "$@"\n`);
        chmodSync(path, 0o755);
        return path;
    }

    /** Runs a command inside a namespace to its end; its output, whatever it returned. */
    run(namespace, program, args, { timeoutMs = 30000 } = {}) {
        return new Promise((resolve) => {
            const child = spawn('ip', ['netns', 'exec', namespace, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
            const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
            let output = '';
            child.stdout.on('data', (chunk) => { output += chunk; });
            child.stderr.on('data', (chunk) => { output += chunk; });
            child.on('close', (status) => {
                clearTimeout(timer);
                resolve({ status, output });
            });
        });
    }

    close() {
        for (const wire of this.#wires.splice(0)) wire.kill('SIGKILL');
        for (const namespace of this.#namespaces.splice(0)) {
            try {
                run('ip', ['netns', 'del', namespace]);
            } catch { /* it is gone already */ }
        }
        for (const folder of [...this.#hosts.splice(0), this.#folder]) rmSync(folder, { recursive: true, force: true });
    }
}
