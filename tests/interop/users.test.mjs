// Accounts as their operator meets them: the command, and what it leaves in the store.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { binary, cleanEnvironment } from '../support/server.mjs';

const folder = mkdtempSync(join(tmpdir(), 'roost-users-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `roost user` on a data folder. */
const user = (data, args, input = '') => new Promise((resolve, reject) => {
    const child = spawn(binary({ sanitized: true }), ['user', ...args, '--data', join(folder, data)], { env: cleanEnvironment() });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (chunk) => { output += chunk; });
    child.stderr.on('data', (chunk) => { errors += chunk; });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output, errors }));
    child.stdin.end(input);
});

async function good(data, args, input) {
    const result = await user(data, args, input);
    assert.deepEqual([result.status, result.errors], [0, ''], args.join(' '));
    return result.output;
}

const digest = (kind, text) => createHash(kind).update(text).digest();

describe('the command', { concurrency: 4, timeout: 60000 }, () => {
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
