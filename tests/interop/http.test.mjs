// The web server as curl, openssl and hand-made bytes meet it.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

import { RawConnection } from '../support/raw.mjs';
import { Server } from '../support/server.mjs';
import { patienceMs, until } from '../support/until.mjs';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'roost-http-'));
const site = join(folder, 'site');
const acme = join(folder, 'acme');
/** One server for all that needs no option of its own. */
let server;

/** An address of this machine that is not loopback; undefined where there is none. */
const outside = Object.values(networkInterfaces()).flat()
    .find((entry) => entry.family === 'IPv4' && !entry.internal)?.address;

before(async () => {
    mkdirSync(join(site, 'about'), { recursive: true });
    mkdirSync(acme);
    writeFileSync(join(site, 'digits.txt'), '0123456789'.repeat(10));
    writeFileSync(join(site, 'about', 'index.html'), '<!doctype html><script>1</script>ours');
    writeFileSync(join(site, '.secret'), 'hidden');
    symlinkSync('/etc/hostname', join(site, 'link'));
    writeFileSync(join(site, 'big.bin'), Buffer.alloc(3 << 20, 'roost '));
    writeFileSync(join(acme, 'token-1'), 'token-1.thumbprint');
    server = await Server.start({
        sanitized: true,
        set: { 'app.root': site, 'app.acme_dir': acme, 'http.max_connections_per_address': 100,
            'http.header_timeout': '2s', 'http.idle_timeout': '3s', 'http.max_body': '64k' },
    });
});
after(async () => {
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(await server?.stop(), { status: 0, signal: null });
});

/** curl: status, the last answer's header fields, body. */
async function curl(...args) {
    const { stdout } = await run('curl', ['--silent', '--show-error', '--insecure', '--include', '--max-time', `${patienceMs / 1000}`, ...args],
        { encoding: 'buffer', maxBuffer: 64 << 20 });
    let rest = stdout;
    let head = '';
    // answers before the last one: 100 Continue, redirects that were followed
    do {
        const end = rest.indexOf('\r\n\r\n');
        head = rest.subarray(0, end).toString('latin1');
        rest = rest.subarray(end + 4);
    } while (/^HTTP\/1\.1 (1|3)\d\d/.test(head) && rest.subarray(0, 5).toString() === 'HTTP/');
    const [line, ...fields] = head.split('\r\n');
    const headers = Object.fromEntries(fields.map((field) => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    }));
    return { status: Number(line.split(' ')[1]), headers, body: rest };
}

const raw = (port = server.httpPort, host) => RawConnection.open(port, host);
const get = (path, ...fields) => [`GET ${path} HTTP/1.1`, 'Host: localhost', ...fields, '', ''].join('\r\n');

// --- files ---

test('GET gives a page, HEAD the same fields without it', async () => {
    const page = await curl(`${server.url}/`);
    assert.equal(page.status, 200);
    assert.match(page.body.toString(), /<!doctype html>/i);
    const head = await curl('--head', `${server.url}/`);
    assert.equal(head.body.length, 0);
    for (const name of ['content-length', 'content-type', 'etag', 'content-security-policy'])
        assert.equal(head.headers[name], page.headers[name], name);
    const connection = await raw();
    connection.send('HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n' + get('/healthz'));
    assert.equal((await connection.answer({ method: 'HEAD' })).status, 200);
    assert.equal((await connection.answer()).body.toString(), 'ok\n', 'bytes behind the head of a HEAD');
    connection.close();
});

test('what has not changed is not sent again', async () => {
    const { headers } = await curl(`${server.url}/sdk/roost.js`);
    assert.match(headers.etag, /^"[^"]+"$/);
    const again = await curl('-H', `If-None-Match: ${headers.etag}`, `${server.url}/sdk/roost.js`);
    assert.equal(again.status, 304);
    assert.equal(again.body.length, 0);
    assert.equal(again.headers.etag, headers.etag);
    assert.equal(again.headers['content-length'], undefined);
    for (const value of [`W/${headers.etag}`, `"other", ${headers.etag}`, '*'])
        assert.equal((await curl('-H', `If-None-Match: ${value}`, `${server.url}/sdk/roost.js`)).status, 304, value);
    assert.equal((await curl('-H', 'If-None-Match: "other"', `${server.url}/sdk/roost.js`)).status, 200);
    const file = await curl(`${server.url}/digits.txt`);
    const since = await curl('-H', `If-Modified-Since: ${file.headers['last-modified']}`, `${server.url}/digits.txt`);
    assert.equal(since.status, 304);
    const before = 'If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT';
    assert.equal((await curl('-H', before, `${server.url}/digits.txt`)).status, 200);
    assert.equal((await curl('-H', 'If-Match: "other"', `${server.url}/digits.txt`)).status, 412);
});

