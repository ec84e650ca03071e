/** Breaks this machine's network on purpose, for one UDP port of a test's own server. */

import { execFileSync } from 'node:child_process';

const prefix = 'roost_test_';
const table = `${prefix}${process.pid}`;

function nft(/** @type {string} */ script) {
    const root = process.getuid?.() === 0;
    return execFileSync(root ? 'nft' : 'sudo', root ? ['-f', '-'] : ['-n', 'nft', '-f', '-'], { input: script, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Whether the test that made a table is still there. */
function lives(/** @type {number} */ pid) {
    try {
        process.kill(pid, 0);
        return true;
    } catch (error) {
        return error.code === 'EPERM';
    }
}

/** Tables of tests that were killed: their port would be dead for whoever gets it next. */
function sweep() {
    const found = nft('list tables inet\n').matchAll(new RegExp(`^table inet (${prefix}(\\d+)\\w*)`, 'gm'));
    for (const [, name, pid] of found)
        if (!lives(Number(pid))) nft(`delete table inet ${name}\n`);
}

/** Drops what fits the rules, until restored. */
function drop(/** @type {string} */ name, /** @type {string[]} */ ...rules) {
    sweep();
    nft(`table inet ${name} {
        chain input {
            type filter hook input priority 0
            ${rules.map((rule) => `${rule} drop`).join('\n')}
        }
    }
    `);
    let dropping = true;
    return {
        restore() {
            if (dropping) nft(`delete table inet ${name}\n`);
            dropping = false;
        },
    };
}

/** Loses every datagram from and to a UDP port until restored. */
export const cutUdp = (/** @type {number} */ port) => drop(table, `udp dport ${port}`, `udp sport ${port}`);

/** Loses one in so many datagrams that a UDP port sends, evenly, until restored. */
export const loseOneIn = (/** @type {number} */ port, /** @type {number} */ count) =>
    drop(`${table}_loss`, `udp sport ${port} numgen inc mod ${count} 0`);
