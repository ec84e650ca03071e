// The journal of the broker: what happens while the disk is full, and how large a flood makes it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Client, startMqtt } from '../support/mqtt.mjs';
import { until } from '../support/until.mjs';

/** Sizes of the journal's files, by name. */
function files(dataDir) {
    const folder = join(dataDir, 'mqtt');
    return readdirSync(folder).map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
}

test('while the disk is full, what needs the journal waits, all else goes on, and nothing is lost', { timeout: 240000 }, async (context) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'roost-full-'));
    context.after(() => rmSync(dataDir, { recursive: true, force: true }));
    // files may be so long and no longer: as on a full disk, without one
    const server = await startMqtt({ dataDir, within: ['sh', '-c', 'trap "" XFSZ; exec "$0" "$@"'] });
    const allow = (size) => execFileSync('prlimit', ['--pid', `${server.pid}`, `--fsize=${size}:unlimited`]);
    const options = { clientId: 'keeper', clean: false, properties: { sessionExpiryInterval: 3600 } };
    const clients = [await Client.connect(server, options), await Client.connect(server)];
    context.after(() => clients.forEach(({ mqtt }) => mqtt.end(true)));
    const [keeper, other] = clients;
    await keeper.subscribe('kept/#', 1);
    await other.subscribe('fleeting', 0);
    await keeper.publish('kept/before', 'before', { qos: 1, retain: true });
    allow(Math.max(...files(dataDir)));
    let acknowledged = false;
    const promise = keeper.publish('kept/then', 'then', { qos: 1, retain: true }).then(() => { acknowledged = true; });
    await server.logged(({ message }) => message === 'the journal cannot be written: what needs it waits');
    for (let index = 0; index < 20; index++) {
        await other.publish('fleeting', `${index}`, { qos: 0 });
        await other.next(({ text }) => text === `${index}`);
    }
    assert.equal(acknowledged, false, 'what is not on the disk is not acknowledged');
    allow('unlimited');
    await promise;
    await server.logged(({ message }) => message === 'the journal is written again');
    server.signal('SIGKILL');
    await until('both are closed', () => clients.every(({ isClosed }) => isClosed));

    const again = await startMqtt({ dataDir });
    const back = await Client.connect(again, options);
    context.after(async () => {
        back.mqtt.end(true);
        assert.deepEqual(await again.stop(), { status: 0, signal: null });
    });
    assert.equal(back.sessionPresent, true);
    await back.subscribe('kept/#', 1);
    for (const text of ['before', 'then']) await back.next((message) => message.text === text && message.retain);
});

test('a flood into a session that is kept makes the journal no larger than its bounds', { timeout: 240000 }, async (context) => {
    const server = await startMqtt({ sanitized: false, set: { 'mqtt.max_queued_bytes': '1m', 'mqtt.max_queued_messages': 1000 } });
    const away = await Client.connect(server, { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 3600 } });
    await away.subscribe('flood', 1);
    await away.end();
    const from = await Client.connect(server);
    context.after(async () => {
        from.mqtt.end(true);
        assert.deepEqual(await server.stop(), { status: 0, signal: null });
    });
    const payload = Buffer.alloc(100000, 'x');
    const size = () => files(server.dataDir).reduce((sum, one) => sum + one, 0);
    let largest = 0;
    let sent = 0;
    for (let round = 0; round < 200; round++, sent += 10 * payload.length) {
        await Promise.all(Array.from({ length: 10 }, () => from.publish('flood', payload, { qos: 1, retain: true })));
        largest = Math.max(largest, size());
    }
    // it is made shorter when 8 MiB have come; a batch more and what is being written beside it
    context.diagnostic(`${sent >> 20} MiB sent, at most ${largest >> 20} MiB on the disk`);
    assert.ok(largest < 40 << 20, `${largest} of ${sent}`);
    await until('it is short', () => size() < 16 << 20);
    assert.ok(await server.total('mqtt_messages_dropped_total', 'queue_full') > 0);
});
