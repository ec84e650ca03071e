// Messages, presence, history and devices between clients of the native protocol, over the end of the server.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { NativeClient, refuses } from '../support/native_client.mjs';
import { Server, runCommand } from '../support/server.mjs';
import { until } from '../support/until.mjs';

const secret = 'a secret of this test file alone';
const PATIENCE_MS = 30000;
const set = { 'auth.token_secret': secret, 'server.workers': 1, 'history.max_per_user': 50, 'signal.ring_timeout': '5s', 'signal.resume_window': '2s', 'turn.realm': 'roost' };
let userNumber = 0;
/** Names of its own for each test: what is kept of one does not reach another. */
const names = (...firsts) => firsts.map((first) => `${first}-${++userNumber}`);

function token(claims) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...claims, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

const tokenFor = (user) => token({ sub: user });

/** A session of a user whom a token vouches for, or of a guest. */
async function enter(context, server, user, { guest = false } = {}) {
    const client = await NativeClient.start(server);
    context.after(() => client.goodbye());
    await client.request('register', { user, name: user.toUpperCase(), ...(guest ? {} : { token: tokenFor(user) }) });
    return client;
}

async function kill(server) {
    server.signal('SIGKILL');
    await until('the server is gone', () => server.exit, PATIENCE_MS);
}

const texts = (messages) => messages.map(({ text }) => text);

