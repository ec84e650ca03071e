// Members that lie to the server about media: what they say is well sealed, and of no sense. The others'
// pictures go on, publishers are not bothered, and nothing is believed that would cost more than it should.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { Server, runCommand } from '../support/server.mjs';
import { patienceMs, until } from '../support/until.mjs';
import { Member } from '../support/werift_member.mjs';

let server, token, ann, ben, mallory;
const room = 'stage';

before(async () => {
    server = await Server.start({ sanitized: true, set: { 'server.workers': 2 } });
    token = (await runCommand(['token', '--admin', '--data', server.dataDir], { sanitized: true })).output.trim();
    ann = await Member.join(server, room, 'Ann', { sends: ['audio', 'video'], slots: 0 });
    ben = await Member.join(server, room, 'Ben');
    mallory = await Liar.join(server, room, 'Mallory', { sends: ['video'] });
    ann.send();
    mallory.send();
    await until('pictures', () => ben.received.video.length > 50 && mallory.heard.size > 50);
});
after(async () => {
    await Promise.all([ann, ben, mallory].map((member) => member?.leave()));
    const ended = await server?.stop();
    setTimeout(() => process.exit(), 500).unref(); // werift keeps timers of closed connections
    assert.deepEqual(ended, { status: 0, signal: null });
});

const WIDE = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';

/** Says nothing true about what it gets, and whatever else a test wants. */
class Liar {
    /** When packets came, by their transport-wide numbers. */
    heard = new Map();
    newest = 0;
    #told = undefined;

    static async join(...where) {
        const liar = new Liar();
        liar.member = await Member.join(...where);
        const receiver = liar.member.peer.getTransceivers().find(({ kind, direction }) => kind === 'video' && direction === 'recvonly').receiver;
        const take = receiver.handleRtpBySsrc;
        receiver.handleRtpBySsrc = (packet, extensions) => {
            liar.heard.set(extensions[WIDE], performance.now());
            liar.newest = extensions[WIDE];
            liar.ssrc = packet.header.ssrc;
            take(packet, extensions);
        };
        liar.transport = receiver.dtlsTransport;
        liar.say = liar.transport.sendRtcp.bind(liar.transport);
        liar.transport.sendRtcp = async () => {}; // the honest reports of its stack
        return liar;
    }

    get id() { return this.member.client.member; }
    send() { this.member.send(); }
    leave() { return this.member.leave(); }

