// Accounts as their operator meets them: the command, what it leaves in the store, and the control API.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve as resolvePath } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Client, startMqtt } from '../support/mqtt.mjs';
import { NativeClient, refuses } from '../support/native_client.mjs';
import { binary, cleanEnvironment, runCommand } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const folder = mkdtempSync(join(tmpdir(), 'roost-users-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `roost user` on a data folder. */
const user = (data, args, input = '') => new Promise((resolve, reject) => {
    const child = spawn(binary({ sanitized: true }), ['user', ...args, '--data', resolvePath(folder, data)], { env: cleanEnvironment() });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (chunk) => { output += chunk; });
    child.stderr.on('data', (chunk) => { errors += chunk; });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output, errors }));
    child.stdin.on('error', () => {}); // it may have ended without reading
    child.stdin.end(input);
});

async function good(data, args, input) {
    const result = await user(data, args, input);
    assert.deepEqual([result.status, result.errors], [0, ''], args.join(' '));
    return result.output;
}

const digest = (kind, text) => createHash(kind).update(text).digest();

describe('the command', { concurrency: 4, timeout: 180000 }, () => {
    test('gives roles and names for people, and takes them away', async () => {
        await good('roles', ['add', 'ann', '--generate', '--role', 'operator', '--display-name', 'Ann Å.']);
        assert.match(await good('roles', ['list']), /^ann +\d{4}-\d\d-\d\d enabled operator "Ann Å\."\n$/);
        await good('roles', ['set', 'ann', '--role', 'moderator', '--display-name', '']);
        assert.match(await good('roles', ['list']), /^ann +\d{4}-\d\d-\d\d enabled moderator\n$/);
        await good('roles', ['set', 'ann', '--role', 'user']);
        assert.match(await good('roles', ['list']), /^ann +\d{4}-\d\d-\d\d enabled\n$/);
        await good('roles', ['del', 'ann']);
        assert.match((await user('roles', ['list'])).errors, /no users/);
    });

    test('the store of a user has neither the password nor what is quickly guessed', async () => {
        const password = 'correct horse battery';
        const keys = [digest('md5', `ann:roost:${password}`), digest('sha256', `ann:roost:${password}`)];
        const kept = (data) => {
            const store = readFileSync(join(folder, data, 'users.db'));
            assert.ok(!store.includes(password));
            assert.match(store.toString('latin1'), /SCRAM-SHA-256\$20000:.*SCRAM-SHA-1\$20000:/);
            return keys.map((key) => store.includes(key));
        };
        await good('keys', ['add', 'ann', '--password-stdin'], `${password}\n`);
        assert.deepEqual(kept('keys'), [false, false]);
        await good('keys', ['passwd', 'ann', '--password-stdin', '--digest'], `${password}\n`);
        assert.deepEqual(kept('keys'), [true, true]);
        assert.match(await good('keys', ['list']), /enabled digest\n$/);
        // an account that had them has them with its next password
        await good('keys', ['passwd', 'ann', '--password-stdin'], `${password}\n`);
        assert.deepEqual(kept('keys'), [true, true]);
        await good('keys', ['passwd', 'ann', '--password-stdin', '--no-digest'], `${password}\n`);
        assert.deepEqual(kept('keys'), [false, false]);
    });

    test('where TURN runs alone users may use it without being told to', async () => {
        const alone = ['--set', 'server.roles=turn'];
        await good('alone', ['add', 'camera', '--generate', ...alone]);
        await good('alone', ['add', 'no-camera', '--generate', '--no-digest', ...alone]);
        assert.match(await good('alone', ['list']), /^camera .*enabled digest\nno-camera .*enabled\n$/);
    });

    test('imports a list, whole or not at all', async () => {
        const list = (name, lines) => {
            const path = join(folder, name);
            writeFileSync(path, lines.join('\n'));
            return path;
        };
        await good('import', ['add', 'old', '--generate']);
        const wrong = await user('import', ['import', list('wrong.csv', ['name,password,role', 'ann,x,user', 'old,x,', 'ben,x,king', 'ann,y,', 'c:d,x,'])]);
        assert.equal(wrong.status, 1);
        assert.deepEqual(wrong.errors.trim().split('\n'), [
            'roost: line 3: there is a user "old" already',
            'roost: line 4: a role is user, moderator or operator',
            'roost: line 5: "ann" is in the file twice',
            'roost: line 6: a user name is UTF-8 of 1 to 255 bytes, without ":", without control characters or blanks at its ends',
            'roost: nothing was imported']);
        assert.match(await good('import', ['list']), /^old [^\n]*\n$/);
        assert.equal(await good('import', ['import', list('right.csv', ['name,password,role,display_name,digest',
            'ann,the password of ann,operator,"Ann, who answers",', 'ben,the password of ben,,,yes', ''])]), '2 users imported\n');
        assert.match(await good('import', ['list']), /^ann .*enabled operator "Ann, who answers"\nben .*enabled digest\nold .*enabled\n$/);
        assert.ok(readFileSync(join(folder, 'import', 'users.db')).includes(digest('sha256', 'ben:roost:the password of ben')));
        const many = await user('import', ['import', list('many.csv', ['name,password', ...Array(100).fill('ann,x')])]);
        assert.equal(many.errors.trim().split('\n').length, 22);
        assert.match((await user('import', ['import', join(folder, 'none.csv')])).errors, /cannot read .*none\.csv: No such file/);
        assert.match((await user('import', ['import', list('htpasswd', ['ann:$apr1$x$y', ''])])).errors, /the first line names the columns/);
        assert.equal((await user('import', ['import'])).status, 2);
        for (const [name, path] of [['fay', '-'], ['gil', '/dev/stdin']])
            assert.equal(await good('import', ['import', path], `name,password\n${name},the password\n`), '1 users imported\n');
    });

    test('says what is wrong', async () => {
        await good('wrong', ['add', 'ann', '--generate']);
        for (const [args, status, pattern, input] of [
            [['add', 'ben', '--generate', '--role', 'king'], 2, /--role is user, moderator or operator/],
            [['add', 'ben', '--generate', '--display-name', ' ben'], 2, /a display name is UTF-8/],
            [['add', 'ben', '--generate', '--digest', '--no-digest'], 2, /exclude each other/],
            [['add', 'ben', '--password-stdin'], 2, /without control characters/, 'a\tb\n'],
            [['add', 'ben', '--password-stdin'], 2, /the password is too long/, `${'x'.repeat(600)}\n`],
            [['set', 'ann'], 2, /nothing to set/],
            [['set', 'zoe', '--role', 'user'], 1, /no user "zoe"/],
            [['passwd', 'zoe', '--generate'], 1, /no user "zoe"/],
        ]) {
            const result = await user('wrong', args, input);
            assert.equal(result.status, status, `${args}: ${result.errors}`);
            assert.match(result.errors, pattern);
            assert.equal(result.output, '');
        }
        // nothing of it was kept
        assert.match(await good('wrong', ['list']), /^ann [^\n]*\n$/);
    });
});

