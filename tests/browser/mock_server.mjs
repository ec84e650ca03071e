/**
 * A server for looking at the application: serves web/ as the real one does, with the same content
 * security policy, and plays a room full of people over /ws. No media: see helpers/fake_media.js.
 */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

const WEB = fileURLToPath(new URL('../../web', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const POLICY =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/**
 * What a room looks like to the one who joins it.
 *
 * @typedef {object} Scenario
 * @property {{name: string, camera?: boolean, muted?: boolean, away?: boolean}[]} [people] the others
 * @property {string} [sharer] name of the one who shares a screen
 * @property {string[]} [speaking] names
 * @property {{name: string, text: string}[]} [chat]
 * @property {string} [refuse] error code for `join`
 * @property {{reason: string, message: string}} [removed] taken out right after joining
 * @property {boolean} [locked]
 * @property {boolean} [moderator]
 */

/**
 * @param {Record<string, Scenario>} scenarios by room name
 * @returns {Promise<{url: string, sockets: Set<import('ws').WebSocket>, close: () => void}>}
 */
export async function startMockServer(scenarios) {
    const server = createServer((request, response) => void serve(request.url ?? '/', response));
    const sockets = new Set();
    const relay = new MockRelay();
    const webSockets = new WebSocketServer({ server, path: '/ws', handleProtocols: () => 'roost.v1' });
    webSockets.on('connection', (socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        const session = new MockSession(socket, scenarios, relay);
        socket.on('message', (data) => session.receive(JSON.parse(String(data))));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    return {
        url: `http://127.0.0.1:${port}`,
        sockets,
        close: () => {
            for (const socket of sockets) socket.terminate();
            server.closeAllConnections();
            server.close();
        },
    };
}

/**
 * @param {string} url
 * @param {import('node:http').ServerResponse} response
 */
async function serve(url, response) {
    const path = normalize(new URL(url, 'http://localhost').pathname);
    const file = /^\/(app|sdk)\//.test(path) ? path : '/app/index.html';
    try {
        const body = await readFile(join(WEB, file));
        response.writeHead(200, {
            'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
            'content-security-policy': POLICY,
            'x-content-type-options': 'nosniff',
        });
        response.end(body);
    } catch {
        response.writeHead(404).end();
    }
}

class MockSession {
    #socket;
    #scenarios;
    #relay;
    #seq = 0;
    /** @type {Scenario} */
    #scenario = {};
    #tracks = [];
    #self = null;

    constructor(socket, scenarios, relay) {
        this.#socket = socket;
        this.#scenarios = scenarios;
        this.#relay = relay;
    }

    receive(message) {
        if (this.#relay.receive(this, message)) return;
        switch (message.type) {
            case 'ping':
                return this.#socket.send('{"type":"pong"}');
            case 'hello':
                return this.#bare(message, {
                    version: 1, server: 'mock', session: 's', resume_token: 't', resume_within_ms: 30000,
                    heartbeat_ms: 4000, dead_after_ms: 10000, ice_servers: [], limits: LIMITS,
                });
            case 'resume':
                return this.#bare(message, { replayed: 0 });
            case 'join':
                return this.#join(message);
            case 'offer':
                return this.#offer(message);
            case 'link':
                return this.ok(message, { role: message.link.startsWith('wait') ? 'wait' : 'call' });
            case 'call':
                return this.#call(message);
            case 'chat':
                this.ok(message);
                return this.#chat(this.#self.id, this.#self.name, message.text);
            case 'lock':
                this.ok(message);
                return this.event({ type: 'room_updated', locked: message.locked });
            default:
                return this.ok(message);
        }
    }

    send(message) {
        this.#socket.send(JSON.stringify(message));
    }
    refuse({ id }, code) {
        this.send({ seq: ++this.#seq, type: 'error', id, code, message: 'Refused.' });
    }
    #bare({ id }, result) {
        this.send({ type: 'ok', id, result });
    }
    ok({ id }, result) {
        this.send({ seq: ++this.#seq, type: 'ok', id, result });
    }
    event(event) {
        this.send({ seq: ++this.#seq, ...event });
    }
    #chat(from, name, text) {
        this.event({ type: 'chat', from, name, text, time_ms: Date.now() });
    }

    #join(message) {
        const scenario = this.#scenarios[message.room] ?? {};
        this.#scenario = scenario;
        if (scenario.refuse) {
            return this.refuse(message, scenario.refuse);
        }
        this.#self = { id: 'me', name: message.name, moderator: scenario.moderator ?? true, away: false, media: 'connected' };
        const people = scenario.people ?? [];
        const members = people.map(({ name, away }, index) => ({
            id: `m${index}`, name, moderator: false, away: away ?? false, media: 'connected',
        }));
        this.#tracks = people.flatMap(({ name, camera, muted }, index) => {
            const base = { member: `m${index}`, blocked: false, live: true, seed: index };
            return [
                { ...base, id: `a${index}`, kind: 'audio', source: 'microphone', muted: muted ?? false },
                ...(camera === false ? [] : [{ ...base, id: `v${index}`, kind: 'video', source: 'camera', muted: false }]),
                ...(scenario.sharer === name ? [{ ...base, id: `x${index}`, kind: 'video', source: 'screen', muted: false }] : []),
            ];
        });
        const count = (kind) => Math.max(4, this.#tracks.filter((track) => track.kind === kind).length);
        this.ok(message, {
            room: message.room, self: 'me', locked: scenario.locked ?? false, members: [...members, this.#self],
            tracks: this.#tracks, ice_servers: [], slots: { audio: count('audio'), video: count('video') }, limits: LIMITS,
        });
        if (scenario.removed) this.event({ type: 'removed', ...scenario.removed });
    }

    #offer(message) {
        const sections = [...message.sdp.matchAll(/m=(\w+)\r\na=mid:(\S+)\r\na=(\w+)/g)].map(([, kind, mid, direction]) => ({ kind, mid, direction }));
        const waiting = { audio: this.#tracks.filter(({ kind }) => kind === 'audio'), video: this.#tracks.filter(({ kind }) => kind === 'video') };
        const slots = sections.filter(({ direction }) => direction === 'recvonly').map(({ kind, mid }, index) => {
            const track = waiting[kind].shift();
            return { mid, kind, pair: index >> 1, track: track?.id ?? null, member: track?.member ?? null, source: track?.source, seed: track?.seed };
        });
        const fakes = slots.filter(({ track, kind }) => track && kind === 'video')
            .map(({ mid, source, seed }) => `a=fake:${mid} ${source === 'screen' ? 'screen' : 'person'} ${seed}\r\n`);
        this.ok(message, {
            sdp: `v=0\r\n${fakes.join('')}`,
            publications: sections.filter(({ direction }) => direction === 'sendonly').map(({ mid }) => ({ mid, track: `own${mid}` })),
            slots,
        });
        this.#play();
    }

    /** What happens after joining: somebody speaks, texts come. */
    #play() {
        const { people = [], speaking = [], chat = [] } = this.#scenario;
        const id = (name) => `m${people.findIndex((person) => person.name === name)}`;
        if (speaking.length > 0) {
            this.event({ type: 'speakers', speakers: speaking.map((name) => ({ member: id(name), track: id(name).replace('m', 'a'), level: 20 })) });
        }
        for (const { name, text } of chat) this.#chat(name === 'me' ? 'me' : id(name), name, text);
        this.#scenario = { ...this.#scenario, chat: [] };
    }

    #call(message) {
        this.ok(message, { call: 'c1', timeout_ms: 45000 });
        if (message.to.startsWith('ring')) return this.event({ type: 'call_ringing', call: 'c1' });
        this.event({ type: 'call_ringing', call: 'c1' });
        this.event({ type: 'call_accepted', call: 'c1', by: { name: 'Grace', verified: false }, sdp: 'v=0\r\na=fake:1 person 3\r\n' });
    }
}

/** A real private call at links that begin with `relay`: passes what the two sides say. */
class MockRelay {
    /** @type {MockSession[]} */
    #sides = [];
    #pending = null;

    /** @returns {boolean} the message was of a relayed call */
    receive(session, message) {
        if (message.type === 'link' && message.link.startsWith('relay')) {
            this.#sides.push(session);
            session.ok(message, { role: this.#sides.length === 1 ? 'wait' : 'call' });
            return true;
        }
        if (!this.#sides.includes(session) || !message.type.startsWith('call')) return false;
        const other = this.#sides.find((side) => side !== session);
        const { id: _, ...rest } = message;
        if (message.type === 'call') {
            session.ok(message, { call: 'relayed', timeout_ms: 45000 });
            other.event({ type: 'call_incoming', call: 'relayed', from: { name: message.name, verified: false }, to: message.to, sdp: message.sdp, media: 'video', glare: false, timeout_ms: 45000 });
            return true;
        }
        if (message.type === 'call_offer' && this.#pending) {
            session.refuse(message, 'negotiation_pending');
            return true;
        }
        if (message.type === 'call_offer') this.#pending = session;
        if (message.type === 'call_answer') this.#pending = null;
        session.ok(message);
        if (message.type === 'call_accept') other.event({ type: 'call_accepted', call: 'relayed', by: { name: 'Ada', verified: false }, sdp: message.sdp });
        else if (message.type === 'call_hangup') other.event({ type: 'call_ended', call: 'relayed', reason: 'hangup' });
        else other.event(rest);
        return true;
    }
}

const LIMITS = { members: 1000, tracks: 8, audio_slots: 16, video_slots: 48, chat_bytes: 4096, message_bytes: 1114112 };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const { url } = await startMockServer({});
    console.log(`Open ${url}`);
}
