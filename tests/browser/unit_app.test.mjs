import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { test } from 'node:test';
import { isSlug, parseRoute, playoutDelayOf, relayOf, roomPath, secretLink, slugify, suggestRoom } from '../../web/app/router.js';
import { t } from '../../web/app/texts.js';
import { hue, initials } from '../../web/app/ui/avatar.js';
import { TalkDetector, loudness } from '../../web/app/ui/level.js';

// browsers and later Nodes have it; Debian 12's Node 18 does not
globalThis.crypto ??= webcrypto;

test('addresses lead to their pages', () => {
    assert.deepEqual(parseRoute('/'), { page: 'lobby' });
    assert.deepEqual(parseRoute('/r/weekly'), { page: 'room', room: 'weekly' });
    assert.deepEqual(parseRoute('/r/k%C3%B6ln/'), { page: 'room', room: 'köln' });
    assert.deepEqual(parseRoute('/call/ada'), { page: 'call', link: 'ada' });
    assert.deepEqual(parseRoute('/contacts'), { page: 'contacts' });
});

test('addresses with names that the server refuses lead nowhere', () => {
    for (const path of ['/r/', '/r/a%20b', '/r/%3Cb%3E', '/r/%', '/call/a/b', '/other']) {
        assert.deepEqual(parseRoute(path), { page: 'unknown' }, path);
    }
});

test('a room path comes back as the same room', () => {
    for (const room of ['demo', 'köln', 'a+b@c~d']) {
        assert.deepEqual(parseRoute(roomPath(room)), { page: 'room', room });
    }
});

test('what people type becomes a room name', () => {
    assert.equal(slugify('  Weekly Planning! '), 'weekly-planning');
    assert.equal(slugify('!?'), '');
    assert.ok(!isSlug(''));
    assert.ok(!isSlug('é'.repeat(40)), 'longer than 64 bytes of UTF-8');
});

test('suggested rooms and links are names the server takes, and differ', () => {
    const links = new Set(Array.from({ length: 100 }, secretLink));
    assert.equal(links.size, 100);
    for (const name of [...links, suggestRoom()]) assert.ok(isSlug(name), name);
});

test('initials are one or two letters of any script', () => {
    assert.equal(initials('Ada Lovelace'), 'AL');
    assert.equal(initials('grace'), 'G');
    assert.equal(initials('Maria von und zu Stein'), 'MS');
    assert.equal(initials('山田'), '山');
    assert.equal(initials('🙂 !'), '?');
});

test('a name has one colour, and names spread over all eight', () => {
    assert.equal(hue('Ada'), hue(' ada '));
    const seen = new Set(Array.from({ length: 64 }, (_, i) => hue(`Šárka ${i}`)));
    assert.deepEqual([...seen].sort(), ['0', '1', '2', '3', '4', '5', '6', '7']);
});

test('texts fill in values and choose the plural form', () => {
    assert.equal(t('room.count', { count: 1 }), '1 person in the call');
    assert.equal(t('room.count', { count: 3 }), '3 people in the call');
    assert.equal(t('live.joined', { name: '{count}' }), '{count} joined');
});

test('loudness goes from silence to full scale', () => {
    assert.equal(loudness(new Float32Array(512)), 0);
    assert.equal(loudness(new Float32Array(512).fill(1)), 1);
    const speech = loudness(new Float32Array(512).fill(0.05));
    assert.ok(speech > 0.5 && speech < 0.8, String(speech));
});

test('talking is noticed after half a second, a cough is not', () => {
    const detector = new TalkDetector();
    assert.ok(!detector.hear(0.9));
    for (let i = 0; i < 10; i++) detector.hear(0);
    let noticed = -1;
    for (let i = 1; i <= 10 && noticed < 0; i++) if (detector.hear(0.9)) noticed = i;
    assert.equal(noticed, 6);
});

test('the address may say for how long pictures are held back', () => {
    assert.equal(playoutDelayOf('?playout_delay=0'), 0);
    assert.equal(playoutDelayOf('?a=1&playout_delay=10000'), 10000);
    for (const none of ['', '?playout_delay=', '?playout_delay=-1', '?playout_delay=10001', '?playout_delay=1e3', '?delay=5'])
        assert.equal(playoutDelayOf(none), undefined, none);
});

test('the address may say that media goes through relays only', () => {
    assert.equal(relayOf(''), false);
    assert.equal(relayOf('?token=x'), false);
    assert.equal(relayOf('?relay=0'), false);
    assert.equal(relayOf('?relay=sctp'), false);
    assert.equal(relayOf('?relay=1'), true);
    assert.equal(relayOf('?token=x&relay=tls'), 'tls');
});