describe('the control API', { concurrency: 4, timeout: 180000 }, () => {
    let server, admin;
    before(async () => {
        server = await startMqtt();
        admin = (await runCommand(['token', '--admin', '--data', server.dataDir], { sanitized: true })).output.trim();
    });
    after(async () => { assert.deepEqual(await server?.stop(), { status: 0, signal: null }); });

    async function ask(method, path, body, to = server) {
        const answer = await to.fetch(`/api/v1/users${path}`, {
            method, headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
        });
        return { status: answer.status, ...(answer.body.startsWith('{') ? { json: JSON.parse(answer.body) } : { text: answer.body }) };
    }

    async function must(status, method, path, body) {
        const answer = await ask(method, path, body);
        assert.equal(answer.status, status, `${method} ${path}: ${answer.text ?? JSON.stringify(answer.json)}`);
        return answer.json;
    }

    const login = (username, password) => Client.connect(server, { username, password });
    const wrong = { code: 0x86 };

    test('makes users who can sign in when the answer is there, changes and removes them', async () => {
        const made = await must(201, 'POST', '', { name: 'ann', password: 'the first', display_name: 'Ann Å.', role: 'moderator' });
        const { created, password_changed: changed, ...rest } = made;
        assert.deepEqual(rest, { name: 'ann', display_name: 'Ann Å.', role: 'moderator', disabled: false, digest: false });
        assert.ok(created > 1.7e9 && changed >= created);
        assert.deepEqual(await must(200, 'GET', '/ann'), made);
        const first = await login('ann', 'the first');
        // another password: who came with the first one goes
        assert.equal((await must(200, 'PATCH', '/ann', { password: 'the second', digest: true })).digest, true);
        await assert.rejects(login('ann', 'the first'), wrong);
        await until('who came with the first password is gone', () => first.isClosed);
        assert.equal(first.goodbye, 0x98);
        const second = await login('ann', 'the second');
        // what is not said stays
        assert.deepEqual(await must(200, 'PATCH', '/ann', { display_name: '' }).then(({ display_name: name, role, digest: has }) => [name, role, has]), [null, 'moderator', true]);
        assert.equal((await must(200, 'PATCH', '/ann', { role: 'user' })).role, 'user');
        assert.ok(!second.isClosed);
        await must(200, 'PATCH', '/ann', { disabled: true });
        await assert.rejects(login('ann', 'the second'), wrong);
        await until('who is disabled is gone', () => second.isClosed);
        await must(200, 'PATCH', '/ann', { disabled: false });
        const third = await login('ann', 'the second');
        await must(204, 'DELETE', '/ann');
        await until('who is removed is gone', () => third.isClosed);
        assert.equal(third.goodbye, 0x98);
        await must(404, 'GET', '/ann');
        assert.doesNotMatch(server.output, /the first|the second/);
    });

    test('lists them a page at a time', async () => {
        const own = ['page-a', 'page-b', 'page-c', 'page-d/e@example.org', 'page-\u00e5'];
        for (const name of own) await must(201, 'POST', '', { name, password: 'x' });
        const { users, next } = await must(200, 'GET', '?limit=2&after=page-');
        assert.deepEqual([users.map(({ name }) => name), next], [['page-a', 'page-b'], 'page-b']);
        const found = [];
        for (let after = 'page-'; after; ) {
            const page = await must(200, 'GET', `?limit=3&after=${encodeURIComponent(after)}`);
            found.push(...page.users.map(({ name }) => name).filter((name) => name.startsWith('page-')));
            after = page.next;
        }
        assert.deepEqual(found, own);
        for (const name of own) {
            assert.equal((await must(200, 'GET', `/${encodeURIComponent(name)}`)).name, name);
            await must(204, 'DELETE', `/${encodeURIComponent(name)}`);
        }
    });

    test('says what is wrong, and changes nothing then', async () => {
        await must(201, 'POST', '', { name: 'ben', password: 'x' });
        for (const [status, method, path, body] of [
            [409, 'POST', '', { name: 'ben', password: 'y' }],
            [400, 'POST', '', { name: 'cid' }],
            [400, 'POST', '', { password: 'x' }],
            [400, 'POST', '', { name: 'a:b', password: 'x' }],
            [400, 'POST', '', { name: ' cid', password: 'x' }],
            [400, 'POST', '', { name: 'cid', password: '' }],
            [400, 'POST', '', { name: 'cid', password: 'a\tb' }],
            [400, 'POST', '', { name: 'cid', password: 'a\u0085b' }],
            [400, 'POST', '', { name: 'cid', password: 'x'.repeat(509) }],
            [400, 'POST', '', { name: 'cid', password: 'x', role: 'king' }],
            [400, 'POST', '', { name: 'cid', password: 'x', display_name: ' cid' }],
            [400, 'POST', '', { name: 'cid', password: 'x', colour: 'red' }],
            [400, 'PATCH', '/ben', { name: 'cid' }],
            [400, 'PATCH', '/ben', { digest: true }],
            [400, 'PATCH', '/ben', { role: 'operator', disabled: 'yes' }],
            [404, 'PATCH', '/zoe', { role: 'operator' }],
            [404, 'PATCH', '/zoe', { password: 'x' }],
            [404, 'DELETE', '/zoe'],
            [404, 'GET', '/a:b'],
            [400, 'GET', '?limit=0'],
            [400, 'GET', '?limit=10001'],
        ]) await must(status, method, path, body);
        assert.deepEqual(await must(200, 'GET', '/ben').then(({ role, disabled }) => [role, disabled]), ['user', false]);
        await must(404, 'GET', '/cid');
        await (await login('ben', 'x')).end();
        assert.ok((await must(200, 'GET', '')).users.some(({ name }) => name === 'ben'));
    });

    test('many at once are all answered, and clients who do not wait do no harm', async () => {
        const names = Array.from({ length: 40 }, (_, index) => `many-${index}`);
        const answers = await Promise.all(names.map((name) => ask('POST', '', { name, password: 'x' })));
        assert.deepEqual(answers.map(({ status }) => status), Array(40).fill(201));
        const gone = await Promise.all(names.map((name) => ask('DELETE', `/${name}`)));
        assert.deepEqual(gone.map(({ status }) => status), Array(40).fill(204));
        for (let index = 0; index < 10; index++) {
            const leaving = new AbortController();
            const asked = fetch(`http://127.0.0.1:${server.httpPort}/api/v1/users`, { headers: { authorization: `Bearer ${admin}` }, signal: leaving.signal });
            setImmediate(() => leaving.abort());
            await asked.catch(() => {});
        }
        await must(200, 'GET', '');
    });

    test('says when to come back while another process changes the users, and logs what was changed alone', async () => {
        const own = await startMqtt();
        const token = (await runCommand(['token', '--admin', '--data', own.dataDir], { sanitized: true })).output.trim();
        const asks = (method, path, body) => own.fetch(`/api/v1/users${path}`, {
            method, headers: { authorization: `Bearer ${token}` }, body: body && JSON.stringify(body),
        });
        const holder = spawn('python3', ['-c', `
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()`, join(own.dataDir, 'users.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
        const ended = once(holder, 'close');
        await once(holder.stdout, 'data');
        const refused = await asks('POST', '', { name: 'nan', password: 'x' });
        assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1'], refused.body);
        holder.stdin.end();
        await ended;
        assert.equal((await asks('DELETE', '/nan')).status, 404);
        assert.equal((await asks('POST', '', { name: 'ned', password: 'x' })).status, 201);
        await own.logged(({ user }) => user === 'ned');
        assert.doesNotMatch(own.output, /nan/);
        assert.deepEqual(await own.stop(), { status: 0, signal: null });
    });

    test('an operator signs in with its password, for as long as the account stands', async () => {
        const signIn = async (name, password, fields = {}) => {
            const { status, body, headers } = await server.fetch('/api/v1/login', { method: 'POST', body: JSON.stringify({ user: name, password, ...fields }) });
            return { status, headers, ...(body.startsWith('{') ? JSON.parse(body) : { body }) };
        };
        const opens = async (token, path = '/api/v1/rooms') => (await server.fetch(path, { headers: { authorization: `Bearer ${token}` } })).status;
        await must(201, 'POST', '', { name: 'olga', password: 'the password', role: 'operator' });
        await must(201, 'POST', '', { name: 'mia', password: 'the password', role: 'moderator' });
        const { status, token, expires } = await signIn('olga', 'the password');
        assert.equal(status, 200);
        assert.ok(Math.abs(expires - Date.now() / 1000 - 3600) < 120, `${expires}`);
        assert.deepEqual([await opens(token), await opens(token, '/api/v1/users')], [200, 200]);
        // signed, so that nothing of it can be changed; and no more than what it is for
        assert.deepEqual([await opens(`${token}x`), await opens('')], [401, 401]);
        assert.equal((await signIn('mia', 'the password')).status, 403);
        assert.equal((await signIn('olga', 'a guess')).status, 401);
        assert.equal((await signIn('nobody', 'a guess')).status, 401);
        for (const fields of [{ valid_s: 0 }, { valid_s: 43201 }, { password: 1 }, { more: true }]) assert.equal((await signIn('olga', 'the password', fields)).status, 400);
        // what the account loses, its tokens lose
        const another = async () => (await signIn('olga', 'the password')).token;
        for (const [change, back] of [[{ role: 'user' }, { role: 'operator' }], [{ disabled: true }, { disabled: false }]]) {
            const one = await another();
            assert.equal(await opens(one), 200);
            await must(200, 'PATCH', '/olga', change);
            assert.equal(await opens(one), 401);
            await must(200, 'PATCH', '/olga', back);
        }
        const last = await another();
        await must(200, 'PATCH', '/olga', { password: 'another password' });
        assert.equal(await opens(last), 401);
        await must(204, 'DELETE', '/olga');
        assert.equal(await opens(token), 401);
        assert.doesNotMatch(server.output, /a guess|the password/);
        assert.match(server.output, /an operator signed in to the control API/);
    });

    test('a server that is stopped meanwhile ends, and its log says who changed what', async () => {
        const own = await startMqtt();
        const token = (await runCommand(['token', '--admin', '--user', 'the operator', '--data', own.dataDir], { sanitized: true })).output.trim();
        const asked = Array.from({ length: 20 }, (_, index) => own.fetch('/api/v1/users', {
            method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ name: `n${index}`, password: 'x' }),
        }).catch(() => null));
        const line = await own.logged(({ what }) => what === 'added');
        assert.deepEqual([line.message, line.user.slice(0, 1), line.by], ['users are changed by the control API', 'n', 'the operator']);
        assert.deepEqual(await own.stop(), { status: 0, signal: null });
        await Promise.all(asked);
    });
});

test('the native protocol takes the password of an account in place of a token', { timeout: 60000 }, async (context) => {
    const server = await startMqtt();
    context.after(() => server.stop());
    const token = (await runCommand(['token', '--admin', '--data', server.dataDir], { sanitized: true })).output.trim();
    const made = await server.fetch('/api/v1/users', { method: 'POST', headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify({ name: 'ann', password: 'the password of ann' }) });
    assert.equal(made.status, 201);
    const client = async () => {
        const one = await NativeClient.start(server);
        context.after(() => one.goodbye());
        return one;
    };
    const [first, second, other] = [await client(), await client(), await client()];
    for (let again = 0; again < 2; again++) await refuses(first.request('register', { user: 'ann', password: 'a guess' }), 'login_refused');
    await refuses(first.request('register', { user: 'zoe', password: 'the password of ann' }), 'login_refused');
    // checked the first time, remembered the second: both sessions are ann
    assert.equal((await first.request('register', { user: 'ann', password: 'the password of ann' })).user, 'ann');
    assert.equal((await second.request('register', { user: 'ann', password: 'the password of ann' })).user, 'ann');
    // an account's name is for who proves it
    await assert.rejects(other.request('register', { user: 'ann' }));
    await refuses(other.request('register', { user: 'ann', password: 'x', token }), 'login_refused');
    assert.doesNotMatch(server.output, /the password of ann|a guess/);
});

test('an account that is made takes its name from guests at once, by the command too', { timeout: 60000 }, async (context) => {
    const server = await startMqtt();
    context.after(() => server.stop());
    const [squatter, ben] = [await NativeClient.start(server), await NativeClient.start(server)];
    context.after(() => Promise.all([squatter.goodbye(), ben.goodbye()]));
    await squatter.request('register', { user: 'ann' });
    await ben.request('register', { user: 'ben' });
    await ben.request('message', { to: 'ann', text: 'for whoever is there' });
    await squatter.event('message');
    await good(server.dataDir, ['add', 'ann', '--generate']);
    const told = await squatter.event('unregistered');
    assert.deepEqual([told.user, told.message], ['ann', 'The name belongs to somebody who can prove it.']);
    await ben.request('message', { to: 'ann', text: 'for ann alone' }); // waits for her
    await refuses(ben.request('call', { to: 'ann', sdp: 'v=0' }), 'user_unavailable');
    await refuses(squatter.request('register', { user: 'ann' }), 'user_taken');
    assert.ok(!squatter.messages.some(({ text }) => text === 'for ann alone'));
});

test('an account of before, with digest keys alone, gets slow ones when somebody signs in', { timeout: 60000 }, async (context) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'roost-users-'));
    context.after(() => rmSync(dataDir, { recursive: true }));
    await good(dataDir, ['add', 'ann', '--password-stdin', '--digest'], 'the password of ann\n');
    const old = spawn('python3', ['-c', `
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
store.execute("UPDATE users SET scram_sha256 = NULL, scram_sha1 = NULL")
store.commit()`, join(dataDir, 'users.db')]);
    assert.deepEqual(await once(old, 'close'), [0, null]);
    const server = await startMqtt({ dataDir });
    context.after(() => server.stop());
    const verifiers = () => readFileSync(join(dataDir, 'users.db')).toString('latin1').includes('SCRAM-SHA-256$20000:');
    assert.ok(!verifiers());
    const ann = await NativeClient.start(server);
    context.after(() => ann.goodbye());
    await ann.request('register', { user: 'ann', password: 'the password of ann' });
    const line = await server.logged(({ message }) => message === 'an account of before has slow keys now');
    assert.equal(line.user, 'ann');
    assert.ok(verifiers());
    // it is the same password: nobody is sent away
    await good(server.dataDir, ['add', 'ben', '--generate']);
    await server.logged(({ message, count }) => message === 'users read again' && count === 2);
    assert.deepEqual((await ann.request('devices')).devices.length, 1);
    const again = await NativeClient.start(server);
    context.after(() => again.goodbye());
    await again.request('register', { user: 'ann', password: 'the password of ann' });
});
