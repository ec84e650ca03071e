// A server of the native protocol that a test plays.
import { after } from 'node:test';
import { WebSocketServer } from 'ws';

export const HELLO = {
    version: 1, server: 'test', session: 's1', resume_token: 'secret', resume_within_ms: 30000,
    heartbeat_ms: 4000, dead_after_ms: 10000, ice_servers: [], limits: {},
};

/** A server whose answers each test writes: `on[type](message, connection)`. */
export async function startServer(on, options = {}) {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'roost.v1', ...options });
    const received = [];
    const connections = [];
    server.on('connection', (socket) => {
        const connection = {
            socket,
            send: (message) => socket.send(JSON.stringify(message)),
            index: connections.length,
        };
        connections.push(connection);
        socket.on('message', (data) => {
            const message = JSON.parse(String(data));
            received.push({ ...message, connection: connection.index });
            on[message.type]?.(message, connection);
        });
    });
    await new Promise((resolve) => server.once('listening', resolve));
    after(() => {
        for (const client of server.clients) client.terminate();
        server.close();
    });
    return { url: `ws://127.0.0.1:${server.address().port}/ws`, received, connections };
}