test('ranges give parts, and If-Range guards them', async () => {
    const url = `${server.url}/digits.txt`;
    const whole = await curl(url);
    assert.equal(whole.headers['accept-ranges'], 'bytes');
    const cases = [['0-4', '01234', '0-4'], ['95-', '56789', '95-99'], ['-3', '789', '97-99'], ['98-200', '89', '98-99']];
    for (const [range, text, told] of cases) {
        const part = await curl('-r', range, url);
        assert.equal(part.status, 206, range);
        assert.equal(part.body.toString(), text, range);
        assert.equal(part.headers['content-range'], `bytes ${told}/100`);
        assert.equal(part.headers['content-length'], String(text.length));
    }
    const beyond = await curl('-r', '100-', url);
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers['content-range'], 'bytes */100');
    const fresh = await curl('-r', '0-1', '-H', `If-Range: ${whole.headers.etag}`, url);
    assert.equal(fresh.status, 206);
    const stale = await curl('-r', '0-1', '-H', 'If-Range: "other"', url);
    assert.equal(stale.status, 200);
    assert.equal(stale.body.length, 100);
    for (const strange of ['bytes=4-2', 'lines=1-2', 'bytes=a-b'])
        assert.equal((await curl('-H', `Range: ${strange}`, url)).status, 200, strange);
});

test('a download that was cut goes on where it ended', async () => {
    const file = join(folder, 'big.out');
    writeFileSync(file, readFileSync(join(site, 'big.bin')).subarray(0, 1 << 20));
    await run('curl', ['--silent', '--fail', '--continue-at', '-', '--output', file, `${server.url}/big.bin`]);
    const hash = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
    assert.equal(hash(file), hash(join(site, 'big.bin')));
});

test('files come compressed to those who take it', async () => {
    const url = `${server.url}/app/index.html`;
    const plain = await curl(url);
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.match(plain.headers.vary, /accept-encoding/i);
    const codings = { gzip: gunzipSync, br: brotliDecompressSync };
    for (const [coding, inflate] of Object.entries(codings)) {
        const packed = await curl('-H', `Accept-Encoding: ${coding}`, url);
        assert.equal(packed.headers['content-encoding'], coding);
        assert.ok(packed.body.length < plain.body.length);
        assert.deepEqual(inflate(packed.body), plain.body);
        assert.notEqual(packed.headers.etag, plain.headers.etag);
    }
    assert.equal((await curl('-H', 'Accept-Encoding: gzip, br', url)).headers['content-encoding'], 'br');
    assert.equal((await curl('-H', 'Accept-Encoding: br;q=0, gzip', url)).headers['content-encoding'], 'gzip');
    assert.equal((await curl('-H', 'Accept-Encoding: identity', url)).headers['content-encoding'], undefined);
    assert.deepEqual((await curl('--compressed', url)).body, plain.body);
});

// --- the connection ---

test('one connection serves many requests', async () => {
    const urls = Array.from({ length: 20 }, () => `${server.url}/healthz`);
    const { stdout } = await run('curl', ['--silent', '--write-out', '%{num_connects}', ...urls]);
    assert.equal(stdout.match(/ok\n1/g).length, 1);
    assert.equal(stdout.match(/ok\n0/g).length, 19);
    const old = await raw();
    old.send('GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n');
    assert.equal((await old.answer()).headers.connection, 'close');
    await old.untilEnd();
    const kept = await raw();
    kept.send('GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n');
    assert.equal((await kept.answer()).headers.connection, 'keep-alive');
    kept.send(get('/healthz', 'Connection: close'));
    assert.equal((await kept.answer()).headers.connection, 'close');
    await kept.untilEnd();
});

