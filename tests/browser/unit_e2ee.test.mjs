// SFrame and key agreement of the SDK, without a browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ReceiveKeys, ReplayWindow, SendKey, ratchet } from '../../web/sdk/frame_keys.js';
import { KeyExchange, RoomSecret } from '../../web/sdk/key_exchange.js';
import { deriveFrameKey, FrameError, kidBytes, protectData, protectFrame, readHeader, unprotectData, unprotectFrame, writeHeader } from '../../web/sdk/sframe.js';

const hex = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
const toHex = (bytes) => Buffer.from(bytes).toString('hex');
const bytes = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const id = { sender: 0x80000123, generation: 7, step: 2 };
const secret = new Uint8Array(32).fill(9);
const key = await deriveFrameKey(secret, kidBytes(id));
const find = async () => key;
const random = (size) => crypto.getRandomValues(new Uint8Array(size));
const problem = (name) => (error) => error instanceof FrameError && error.problem === name;

test('keys, nonces and ciphertexts are those of RFC 9605', async () => {
    // appendix C.3, AES_128_GCM_SHA256_128
    const derived = await deriveFrameKey(hex('000102030405060708090a0b0c0d0e0f'), hex('0000000000000123'));
    assert.equal(toHex(derived.salt), '75234edefe07819026751816');
    const iv = hex('75234edefe07819026755d71'); // the salt with counter 0x4567
    const additionalData = hex('99012345674945544620534672616d65205747');
    const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, derived.key, hex('64726166742d696574662d736672616d652d656e63'));
    assert.equal(toHex(new Uint8Array(sealed)), 'b7412c2513a1b66dbb48841bbaf17f598751176ad847681a69c6d0b091c07018ce4adb34eb');
});

test('headers come back as they were written', () => {
    for (const counter of [0, 7, 8, 255, 256, 0xffffffff, 2 ** 40]) {
        const header = readHeader(bytes(writeHeader(id, counter), [1, 2, 3]));
        assert.deepEqual(header, { ...id, counter, size: header.size });
    }
    assert.equal(toHex(writeHeader(id, 0x4567)), 'e980000123000702' + '4567');
    assert.equal(readHeader(Uint8Array.of(0x17, 0)), null);
});

const vp8Key = bytes([0x10, 2, 0, 0x9d, 1, 0x2a, 64, 1, 180, 0], random(300));
const vp8Delta = bytes([0x31, 2, 0], random(80));
const startCode = [0, 0, 0, 1];
const h264 = bytes(startCode, [0x67, 0x42, 0xe0, 0x1f], startCode, [0x68, 0xce, 0x3c, 0x80], [0, 0, 1], [0x65, 0xb8, 0, 4], new Uint8Array(400), [0, 0, 1, 0x65, 0x20], random(50));
const sequence = [0x0a, 3, 1, 2, 3];
const av1 = bytes([0x12, 0], sequence, [0x32, 0x90, 0x01], random(144));
const frames = { 'video/VP8': vp8Key, 'video/vp8': vp8Delta, 'video/VP9': random(500), 'video/H264': h264, 'video/AV1': av1, 'audio/opus': random(60), 'audio/PCMU': new Uint8Array(0) };

for (const [codec, frame] of Object.entries(frames)) {
    test(`${codec}: a frame of ${frame.length} bytes comes back, and not when it was touched`, async () => {
        const sealed = await protectFrame(frame, codec, id, key, 1234);
        const opened = await unprotectFrame(sealed, find);
        assert.deepEqual(opened.data, frame);
        assert.equal(opened.header.counter, 1234);
        for (const at of [sealed.length - 2, sealed.length - 20]) {
            const touched = sealed.slice();
            touched[at] ^= 0x40;
            await assert.rejects(unprotectFrame(touched, find), FrameError);
        }
        const text = toHex(sealed);
        for (let at = 16; at + 16 <= frame.length; at += 16) {
            const piece = frame.subarray(at, at + 16);
            if (piece.some((byte) => byte !== 0)) assert.ok(!text.includes(toHex(piece)), `plain text at ${at}`);
        }
    });
}

test('what servers and packetizers read stays readable', async () => {
    const key8 = await protectFrame(vp8Key, 'video/VP8', id, key, 1);
    assert.deepEqual(key8.subarray(0, 10), vp8Key.subarray(0, 10));
    const delta8 = await protectFrame(vp8Delta, 'video/VP8', id, key, 2);
    assert.equal(delta8[0], vp8Delta[0]);
    const sealed = await protectFrame(h264, 'video/H264', id, key, 3);
    assert.equal(toHex(sealed).match(/000001/g).length, 3, 'parameter sets and one slice: nothing looks like a start code');
    assert.notEqual(sealed[sealed.length - 1], 0);
    const obus = await protectFrame(av1, 'video/AV1', id, key, 4);
    assert.deepEqual([...obus.subarray(0, 5)], sequence);
    assert.equal(obus[5], 0x32);
});

test('clear bytes of a key frame are authentic', async () => {
    const sealed = await protectFrame(vp8Key, 'video/VP8', id, key, 1);
    sealed[6] ^= 1;
    await assert.rejects(unprotectFrame(sealed, find), problem('not-authentic'));
});

test('parameter sets that a receiver rewrites do no harm', async () => {
    const sealed = await protectFrame(h264, 'video/H264', id, key, 5);
    const longer = bytes([0], sealed.subarray(0, 7), [0xaa, 0xbb], sealed.subarray(7));
    const { data } = await unprotectFrame(longer, find);
    assert.deepEqual(data.subarray(10), h264.subarray(7));
});

