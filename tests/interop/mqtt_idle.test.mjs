// Ten thousand clients that connect, subscribe to one topic and stay: what the server holds for each.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { startMqtt } from '../support/mqtt.mjs';
import { binary } from '../support/server.mjs';

const generator = join(dirname(binary()), 'bench', 'bench_mqtt');
const skip = !existsSync(generator) && `${generator} is not built (ninja bench_mqtt there)`;
const clients = 10000;

// KiB of resident memory that a client may take: about twice what bench/RESULTS.md has
for (const [transport, most] of [['tcp', 1.8], ['ws', 5.5]]) {
    test(`${clients} idle clients over ${transport} are held`, { skip, timeout: 120000 }, async () => {
        const server = await startMqtt({ sanitized: false, set: { 'server.workers': 1, 'http.max_connections': 30000, 'http.max_connections_per_address': 30000 } });
        const port = transport === 'ws' ? server.httpPort : server.mqttPort;
        try {
            const { stdout } = await promisify(execFile)(generator, ['--server', `127.0.0.1:${port}`, '--transport', transport, '--pid', String(server.pid), '--core', '0', '--idle', String(clients)]);
            const { kib_per_client: each } = JSON.parse(stdout);
            assert.ok(each > 0 && each < most, `${each} KiB each`);
        } finally {
            assert.deepEqual(await server.stop(), { status: 0, signal: null });
        }
    });
}