test('pipelined requests are answered in their order', async () => {
    const connection = await raw();
    const paths = ['/big.bin', '/healthz', '/nothing', '/digits.txt', '/sdk/roost.js', '/big.bin', '/healthz'];
    connection.send(paths.map((path) => get(path)).join(''));
    const answers = [];
    for (const _ of paths) answers.push(await connection.answer());
    assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 404, 200, 200, 200, 200]);
    assert.equal(answers[0].body.length, 3 << 20);
    assert.equal(answers[1].body.toString(), 'ok\n');
    assert.equal(answers[3].body.length, 100);
    assert.deepEqual(answers[5].body, answers[0].body);
    assert.equal(answers[6].body.toString(), 'ok\n');
    connection.close();
});

test('a thousand requests at once, byte by byte, or ended early are served', async () => {
    const many = await raw();
    many.send(get('/healthz').repeat(1000));
    for (let i = 0; i < 1000; i++) assert.equal((await many.answer()).status, 200);
    many.close();
    const slow = await raw();
    slow.socket.setNoDelay(true);
    for (const byte of get('/healthz')) {
        slow.send(byte);
        await new Promise(setImmediate);
    }
    assert.equal((await slow.answer()).status, 200);
    slow.close();
    const ended = await raw();
    ended.send(get('/big.bin'));
    ended.socket.end(); // a half-closed client still gets what it asked for
    assert.equal((await ended.answer()).body.length, 3 << 20);
    await ended.untilEnd();
});

test('bodies nobody wants do not disturb what follows', async () => {
    const connection = await raw();
    connection.send(get('/healthz', 'Content-Length: 5') + 'GET /' + get('/healthz', 'Transfer-Encoding: chunked') +
        '3\r\nabc\r\n0\r\n\r\n' + get('/digits.txt'));
    assert.equal((await connection.answer()).body.toString(), 'ok\n');
    assert.equal((await connection.answer()).body.toString(), 'ok\n');
    assert.equal((await connection.answer()).body.length, 100);
    connection.close();
});

test('Expect: 100-continue is met before the body, and refused when the body is too large', async () => {
    const connection = await raw();
    connection.send(get('/healthz', 'Content-Length: 5', 'Expect: 100-continue'));
    assert.equal((await connection.answer()).status, 100);
    connection.send('hello');
    assert.equal((await connection.answer()).status, 200);
    connection.send(get('/healthz', `Content-Length: ${1 << 20}`, 'Expect: 100-continue'));
    assert.equal((await connection.answer()).status, 413);
    await connection.untilEnd();
    const strange = await raw();
    strange.send(get('/healthz', 'Expect: a-miracle'));
    assert.equal((await strange.answer()).status, 417);
    const expectant = await curl('-H', 'Expect: 100-continue', '-X', 'GET', '--data-binary', 'x'.repeat(2000), `${server.url}/healthz`);
    assert.equal(expectant.status, 200);
});

// --- where what is served ---

test('plain HTTP from elsewhere is redirected, but for health and ACME', { skip: !outside }, async () => {
    const base = `http://${outside}:${server.httpPort}`;
    const page = await curl(`${base}/r/room?x=1`);
    assert.equal(page.status, 308);
    assert.equal(page.headers.location, `https://${outside}:${server.httpsPort}/r/room?x=1`);
    assert.equal(page.headers['strict-transport-security'], undefined);
    assert.equal((await curl('--location', `${base}/r/room`)).status, 200);
    const challenge = await curl(`${base}/.well-known/acme-challenge/token-1`);
    assert.equal(challenge.status, 200);
    assert.equal(challenge.body.toString(), 'token-1.thumbprint');
    const hostile = await raw(server.httpPort, outside);
    hostile.send(`GET //evil.example/ HTTP/1.1\r\nHost: ${outside}\r\n\r\n`);
    const answer = await hostile.answer();
    assert.equal(new URL(answer.headers.location ?? `https://${outside}`).hostname, outside);
    const upload = await raw(server.httpPort, outside);
    upload.send(get('/r/x', `Content-Length: 60000`));
    assert.equal((await upload.answer()).status, 308, 'a body was waited for that nobody reads');
    upload.close();
});

