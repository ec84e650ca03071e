/** Breaks this machine's network on purpose, for one UDP port of a test's own server. */

import { execFileSync } from 'node:child_process';

const table = `roost_test_${process.pid}`;

function nft(/** @type {string} */ script) {
    const root = process.getuid?.() === 0;
    execFileSync(root ? 'nft' : 'sudo', root ? ['-f', '-'] : ['-n', 'nft', '-f', '-'], { input: script, stdio: ['pipe', 'ignore', 'pipe'] });
}

/** Loses every datagram from and to a UDP port until restored. */
export function cutUdp(/** @type {number} */ port) {
    nft(`table inet ${table} {
        chain input {
            type filter hook input priority 0
            udp dport ${port} drop
            udp sport ${port} drop
        }
    }
    `);
    let cut = true;
    return {
        restore() {
            if (cut) nft(`delete table inet ${table}\n`);
            cut = false;
        },
    };
}

/** Loses this many of a hundred datagrams that a UDP port sends, at random, until restored. */
export function loseUdp(/** @type {number} */ port, /** @type {number} */ percent) {
    const losing = `${table}_loss`;
    nft(`table inet ${losing} {
        chain input {
            type filter hook input priority 0
            udp sport ${port} numgen random mod 100 < ${percent} drop
        }
    }
    `);
    let lossy = true;
    return {
        restore() {
            if (lossy) nft(`delete table inet ${losing}\n`);
            lossy = false;
        },
    };
}