describe('with one server', () => {
    let server;
    before(async () => (server = await Server.start({ sanitized: true, set })));
    after(async () => assert.deepEqual(await server?.stop(), { status: 0, signal: null }));

    test('what was missed waits, comes once, and is in the history of both', async (context) => {
        const [ann, ben] = names('ann', 'ben');
        await (await enter(context, server, ben)).goodbye();
        const sender = await enter(context, server, ann);
        const sent = [];
        for (let i = 0; i < 3; i++) sent.push((await sender.request('message', { to: ben, text: `text ${i}` })).message);
        assert.deepEqual([...sent].sort(), sent);
        const receiver = await enter(context, server, ben);
        assert.deepEqual({ ...(await receiver.event('missed', undefined, PATIENCE_MS)), seq: 0, taken: true, again: false },
            { type: 'missed', calls: 0, messages: 3, seq: 0, taken: true, again: false });
        for (let i = 0; i < 3; i++) {
            const message = await receiver.event('message', undefined, PATIENCE_MS);
            assert.deepEqual([message.message, message.text, message.missed, message.from], [sent[i], `text ${i}`, true, { user: ann, name: ann.toUpperCase(), verified: true }]);
        }
        await receiver.request('message', { to: ann, text: 'answer' });
        assert.equal((await sender.event('message')).missed, false);
        // the mark is on its way to the disk before what is asked behind it
        await receiver.goodbye();
        const again = await enter(context, server, ben);
        const { messages, more } = await again.request('messages', { with: ann });
        assert.deepEqual(texts(messages), ['text 0', 'text 1', 'text 2', 'answer']);
        assert.equal(more, false);
        const page = await sender.request('messages', { with: ben, limit: 2, before: messages[3].message });
        assert.deepEqual([texts(page.messages), page.more], [['text 1', 'text 2'], true]);
        assert.deepEqual(again.pending('message'), []);
    });

    test('three devices get every message, and see what one of them sends', async (context) => {
        const [ann, ben] = names('ann', 'ben');
        const devices = [];
        for (let i = 0; i < 3; i++) devices.push(await enter(context, server, ann));
        const other = await enter(context, server, ben);
        const { message } = await other.request('message', { to: ann, text: 'to all' });
        for (const device of devices) assert.equal((await device.event('message')).message, message);
        await devices[0].request('message', { to: ben, text: 'from one' });
        for (const device of devices.slice(1)) {
            const { from, to, text } = await device.event('message');
            assert.deepEqual([from.user, to, text], [ann, ben, 'from one']);
        }
        assert.equal((await other.event('message')).text, 'from one');
        assert.deepEqual(devices[0].pending('message'), []);
    });

    test('a stranger with many names displaces nobody, and neither does a user who floods', async (context) => {
        const [ben, friend, flood] = names('ben', 'friend', 'flood');
        await (await enter(context, server, ben)).goodbye();
        const client = await enter(context, server, friend);
        await client.request('message', { to: ben, text: 'from a friend' });
        for (let i = 0; i < 12; i++) {
            const guest = await enter(context, server, `guest-${userNumber}-${i}`, { guest: true });
            await guest.request('message', { to: ben, text: `guest ${i}` });
            await guest.goodbye();
        }
        const loud = await enter(context, server, flood);
        for (let i = 0; i < 70; i++) await loud.request('message', { to: ben, text: `flood ${i}` });
        const receiver = await enter(context, server, ben);
        const { messages } = await receiver.event('missed', undefined, PATIENCE_MS);
        assert.equal(messages, 50);
        const came = [];
        while (came.length < messages) came.push((await receiver.event('message', undefined, PATIENCE_MS)).text);
        assert.equal(came[0], 'from a friend');
        // guests together have a tenth
        assert.deepEqual(came.slice(1, 6), [7, 8, 9, 10, 11].map((i) => `guest ${i}`));
        assert.equal(came.at(-1), 'flood 69');
    });

    test('a guest is written to while it is there, and nothing waits for it', async (context) => {
        const [ann, gus] = names('ann', 'gus');
        const sender = await enter(context, server, ann);
        await refuses(sender.request('message', { to: gus, text: 'x' }), 'user_unavailable');
        const guest = await enter(context, server, gus, { guest: true });
        await sender.request('message', { to: gus, text: 'hello' });
        assert.equal((await guest.event('message')).text, 'hello');
        await refuses(guest.request('messages', { with: ann }), 'not_permitted');
        await guest.goodbye();
        await refuses(sender.request('message', { to: gus, text: 'x' }), 'user_unavailable');
    });

    test('calls are in both histories, and a missed one counts until it was seen', async (context) => {
        const [ann, ben] = names('ann', 'ben');
        await (await enter(context, server, ben)).goodbye();
        const caller = await enter(context, server, ann);
        await refuses(caller.request('call', { to: ben, sdp: 'v=0 offer', media: 'audio' }), 'user_unavailable');
        let callee = await enter(context, server, ben);
        assert.equal((await callee.event('missed', undefined, PATIENCE_MS)).calls, 1);
        const { call } = await caller.request('call', { to: ben, sdp: 'v=0 offer', media: 'video' });
        await callee.request('call_accept', { call, sdp: 'v=0 answer' });
        await callee.request('call_hangup', { call });
        const { calls } = await callee.request('calls', { seen: true });
        assert.deepEqual(calls.map(({ with: who, direction, media, result, missed, binding }) => [who, direction, media, result, missed, binding]),
            [[ann, 'in', 'video', 'answered', false, 'native'], [ann, 'in', 'audio', 'unavailable', true, 'native']]);
        const list = async (query, status = 200) => {
            const answer = await server.fetch(`/api/v1/users/${ben}/calls${query}`, { headers: { authorization: `Bearer ${token({ admin: true })}` } });
            assert.equal(answer.status, status, answer.body);
            return status === 200 ? JSON.parse(answer.body) : null;
        };
        const page = await list('?limit=1');
        assert.deepEqual(page.calls.map(({ with: who, direction, result, media }) => [who, direction, result, media]), [[ann, 'in', 'answered', 'video']]);
        const rest = await list(`?before=${page.next}`);
        assert.deepEqual([rest.calls.map(({ result }) => result), rest.next], [['unavailable'], null]);
        await list('?limit=101', 400);
        const own = (await caller.request('calls')).calls;
        assert.deepEqual(own.map(({ direction, result, binding }) => [direction, result, binding]), [['out', 'answered', 'native'], ['out', 'unavailable', undefined]]);
        await callee.goodbye();
        callee = await enter(context, server, ben);
        assert.deepEqual((await callee.request('calls')).calls.map(({ missed }) => missed), [false, false]);
        assert.deepEqual(callee.pending('missed'), []);
    });

    test('a device that is revoked is closed with 4001 and cannot come back', async (context) => {
        const [ann] = names('ann');
        const [phone, desk] = [await enter(context, server, ann), await enter(context, server, ann)];
        const { devices } = await desk.request('devices');
        assert.deepEqual(devices.map(({ binding, address, this: own }) => [binding, address, own]), [['native', '127.0.0.1', false], ['native', '127.0.0.1', true]]);
        assert.ok(Math.abs(devices[0].since - Date.now()) < 3600000);
        await desk.request('device_revoke', { device: devices[0].device });
        assert.equal((await phone.closed).code, 4001);
        await refuses(phone.resume(), 'resume_unknown');
        assert.equal((await desk.request('devices')).devices.length, 1);
    });

    test('what a lost client did not confirm waits again', async (context) => {
        const [ann, ben] = names('ann', 'ben');
        const sender = await enter(context, server, ann);
        const lost = await enter(context, server, ben);
        const { message } = await sender.request('message', { to: ben, text: 'into the void' });
        await lost.event('message');
        await lost.cut(); // before it said that it has it
        const { contacts } = await sender.request('contacts', { prefix: ben });
        const gone = ({ user, presence }) => user === ben && presence === 'offline';
        if (!contacts.some(gone)) await sender.event('presence', gone, PATIENCE_MS);
        const again = await enter(context, server, ben);
        const came = await again.event('message', undefined, PATIENCE_MS);
        assert.deepEqual([came.message, came.missed], [message, true]);
    });

    test('an account that is not there has its messages kept, and nobody else takes its name', async (context) => {
        const [ann, acc] = names('ann', 'acc');
        const sender = await enter(context, server, ann);
        await refuses(sender.request('message', { to: acc, text: 'x' }), 'user_unavailable');
        const { status, output } = await runCommand(['user', 'add', acc, '--generate', '--set', `server.data_dir=${server.dataDir}`, '--set', 'turn.realm=roost'], { sanitized: true });
        assert.equal(status, 0, output);
        const listed = async () => (await sender.request('contacts', { prefix: acc })).contacts.find(({ user }) => user === acc);
        assert.equal((await until('the server knows the account', listed, PATIENCE_MS)).presence, 'offline');
        await sender.request('message', { to: acc, text: 'welcome' });
        const stranger = await NativeClient.start(server);
        context.after(() => stranger.goodbye());
        await assert.rejects(stranger.request('register', { user: acc }));
        const owner = await enter(context, server, acc);
        assert.equal((await owner.event('message', undefined, PATIENCE_MS)).text, 'welcome');
    });

    test('presence goes to who lists contacts', async (context) => {
        const [ann, ben] = names('pann', 'pben');
        const watcher = await enter(context, server, ann);
        const other = await enter(context, server, ben);
        const { contacts } = await watcher.request('contacts', { prefix: 'pb' });
        assert.deepEqual(contacts.map(({ user, verified, presence, bindings }) => [user, verified, presence, bindings]), [[ben, true, 'online', ['native']]]);
        await other.request('presence', { presence: 'dnd' });
        const is = (presence) => (event) => event.presence === presence;
        assert.equal((await watcher.event('presence', is('dnd'), PATIENCE_MS)).user, ben);
        await refuses(watcher.request('call', { to: ben, sdp: 'v=0 offer' }), 'user_busy');
        await other.goodbye();
        assert.deepEqual((await watcher.event('presence', is('offline'), PATIENCE_MS)).bindings, []);
    });
});