    /** The truth about what came since it last told it, or undefined. */
    truth() {
        const base = ((this.#told ?? this.newest - 1) + 1) & 0xffff;
        const numbers = [];
        for (let at = base; this.heard.has(at) && numbers.length < 200; at = (at + 1) & 0xffff) numbers.push(at);
        if (numbers.length === 0) return undefined;
        this.#told = numbers.at(-1);
        const reference = Math.floor(this.heard.get(base) / 64);
        let units = reference * 256;
        const deltas = numbers.map((number) => {
            const delta = Math.round(this.heard.get(number) * 4) - units;
            units += delta;
            return delta;
        });
        return feedback({ base, count: numbers.length, reference, chunks: [run(2, numbers.length)], deltas, deltaSize: 2 });
    }

    /** One datagram of these RTCP packets. */
    tell(...packets) {
        if (packets.length === 0) return undefined;
        return this.say(packets.map((packet) => ({ serialize: () => packet })));
    }
}

/** RTCP of one type, whose length is as it should be. */
function rtcp(format, type, ...words) {
    const body = Buffer.concat(words.map((word) => {
        if (Buffer.isBuffer(word)) return word;
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(word >>> 0);
        return bytes;
    }));
    const padding = Buffer.alloc((4 - (body.length % 4)) % 4);
    const head = Buffer.from([0x80 | format, type, 0, 0]);
    head.writeUInt16BE((body.length + padding.length) / 4, 2);
    return Buffer.concat([head, body, padding]);
}
const pli = (ssrc) => rtcp(1, 206, 1, ssrc);
const fir = (ssrc, number) => rtcp(4, 206, 1, 0, ssrc, (number & 255) << 24);

/** Transport-wide feedback: chunks of 16 bits, deltas of `deltaSize` bytes. */
function feedback({ base, count, reference, chunks, deltas = [], deltaSize = 1 }) {
    const bytes = Buffer.alloc(8 + 2 * chunks.length + deltaSize * deltas.length);
    bytes.writeUInt16BE(base & 0xffff, 0);
    bytes.writeUInt16BE(count, 2);
    bytes.writeUIntBE(reference & 0xffffff, 4, 3);
    chunks.forEach((chunk, i) => bytes.writeUInt16BE(chunk, 8 + 2 * i));
    deltas.forEach((delta, i) => {
        const at = 8 + 2 * chunks.length + deltaSize * i;
        if (deltaSize === 1) bytes.writeUInt8(delta, at);
        else bytes.writeInt16BE(delta, at);
    });
    return rtcp(15, 205, 1, mallory.ssrc, bytes);
}
const run = (symbol, count) => (symbol << 13) | count;

function remb(mantissa, exponent, { count = 1, ssrcs = [mallory.ssrc] } = {}) {
    const rate = Buffer.from([count, (exponent << 2) | (mantissa >> 16), (mantissa >> 8) & 255, mantissa & 255]);
    return rtcp(15, 206, 1, 0, Buffer.from('REMB'), rate, ...ssrcs);
}

const bandwidth = async () => {
    const { status, body } = await server.fetch(`/api/v1/rooms/${room}/participants/${mallory.id}/stats`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(status, 200, body);
    return JSON.parse(body).bandwidth_bps;
};
/** Tells lies beside the truth. */
const alongside = (lies) => async (i) => {
    const truth = i % 5 === 0 && mallory.truth();
    await mallory.tell(...lies(i), ...(truth ? [truth] : []));
};

/** Tells the truth for a while; what her path is then thought to carry. */
async function honest() {
    await lying(alongside(() => []), 30);
    return bandwidth();
}
const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);
const turn = () => new Promise((resolve) => { setTimeout(resolve, 10); });

/** Says a lie a hundred times a second, while Ben's picture must go on. */
async function lying(lie, pictures = 50) {
    const before = ben.received.video.length;
    const end = Date.now() + patienceMs;
    for (let i = 0; ben.received.video.length < before + pictures; i++) {
        assert.ok(Date.now() < end, "the others' picture stands still");
        await lie(i);
        await turn();
    }
}

test('a flood of requests for key frames reaches no publisher', async () => {
    const [asked, refused] = [ann.keyFramesWanted, await server.total('media_key_frames_refused_total') + await server.total('rtc_events_dropped_total')];
    const many = Array.from({ length: 20 }, (_, i) => [pli(mallory.ssrc), fir(mallory.ssrc, i)]).flat();
    const begin = Date.now();
    await lying(() => mallory.tell(...many), 100);
    // five in a row, and one more every four seconds
    const allowed = 5 + 1 + (Date.now() - begin) / 4000;
    assert.ok(ann.keyFramesWanted - asked <= allowed, `${ann.keyFramesWanted - asked} requests reached the publisher, not ${allowed}`);
    const more = await server.total('media_key_frames_refused_total') + await server.total('rtc_events_dropped_total') - refused;
    assert.ok(more > 1000, `${more} were refused`);
});

test('lies in transport-wide feedback move the estimate within bounds, and nobody else', async (t) => {
    const size = memory();
    await honest();
    let reference = 1000;
    const ignored = () => server.total('rtc_dropped_total', 'reason="feedback"');
    const about = (count) => ({ base: mallory.newest - count + 1, count, reference: reference++ });
    const lies = {
        'packets that were never sent': [(i) => feedback({ base: mallory.newest + 2000 + i, count: 7, reference, chunks: [run(1, 7)], deltas: Array(7).fill(4) }), true],
        'deltas that are missing': [() => feedback({ ...about(100), chunks: [run(2, 100)] }), true],
        'chunks that are missing': [() => feedback({ ...about(60), chunks: [run(0, 10)] }), true],
        'no packets, or too many': [(i) => feedback({ base: mallory.newest, count: i % 2 ? 0 : 65535, reference, chunks: Array(8).fill(run(0, 8191)) }), true],
        'symbols that do not exist': [() => feedback({ ...about(7), chunks: [run(3, 7)] }), true],
        'all are lost': [() => feedback({ ...about(60), chunks: [run(0, 60)] }), false],
        'all came at once': [() => feedback({ ...about(60), chunks: [run(1, 60)], deltas: Array(60).fill(0) }), false],
        'all came before they were sent': [() => feedback({ ...about(60), chunks: [run(2, 60)], deltas: Array(60).fill(-32768), deltaSize: 2 }), false],
        'all took a week': [() => feedback({ ...about(60), chunks: [run(2, 60)], deltas: Array(60).fill(32767), deltaSize: 2 }), false],
        'a clock that leaps by half its range': [(i) => feedback({ ...about(60), reference: i * 0x7fffff, chunks: [run(1, 60)], deltas: Array(60).fill(1) }), false],
        'a clock that runs backwards': [(i) => feedback({ ...about(60), reference: -i * 1000, chunks: [run(1, 60)], deltas: Array(60).fill(1) }), false],
    };
    for (const [name, [lie, refused]] of Object.entries(lies)) {
        const before = await ignored();
        await lying(alongside((i) => [lie(i)]), 20);
        const [estimate, count] = [await bandwidth(), await ignored() - before];
        t.diagnostic(`${name}: ${estimate} bit/s, ${count} refused`);
        // between what sound needs and what was ever sent or probed
        assert.ok(estimate >= 30000 && estimate <= 3e6, `${name}: ${estimate} bit/s`);
        assert.ok(refused ? count > 10 : true, `${name}: ${count} were refused`);
    }
    assert.ok(memory() - size < 30000, `${memory() - size} KiB more`);
});

test('absurd REMB is held between what the path is thought to carry and nothing, for its sender alone', async () => {
    const before = await honest();
    assert.ok(before >= 30000, `${before} bit/s`);
    for (const [mantissa, exponent] of [[0x3ffff, 63], [1, 63], [0x3ffff, 45]]) {
        await lying(alongside(() => [remb(mantissa, exponent)]), 20);
        const now = await bandwidth();
        assert.ok(now >= 30000 && now <= Math.max(3e6, 2 * before), `${mantissa} << ${exponent}: ${now} bit/s`);
    }
    // more sources than there are, none at all, and hardly anything
    const malformed = [remb(1000, 5, { count: 255 }), remb(1000, 5, { count: 0, ssrcs: [] }), rtcp(15, 206, 1, 0, Buffer.from('REMB')), rtcp(15, 206, 1, 0)];
    await lying(alongside(() => malformed), 20);
    const asked = ann.keyFramesWanted;
    await lying(alongside((i) => [remb(i % 2, 0)]), 50);
    await lying(alongside((i) => [i % 2 ? remb(1, 0) : remb(0x3ffff, 63)]), 100);
    assert.ok(ann.keyFramesWanted - asked <= 10, `${ann.keyFramesWanted - asked} requests reached the publisher`);
    assert.ok(await bandwidth() <= Math.max(before, 3e6), 'she gets no more for it');
});
