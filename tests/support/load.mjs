// The load generator of bench/sfu in tests: our own peers (ICE, DTLS, SRTP) over real sockets, many of them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

import { binary } from './server.mjs';

const generator = () => join(dirname(binary()), 'bench', 'bench_sfu');

/** Why tests that need it are skipped; false when they can run. */
export const loadMissing = () => !existsSync(generator()) && `${generator()} is not built (ninja bench_sfu there)`;

/**
 * Its clients in a room of the server. `joined` is what it says of their coming, `ask` sends a line and parses the
 * answer, `end` lets them leave. It ends with the test at the latest.
 *
 * @param {import('node:test').TestContext} context
 * @param {import('./server.mjs').Server} server
 * @param {...string} options see `bench_sfu --help`
 */
export async function startLoad(context, server, ...options) {
    const child = spawn(generator(), ['--server', `127.0.0.1:${server.httpPort}`, '--pid', String(server.pid), ...options]);
    context.after(() => child.kill('SIGKILL'));
    let problem = '';
    child.stderr.on('data', (chunk) => { problem += chunk; });
    const exit = once(child, 'exit');
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const answer = async () => {
        const { value, done } = await lines.next();
        assert.ok(!done, `the load generator has ended: ${problem}`);
        return JSON.parse(value);
    };
    return {
        joined: await answer(),
        ask: (line) => { child.stdin.write(`${line}\n`); return answer(); },
        end: async () => { child.stdin.end(); assert.deepEqual(await exit, [0, null], problem); },
    };
}
