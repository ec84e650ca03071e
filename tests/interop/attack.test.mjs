// What strangers try against the whole process.
import assert from 'node:assert/strict';
import { connect as tlsConnect } from 'node:tls';
import { after, before, test } from 'node:test';

import { Server } from '../support/server.mjs';

let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const metricsStatus = async (headers) => (await server.fetch('/metrics', { headers })).status;

test('metrics are for this machine, not for whom a proxy on it lets through', async () => {
    for (const host of ['localhost', `localhost:${server.httpPort}`, '127.0.0.1', '[::1]:80'])
        assert.equal(await metricsStatus({ host }), 200, host);
    for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip'])
        assert.equal(await metricsStatus({ [name]: '192.0.2.1' }), 403, name);
});

test('a web page whose name was made to point here reads no metrics', async () => {
    for (const host of ['evil.example', 'evil.example:80', 'localhost.evil.example', '127.0.0.1.evil.example'])
        assert.equal(await metricsStatus({ host }), 403, host);
});

/** The protocol agreed on, or the error of the handshake. */
function negotiate(options) {
    return new Promise((resolve) => {
        const socket = tlsConnect({ port: server.httpsPort, rejectUnauthorized: false, ...options });
        socket.once('secureConnect', () => {
            resolve(socket.alpnProtocol || socket.getProtocol());
            socket.destroy();
        });
        socket.once('error', (error) => resolve(error.code));
    });
}

test('a handshake meant for another protocol ends there', async () => {
    assert.equal(await negotiate({ ALPNProtocols: ['h2', 'http/1.1'] }), 'http/1.1');
    assert.equal(await negotiate({ ALPNProtocols: ['ftp'] }), 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    assert.equal(await negotiate({}), 'TLSv1.3');
});

test('old versions of TLS are refused', async () => {
    const old = await negotiate({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    assert.match(old, /^ERR_SSL_/);
    assert.equal(await negotiate({ maxVersion: 'TLSv1.2' }), 'TLSv1.2');
});
