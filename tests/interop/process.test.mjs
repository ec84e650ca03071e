// The process as an operator meets it: start, configuration, signals, certificates, metrics, stop.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';

import WebSocket from 'ws';

import { Server, binary, runCommand } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const folder = mkdtempSync(join(tmpdir(), 'roost-process-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A self-signed certificate, put in place by renaming as certbot does. */
function makeCertificate(name) {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
        '-keyout', `${key}.new`, '-out', `${cert}.new`, '-days', '30', '-subj', `/CN=${name}`], { stdio: 'ignore' });
    renameSync(`${key}.new`, key);
    renameSync(`${cert}.new`, cert);
    return { cert, key };
}

test('without any configuration it starts, tells where to go, and keeps keys of its own', async () => {
    const dataDir = join(folder, 'data');
    const first = await Server.start({ dataDir, sanitized: true });
    assert.equal(statSync(dataDir).mode & 0o777, 0o700);
    for (const name of readdirSync(dataDir).filter((name) => /secret|key/.test(name)))
        assert.equal(statSync(join(dataDir, name)).mode & 0o777, 0o600, name);
    const page = await first.fetch('/', { secure: true });
    assert.equal(page.status, 200);
    const fingerprint = page.certificate.fingerprint256;
    assert.deepEqual(await first.stop(), { status: 0, signal: null });
    assert.match(first.output, new RegExp(`http://localhost:${first.httpPort}/\n`));
    assert.match(first.output, /self-signed/);

    const second = await Server.start({ dataDir, sanitized: true });
    assert.equal((await second.fetch('/', { secure: true })).certificate.fingerprint256, fingerprint);
    await second.stop();
});

test('health, readiness and metrics answer, and metrics only to those allowed', async () => {
    const server = await Server.start();
    assert.equal((await server.fetch('/healthz')).body, 'ok\n');
    assert.equal((await server.fetch('/readyz')).status, 200);
    const metrics = await server.metrics();
    assert.ok(metrics.get('process_resident_memory_bytes') > 1e6);
    assert.ok(metrics.has('loop_turns_total{worker="control"}'));
    assert.ok(metrics.has('udp_received_total{worker="0"}'));
    await server.stop();

    const closed = await Server.start({ set: { 'metrics.allow': '192.0.2.0/24' } });
    assert.equal((await closed.fetch('/metrics')).status, 403);
    assert.equal((await closed.fetch('/healthz')).status, 200);
    await closed.stop();
});

test('the metrics page is well-formed Prometheus text', async () => {
    const server = await Server.start();
    const { body, headers } = await server.fetch('/metrics');
    assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
    const types = new Map();
    const seen = new Set();
    let current = '';
    for (const line of body.trimEnd().split('\n')) {
        const meta = /^# (HELP|TYPE) (roost_[a-z0-9_]+) (.+)$/.exec(line);
        if (meta) {
            if (meta[1] === 'TYPE') {
                assert.ok(!types.has(meta[2]), `${meta[2]} is described twice`);
                types.set(meta[2], meta[3]);
                current = meta[2];
            }
            continue;
        }
        const value = /^(roost_[a-z0-9_]+)(\{[a-z_]+="[^"\n]*"(?:,[a-z_]+="[^"\n]*")*\})? (\d+)$/.exec(line);
        assert.ok(value, line);
        assert.equal(value[1], current, `${line} stands apart from its name`);
        assert.ok(!seen.has(value[1] + value[2]), `${line} is there twice`);
        seen.add(value[1] + value[2]);
        if (types.get(value[1]) === 'counter') assert.match(value[1], /_total$/);
    }
    assert.ok(seen.size > 100);
    await server.stop();
});

test('a port in use is told with the option to change', async () => {
    const taken = createServer();
    await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address();
    const { status, output } = await runCommand(['serve', '--data', join(folder, 'data2'), '--set', `http.https_port=${port}`,
        '--set', 'http.http_port=0', '--set', 'media.udp_port=0', '--set', 'http.bind=127.0.0.1']);
    taken.close();
    assert.equal(status, 3);
    assert.match(output, /is in use.*http\.https_port/);

    const server = await Server.start();
    const udpPort = server.log.find((record) => record.message === 'media is ready').port;
    const second = await runCommand(['serve', '--data', join(folder, 'data2'), '--set', 'http.https_port=0',
        '--set', 'http.http_port=0', '--set', `media.udp_port=${udpPort}`]);
    assert.equal(second.status, 3);
    assert.match(second.output, /UDP port \d+ is in use.*media\.udp_port/);
    await server.stop();
});

test('SIGHUP applies what reloads, names what needs a restart, and survives a bad file', async () => {
    const config = join(folder, 'roost.conf');
    writeFileSync(config, '[log]\nlevel = info\n[rooms]\nmax_rooms = 10\n');
    const server = await Server.start({ args: ['--config', config], sanitized: true });
    writeFileSync(config, '[log]\nlevel = debug\n[rooms]\nmax_rooms = 20\n[server]\nworkers = 1\n');
    server.signal('SIGHUP');
    await server.logged((record) => record.option === 'log.level' && record.message === 'option changed');
    await server.logged((record) => record.option === 'rooms.max_rooms' && record.message === 'option changed');
    await server.logged((record) => record.option === 'server.workers' && /needs a restart/.test(record.message));
    writeFileSync(config, '[log]\nlevel = loud\n');
    server.signal('SIGHUP');
    await server.logged((record) => /not valid, nothing was changed/.test(record.message));
    assert.equal((await server.fetch('/readyz')).status, 200);
    assert.equal((await server.stop()).status, 0);
});