test('ACME challenges come from their folder and nothing else does', async () => {
    const base = `${server.url}/.well-known/acme-challenge`;
    assert.equal((await curl(`${base}/token-1`)).status, 200);
    for (const path of ['/token-2', '/', '/.', '/..', '/..%2f..%2fetc%2fpasswd', '/.hidden'])
        assert.ok([400, 404].includes((await curl('--path-as-is', base + path)).status), path);
    const without = await Server.start();
    assert.equal((await without.fetch('/.well-known/acme-challenge/token-1')).status, 404);
    await without.stop();
});

test("one's own site lies over ours and shows no more than it should", async () => {
    const page = await curl(`${server.url}/about/`);
    assert.equal(page.status, 200);
    assert.match(page.body.toString(), /ours$/);
    assert.match(page.headers['content-security-policy'], /^frame-ancestors/);
    assert.equal((await curl('--location', `${server.url}/about`)).status, 200);
    assert.match((await curl(`${server.url}/`)).body.toString(), /<!doctype html>/i);
    const hidden = ['/.secret', '/link', '/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/about/..%2f..%2f..%2fetc/passwd',
        '/about/%00', '/digits.txt/', '/digits.txt%00.html'];
    for (const path of hidden)
        assert.ok([400, 404].includes((await curl('--path-as-is', server.url + path)).status), path);
    writeFileSync(join(site, 'index.html'), 'my own front page');
    assert.equal((await curl(`${server.url}/`)).body.toString(), 'my own front page');
    rmSync(join(site, 'index.html'));
});

test('pages carry what protects them', async () => {
    const { headers } = await curl(`${server.secureUrl}/`);
    assert.match(headers['content-security-policy'], /default-src 'self'/);
    assert.match(headers['content-security-policy'], /frame-ancestors 'self'/);
    assert.doesNotMatch(headers['content-security-policy'], /unsafe/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.match(headers['permissions-policy'], /camera=\(self\)/);
    assert.equal(headers['strict-transport-security'], undefined, 'HSTS with a certificate that no browser trusts');
    const embedded = await Server.start({ set: { 'app.frame_ancestors': "'self', https://intranet.example" } });
    const page = await embedded.fetch('/');
    assert.match(page.headers['content-security-policy'], /frame-ancestors 'self' https:\/\/intranet\.example/);
    await embedded.stop();
});

test('the SDK may be loaded by pages of others, rooms may not be read by them', async () => {
    const sdk = await curl('-H', 'Origin: https://other.example', `${server.url}/sdk/roost.js`);
    assert.equal(sdk.headers['access-control-allow-origin'], '*');
    const page = await curl('-H', 'Origin: https://other.example', `${server.url}/`);
    assert.equal(page.headers['access-control-allow-origin'], undefined);
    const methods = await curl('-X', 'DELETE', `${server.url}/healthz`);
    assert.equal(methods.status, 405);
    assert.match(methods.headers.allow, /GET/);
});

// --- TLS ---

/** A self-signed certificate in `folder`, put in place by renaming as certbot does. */
function makeCertificate(name, algorithm = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']) {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', ...algorithm, '-nodes', '-keyout', `${key}.new`,
        '-out', `${cert}.new`, '-days', '30', '-subj', `/CN=${name}`], { stdio: 'ignore' });
    renameSync(`${key}.new`, key);
    renameSync(`${cert}.new`, cert);
    return { cert, key };
}