test('frames that nobody encrypted, other keys and unknown codecs are told apart', async () => {
    await assert.rejects(unprotectFrame(vp8Key, find));
    await assert.rejects(unprotectFrame(new Uint8Array(), find), problem('not-encrypted'));
    const sealed = await protectFrame(vp8Delta, 'video/VP8', id, key, 6);
    await assert.rejects(unprotectFrame(sealed, async () => null), problem('no-key'));
    const other = await deriveFrameKey(random(32), kidBytes(id));
    await assert.rejects(unprotectFrame(sealed, async () => other), problem('not-authentic'));
    await assert.rejects(protectFrame(vp8Key, 'video/H265', id, key, 7), problem('codec'));
    for (let size = 1; size < 200; size++) await assert.rejects(unprotectFrame(random(size), find), FrameError);
});

test('receivers ratchet forward, never back, and forget former keys', async () => {
    let now = 0;
    const keys = new ReceiveKeys(() => now);
    const first = { ...id, step: 1 };
    assert.ok(keys.add('ann', first, secret));
    const frame = random(50);
    const stepped = { ...first, step: 3 };
    const ahead = await deriveFrameKey(await ratchet(await ratchet(secret)), kidBytes(stepped));
    const sealed = await protectFrame(frame, 'audio/opus', stepped, ahead, 1);
    assert.deepEqual((await unprotectFrame(sealed, (header) => keys.find(header))).data, frame);
    assert.equal(await keys.find({ ...first, step: 0 }), null);
    const next = { ...id, generation: 8, step: 0 };
    keys.add('ann', next, random(32));
    keys.used(next);
    assert.ok(await keys.find(first), 'frames on their way are still decrypted');
    now = 11_000;
    assert.equal(await keys.find(first), null);
    assert.equal(keys.add('eve', next, secret), false, 'nobody takes over the sender id of another');
    keys.forget('ann');
    assert.equal(await keys.find(next), null);
});

test('data messages have keys of their own, and are authentic or nothing', async () => {
    const sending = new SendKey(id, secret, 'data');
    const receiving = new ReceiveKeys(undefined, 'data');
    const frames = new ReceiveKeys();
    for (const keys of [receiving, frames]) keys.add('ann', id, secret);
    const message = random(1000);
    const { key: dataKey, counter } = await sending.next();
    const sealed = await protectData(message, id, dataKey, counter);
    const opened = await unprotectData(sealed, (header) => receiving.find(header));
    assert.deepEqual(opened.data, message);
    assert.equal(receiving.owner(opened.header.sender), 'ann');
    assert.equal(await unprotectData(sealed, (header) => frames.find(header)), null, 'the key of frames does not fit');
    assert.equal(await unprotectData(sealed, async () => null), null);
    for (const at of [0, 3, 12, sealed.length - 1]) {
        const changed = sealed.slice();
        changed[at] ^= 1;
        assert.equal(await unprotectData(changed, (header) => receiving.find(header)), null);
    }
    for (let size = 0; size < 60; size++) assert.equal(await unprotectData(sealed.subarray(0, size), (header) => receiving.find(header)), null);
    assert.equal((await sending.next()).counter, 1);
});

test('a frame comes once', () => {
    const window = new ReplayWindow();
    assert.ok(window.take({ ...id, counter: 5000, size: 1 }));
    assert.ok(window.take({ ...id, counter: 4000, size: 1 }));
    assert.ok(!window.take({ ...id, counter: 4000, size: 1 }));
    assert.ok(!window.take({ ...id, counter: 5000 - 2048, size: 1 }));
    assert.ok(window.take({ ...id, generation: 8, counter: 4000, size: 1 }));
});

/** Two members who may have heard each other. */
async function two(keyA = 'same', keyB = keyA) {
    const [a, b] = await Promise.all([keyA, keyB].map((text) => RoomSecret.derive(text, 'room')));
    return [await KeyExchange.make(a, 'mA'), await KeyExchange.make(b, 'mB'), a, b];
}

test('members with the same key give each other their frame keys', async () => {
    const [ann, ben, a, b] = await two();
    assert.equal(a.words, b.words);
    assert.match(a.words, /^([a-z]{5} ){3}[a-z]{5}$/);
    assert.equal((await ben.hear('mA', await ann.hello(true))).hello.reply, true);
    assert.equal((await ann.hear('mB', await ben.hello(false))).hello.reply, false);
    const heard = await ben.hear('mA', await ann.key('mB', id, secret));
    assert.deepEqual(heard, { key: { id, secret } });
});

test('another key, another name, a garbled or repeated message give nothing', async () => {
    const [ann, ben, a, b] = await two('one', 'other');
    assert.notEqual(a.words, b.words);
    assert.deepEqual(await ben.hear('mA', await ann.hello(true)), { wrong: true, reply: true });
    assert.equal(ben.knows('mA'), false);
    const [cleo, dan] = await two();
    const hello = await cleo.hello(true);
    assert.deepEqual(await dan.hear('mEve', hello), { wrong: true, reply: true }, 'a hello is its sender’s alone');
    await dan.hear('mA', hello);
    await cleo.hear('mB', await dan.hello(false));
    const said = JSON.parse(await cleo.key('mB', id, secret));
    assert.equal(await dan.hear('mA', JSON.stringify({ ...said, g: 9 })), null);
    assert.equal(await dan.hear('mB', JSON.stringify(said)), null);
    for (const garbled of ['', '{', '[]', '{"t":"hello"}', '{"t":"key","i":"%"}', 'null']) assert.equal(await dan.hear('mA', garbled), null);
});

test('the same passphrase is another key in another room', async () => {
    const [here, there] = await Promise.all([RoomSecret.derive('pass', 'a'), RoomSecret.derive('pass', 'b')]);
    assert.notEqual(here.words, there.words);
});
