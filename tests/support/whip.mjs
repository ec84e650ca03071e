// What tests of WHIP and WHEP send: offers, fragments, requests.
import { request as httpsRequest } from 'node:https';
import { networkInterfaces } from 'node:os';

export const PWD = 'abcdefghijklmnopqrstuvwx';

/** An offer of one audio and one video section, of nobody who would ever connect. */
export function offer(direction = 'sendonly', { ufrag = 'abcd', pwd = PWD } = {}) {
    const section = (kind, mid, type, codec) => [`m=${kind} 9 UDP/TLS/RTP/SAVPF ${type}`, 'c=IN IP4 0.0.0.0', `a=mid:${mid}`, `a=${direction}`, 'a=rtcp-mux',
        `a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`, `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`, 'a=setup:actpass', `a=rtpmap:${type} ${codec}`];
    return `${['v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', 'a=group:BUNDLE 0 1', ...section('audio', 0, 111, 'opus/48000/2'),
        ...section('video', 1, 96, 'VP8/90000')].join('\r\n')}\r\n`;
}

export const fragment = (ufrag, pwd = PWD) => `a=ice-ufrag:${ufrag}\r\na=ice-pwd:${pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n`
    + 'a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n';

/** One request, redirects not followed. */
export const call = (server, path, method, { type = 'application/sdp', body, fields = {} } = {}) => fetch(`${server.url}${path}`,
    { method, body, headers: { ...(body !== undefined && { 'Content-Type': type }), ...fields }, redirect: 'manual' });
export const post = (server, path, body = offer(path.startsWith('/whep') ? 'recvonly' : 'sendonly'), rest = {}) => call(server, path, 'POST', { body, ...rest });
export const patch = (server, path, body, fields = {}, type = 'application/trickle-ice-sdpfrag') => call(server, path, 'PATCH', { body, fields, type });

/** An address of this machine that is not loopback, or undefined. */
export const ownAddress = () => Object.values(networkInterfaces()).flat().find(({ internal, family }) => !internal && family === 'IPv4')?.address;

/** POSTs over TLS from and to an address of this machine; the certificate is not looked at. */
export const postTo = (server, address, path, body = offer()) => new Promise((resolve, reject) => {
    const request = httpsRequest({ host: address, port: server.httpsPort, path, method: 'POST', rejectUnauthorized: false, agent: false,
        headers: { 'Content-Type': 'application/sdp', 'Content-Length': Buffer.byteLength(body) } }, (response) => {
        response.resume();
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers }));
    });
    request.on('error', reject);
    request.end(body);
});