test('a renewed certificate is served without a restart, a broken one is not', async () => {
    const { cert, key } = makeCertificate('first.example');
    const server = await Server.start({ set: { 'http.cert': cert, 'http.key': key }, sanitized: true });
    const subject = async () => (await server.fetch('/healthz', { secure: true })).certificate.subject.CN;
    assert.equal(await subject(), 'first.example');
    assert.match((await server.fetch('/', { secure: true })).headers['strict-transport-security'], /max-age=15552000/);
    makeCertificate('second.example');
    await server.logged((record) => record.message === 'certificate loaded again');
    assert.equal(await subject(), 'second.example');
    writeFileSync(cert, 'not a certificate');
    await server.logged((record) => /certificate not loaded/.test(record.message));
    assert.equal(await subject(), 'second.example');
    await server.stop();
});

test('a stop waits for idle connections no longer than it must', async () => {
    const server = await Server.start({ set: { 'server.stop_timeout': '10m' } });
    const idle = connect(server.httpPort, '127.0.0.1');
    await new Promise((resolve) => idle.once('connect', resolve));
    const closed = new Promise((resolve) => idle.once('close', resolve));
    assert.equal((await server.stop()).status, 0);
    await closed;
});

test('a second SIGTERM ends at once', async () => {
    const server = await Server.start({ set: { 'server.stop_timeout': '10m', 'http.header_timeout': '10m' } });
    const slow = connect(server.httpPort, '127.0.0.1');
    slow.on('error', () => {});
    slow.write('GET / HTTP/1.1\r\n'); // a request that has begun holds the stop up
    await until('it has begun', async () => (await server.metrics()).get('http_connections') >= 2);
    server.signal('SIGTERM');
    await server.logged((record) => record.message === 'stopping');
    server.signal('SIGTERM');
    assert.equal((await server.stop()).status, 0);
});

test('a stop that is cut short takes WebSockets down with it in order', async () => {
    const server = await Server.start({ sanitized: true, set: { 'server.stop_timeout': '10m' } });
    const socket = new WebSocket(`ws://127.0.0.1:${server.httpPort}/ws`);
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ type: 'hello', id: 1, version: 1 }));
    await new Promise((resolve) => socket.once('message', resolve));
    socket.pause(); // it will never answer the server's close frame
    server.signal('SIGTERM');
    await server.logged((record) => record.message === 'stopping');
    server.signal('SIGTERM');
    assert.deepEqual(await server.stop(), { status: 0, signal: null });
    socket.terminate();
});

test('secrets appear neither in the log nor in check', async () => {
    const secret = 'correct-horse-battery';
    const server = await Server.start({ set: { 'auth.token_secret': secret, 'log.level': 'debug' } });
    server.signal('SIGHUP');
    await server.logged((record) => /read again/.test(record.message));
    await server.stop();
    assert.ok(!server.output.includes(secret));
    const check = await runCommand(['check', '--set', `auth.token_secret=${secret}`]);
    assert.equal(check.status, 0);
    assert.ok(!check.output.includes(secret));
    assert.match(check.output, /auth\.token_secret +=.*\(set\)/);
});

test('every command has help, and mistakes are told with the nearest name', async () => {
    const { output } = await runCommand(['--help']);
    const names = [...output.split('Options:')[0].matchAll(/^ {2}([a-z-]+) /gm)].map((match) => match[1]);
    assert.ok(names.includes('serve') && names.includes('check'));
    for (const name of names) {
        const help = await runCommand([name, '--help']);
        assert.equal(help.status, 0, name);
        assert.match(help.output, new RegExp(`^roost ${name}`));
    }
    const mistake = await runCommand(['chekc']);
    assert.equal(mistake.status, 2);
    assert.match(mistake.output, /did you mean check/);
});

test('install puts program, manual, unit and sample where packages want them', async () => {
    const target = join(folder, 'install');
    const install = spawnSync('cmake', ['--install', dirname(binary()), '--prefix', '/usr'], {
        env: { ...process.env, DESTDIR: target }, encoding: 'utf8',
    });
    assert.equal(install.status, 0, install.stderr);
    for (const path of ['usr/bin/roost', 'usr/share/man/man1/roost.1', 'usr/lib/systemd/system/roost.service',
        'usr/share/doc/roost/roost.conf.sample', 'etc/roost/roost.conf'])
        assert.ok(statSync(join(target, path)).size > 0, path);
    const unit = readFileSync(join(target, 'usr/lib/systemd/system/roost.service'), 'utf8');
    assert.match(unit, /ExecStart=\/usr\/bin\/roost serve/);
    for (const line of ['DynamicUser=yes', 'NoNewPrivileges=yes', 'ProtectSystem=strict', 'MemoryDenyWriteExecute=yes',
        'CapabilityBoundingSet=CAP_NET_BIND_SERVICE', 'SystemCallFilter=@system-service'])
        assert.ok(unit.split('\n').includes(line), line);
    const check = await runCommand(['check', '--config', join(target, 'etc/roost/roost.conf')]);
    assert.equal(check.status, 0, check.output);
    assert.match(check.output, /http\.https_port += 443 /);
});