test('killed again and again, the server loses no message that it acknowledged', { timeout: 120000 }, async (context) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'roost-messages-'));
    context.after(() => rmSync(dataDir, { recursive: true, force: true }));
    const [ann, ben] = names('ann', 'ben');
    const more = { ...set, 'history.max_per_user': 10000 };
    let server = await Server.start({ dataDir, set: more });
    context.after(() => server.exit ?? kill(server));
    await (await enter(context, server, ben)).goodbye();
    const acknowledged = [];
    const got = new Map();
    for (let round = 0; round < 5; round++) {
        const sender = await enter(context, server, ann);
        // killed while requests are under way
        const sending = Array.from({ length: 40 }, async (_, i) => {
            const text = `${round}.${i}`;
            const reply = await sender.request('message', { to: ben, text }).catch(() => null);
            if (reply) acknowledged.push({ id: reply.message, text });
        });
        const enough = acknowledged.length + 5 + round * 5;
        while (acknowledged.length < enough) await new Promise((resolve) => setImmediate(resolve));
        await kill(server);
        await Promise.all(sending);
        server = await Server.start({ dataDir, set: more });
        const receiver = await enter(context, server, ben);
        const missed = await receiver.event('missed', undefined, PATIENCE_MS);
        for (let i = 0; i < missed.messages; i++) {
            const { message, text } = await receiver.event('message', undefined, PATIENCE_MS);
            assert.ok(!got.has(message), `${text} came twice`);
            got.set(message, text);
        }
        // what is asked for behind them is answered behind the mark of their delivery
        await receiver.request('messages', { with: ann, limit: 1 });
        await receiver.goodbye();
    }
    assert.ok(acknowledged.length >= 5 * 5);
    for (const { id, text } of acknowledged) assert.equal(got.get(id), text, `${text} was acknowledged and is lost`);
    context.diagnostic(`${acknowledged.length} acknowledged, ${got.size} received`);
});