/** What openssl s_client says about a connection. */
function handshake(port, ...args) {
    return new Promise((resolve) => {
        const child = execFile('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-ign_eof', ...args],
            { timeout: patienceMs }, (_error, stdout, stderr) => resolve(stdout + stderr));
        child.stdin.on('error', () => {});
        child.stdin.end('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    });
}

test('TLS 1.2 and 1.3 are spoken, older ones and weak ciphers are not', async () => {
    const newest = await handshake(server.httpsPort, '-tls1_3', '-alpn', 'h2,http/1.1');
    assert.match(newest, /TLSv1\.3, Cipher is TLS_/);
    assert.match(newest, /ALPN protocol: http\/1\.1/);
    assert.match(newest, /HTTP\/1\.1 200 OK/);
    const older = await handshake(server.httpsPort, '-tls1_2');
    assert.match(older, /TLSv1\.2, Cipher is ECDHE-ECDSA-/);
    assert.match(older, /Secure Renegotiation IS supported/);
    assert.match(older, /HTTP\/1\.1 200 OK/);
    const oldest = await handshake(server.httpsPort, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0');
    assert.doesNotMatch(oldest, /HTTP\/1\.1 200/);
    const weak = await handshake(server.httpsPort, '-tls1_2', '-cipher', 'AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0');
    assert.doesNotMatch(weak, /HTTP\/1\.1 200/);
});

test('TLS sessions are resumed', async () => {
    const session = join(folder, 'session');
    for (const version of ['-tls1_2', '-tls1_3']) {
        assert.match(await handshake(server.httpsPort, version, '-sess_out', session), /200 OK/);
        const again = await handshake(server.httpsPort, version, '-sess_in', session);
        assert.match(again, /^Reused, /m, version);
        assert.match(again, /200 OK/);
    }
});

test('a real certificate brings HSTS, and a renewed one is served to new connections while old ones go on', async () => {
    const { cert, key } = makeCertificate('one.example');
    const own = await Server.start({ sanitized: true, set: { 'http.cert': cert, 'http.key': key, 'http.hsts': '30d' } });
    const page = await own.fetch('/', { secure: true });
    assert.equal(page.certificate.subject.CN, 'one.example');
    assert.match(page.headers['strict-transport-security'], /^max-age=2592000/);
    assert.equal((await own.fetch('/')).headers['strict-transport-security'], undefined);
    const kept = await new Promise((resolve, reject) => {
        const socket = connectTls({ port: own.httpsPort, host: '127.0.0.1', rejectUnauthorized: false }, () => resolve(socket));
        socket.on('error', reject);
    });
    const connection = new RawConnection(kept);
    connection.send(get('/healthz'));
    assert.equal((await connection.answer()).status, 200);
    makeCertificate('two.example', ['rsa:2048']);
    await own.logged((record) => record.message === 'certificate loaded again');
    assert.equal((await own.fetch('/healthz', { secure: true })).certificate.subject.CN, 'two.example');
    connection.send(get('/healthz'));
    assert.equal((await connection.answer()).status, 200);
    connection.close();
    assert.match(await handshake(own.httpsPort, '-tls1_2'), /ECDHE-RSA-/);
    assert.equal((await own.stop()).status, 0);
});

test('plain HTTP on the TLS port is told where to go', async () => {
    const answer = await curl(`http://127.0.0.1:${server.httpsPort}/r/x`);
    assert.equal(answer.status, 308);
    assert.equal(answer.headers.location, `https://127.0.0.1:${server.httpsPort}/r/x`);
});

test('what is neither TLS nor HTTP is closed, and the server goes on', async () => {
    const before = await server.metrics();
    const strangers = [
        Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0xff]), // a TLS record with a broken ClientHello
        Buffer.from([0x16, 3, 1, 0xff, 0xff, ...Buffer.alloc(600, 0xaa)]),
        Buffer.from([0x15, 3, 1, 0, 2, 2, 40, ...Buffer.alloc(20)]), // an alert first
        Buffer.from('SSH-2.0-x\r\n'),
        Buffer.from('00010000' + '2112a443' + '00'.repeat(12), 'hex'), // nearly STUN
        Buffer.from('<stream:stream xmlns="jabber:client">'),
        Buffer.from('OPTIONS sip:x SIP/2.0\r\n\r\n'),
        Buffer.alloc(64, 0xff),
        Buffer.alloc(64, 0),
    ];
    for (const port of [server.httpsPort, server.httpPort])
        for (const bytes of strangers) {
            const connection = await raw(port);
            connection.send(bytes);
            await connection.untilEnd(8000);
            assert.doesNotMatch(connection.text, / 200 /);
            connection.close();
        }
    const tls = await raw(server.httpPort);
    tls.send(Buffer.from('16030100c4010000c00303' + '00'.repeat(190), 'hex'));
    await tls.untilEnd(8000);
    const after = await server.metrics();
    const rejected = (values) => [...values].filter(([name]) => name.startsWith('http_connections_rejected_total'))
        .reduce((sum, [, value]) => sum + value, 0);
    assert.ok(rejected(after) - rejected(before) >= 10);
    assert.equal((await server.fetch('/healthz', { secure: true })).status, 200);
});

// --- those who mean no good ---

/** Sends bytes; the answer's status, and that nothing came behind it but the end. */
async function refused(bytes) {
    const connection = await raw();
    connection.send(bytes);
    const { status, body } = await connection.answer();
    await connection.untilEnd();
    assert.equal(connection.text, '', 'more than one answer');
    return { status, body: body.toString() };
}

test('requests that two servers could read differently are refused and end the connection', async () => {
    const smuggled = get('/digits.txt');
    const heads = {
        'Content-Length and Transfer-Encoding': get('/', 'Content-Length: 4', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
        'Transfer-Encoding and Content-Length': get('/', 'Transfer-Encoding: chunked', 'Content-Length: 4') + '0\r\n\r\n',
        'two lengths': get('/', 'Content-Length: 4', 'Content-Length: 5') + 'abcd',
        'two equal lengths': get('/', 'Content-Length: 4', 'Content-Length: 4') + 'abcd',
        'a list of lengths': get('/', 'Content-Length: 4, 4') + 'abcd',
        'a signed length': get('/', 'Content-Length: +4') + 'abcd',
        'a negative length': get('/', 'Content-Length: -1'),
        'a hexadecimal length': get('/', 'Content-Length: 0x4') + 'abcd',
        'an endless length': get('/', `Content-Length: ${'9'.repeat(40)}`),
        'no length': get('/', 'Content-Length: ') ,
        'an unknown encoding': get('/', 'Transfer-Encoding: gzip'),
        'chunked before another': get('/', 'Transfer-Encoding: chunked, gzip'),
        'chunked twice': get('/', 'Transfer-Encoding: chunked, chunked'),
        'chunked in other letters': get('/', 'Transfer-Encoding: xchunked'),
        'two encodings': get('/', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + '0\r\n\r\n',
        'an encoding in HTTP/1.0': 'GET / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'space before the colon': get('/', 'Content-Length : 4') + 'abcd',
        'a folded field': get('/', 'X-One: a', ' b'),
        'a folded length': get('/', 'Content-Length:', ' 4') + 'abcd',
        'bare line feeds': get('/').replaceAll('\r\n', '\n'),
        'one bare line feed': get('/', 'X-One: a\nX-Two: b'),
        'a bare carriage return': get('/', 'X-One: a\rb'),
        'a zero byte': get('/', 'X-One: a\0b'),
        'no host': 'GET / HTTP/1.1\r\n\r\n',
        'two hosts': get('/', 'Host: other'),
        'a host with a path': 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
        'a field without a name': get('/', ': x'),
        'a field without a colon': get('/', 'nothing'),
        'a space in the target': 'GET /a b HTTP/1.1\r\nHost: x\r\n\r\n',
        'two spaces': 'GET  / HTTP/1.1\r\nHost: x\r\n\r\n',
        'a target without a slash': 'GET a HTTP/1.1\r\nHost: x\r\n\r\n',
        'HTTP/2 by prior knowledge': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        'HTTP/1.2': 'GET / HTTP/1.2\r\nHost: x\r\n\r\n'.replace('1.2', '3.0'),
        'HTTP/0.9': 'GET /\r\n',
        'a chunk that is not one': get('/', 'Transfer-Encoding: chunked') + 'zz\r\n',
        'a signed chunk': get('/', 'Transfer-Encoding: chunked') + '+3\r\nabc\r\n0\r\n\r\n',
        'a chunk with a bare line feed': get('/', 'Transfer-Encoding: chunked') + '3\nabc\r\n0\r\n\r\n',
        'a chunk that is longer than said': get('/', 'Transfer-Encoding: chunked') + '3\r\nabcdef\r\n0\r\n\r\n',
        'an endless chunk': get('/', 'Transfer-Encoding: chunked') + 'f'.repeat(17) + '\r\n',
    };
    for (const [what, bytes] of Object.entries(heads)) {
        const { status } = await refused(bytes + smuggled).catch((problem) => {
            throw new Error(`${what}: ${problem.message}`);
        });
        assert.ok(status >= 400 && status < 600, `${what}: ${status}`);
    }
});

test('too much gets its status and the end of the connection', async () => {
    const cases = [
        [431, get('/', `X-Long: ${'a'.repeat(20000)}`)],
        [431, get('/', ...Array.from({ length: 300 }, (_, i) => `X-${i}: a`))],
        [414, get(`/${'a'.repeat(9000)}`)],
        [413, get('/', `Content-Length: ${65537}`)],
        [413, get('/', 'Content-Length: 9007199254740991')],
        [400, get('/', 'Content-Length: 18446744073709551616')],
        [413, get('/', 'Transfer-Encoding: chunked') + `ffff\r\n${'a'.repeat(0xffff)}\r\n10\r\n${'a'.repeat(16)}\r\n`],
    ];
    for (const [status, bytes] of cases)
        assert.equal((await refused(bytes)).status, status, bytes.slice(0, 60));
    // refusals in JSON for programs
    const asked = await refused(get('/', 'Accept: application/json', 'Content-Length: 99999999'));
    assert.equal(JSON.parse(asked.body).error.status, 413);
    const endless = await raw();
    endless.send('GET / HTTP/1.1\r\n');
    let sent = 0;
    for (; !endless.ended && sent < 4e6; sent += 1000) {
        endless.send(`X-${sent}: ${'a'.repeat(990)}\r\n`);
        await new Promise(setImmediate);
    }
    assert.ok(sent < 4e6, 'a header without end was read on and on');
});

/** Sends a little again and again. */
function drip(connection, bytes, everyMs) {
    const timer = setInterval(() => connection.socket.writable && connection.send(bytes), everyMs);
    connection.socket.once('close', () => clearInterval(timer));
}

test('who sends slowly is closed in time', async () => {
    const cases = {
        async silent() {
            const connection = await raw();
            await connection.untilEnd();
        },
        async header() {
            const connection = await raw();
            connection.send('GET / HTTP/1.1\r\nHost: x\r\n');
            drip(connection, 'X: y\r\n', 200);
            assert.equal((await connection.answer()).status, 408);
            await connection.untilEnd();
            connection.close();
        },
        async idle() {
            const connection = await raw();
            const begin = Date.now();
            connection.send(get('/healthz'));
            await connection.answer();
            await connection.untilEnd();
            assert.ok(Date.now() - begin >= 2000, 'an idle connection was closed early');
        },
        async handshake() {
            const connection = await raw(server.httpsPort);
            connection.send(Buffer.from([0x16, 3, 1]));
            drip(connection, Buffer.from([1]), 500);
            await connection.untilEnd();
            connection.close();
        },
        async body() {
            const connection = await raw();
            connection.send(get('/healthz', 'Content-Length: 60000'));
            drip(connection, 'a', 300);
            assert.equal((await connection.answer()).status, 408);
            connection.close();
        },
    };
    await Promise.all(Object.entries(cases).map(([name, run]) => run().catch((problem) => {
        throw new Error(`${name}: ${problem.message}`);
    })));
});

test('a client that reads nothing is not waited for without end, and holds nobody up', async () => {
    const lazy = await raw();
    lazy.socket.pause();
    lazy.send(get('/big.bin').repeat(20));
    assert.equal((await server.fetch('/big.bin')).status, 200);
    lazy.close();
});

test('one address has so many connections and no more, and gets them back', async () => {
    const small = await Server.start({ sanitized: true, set: { 'http.max_connections_per_address': 5 } });
    const held = [];
    for (let i = 0; i < 5; i++) {
        const connection = await raw(small.httpPort);
        connection.send(get('/healthz'));
        await connection.answer();
        held.push(connection);
    }
    const sixth = await raw(small.httpPort);
    sixth.send(get('/healthz'));
    await sixth.untilEnd();
    assert.equal(sixth.text, '');
    held.pop().close();
    await until('there is room for one again', () => small.fetch('/healthz').then(({ status }) => status === 200, () => false));
    held.forEach((connection) => connection.close());
    await small.stop();
});

test('hundreds who come and go at once leave nothing behind', async () => {
    const strangers = Array.from({ length: 90 }, async (_, i) => {
        const connection = await raw(i % 2 ? server.httpsPort : server.httpPort);
        connection.send(get('/big.bin').slice(0, (i * 7) % 40));
        if (i % 3) connection.socket.resetAndDestroy();
        else connection.close();
    });
    await Promise.all(strangers);
    // ours that asks
    await until('one connection alone is open', async () => (await server.metrics()).get('http_connections') === 1);
});
