// GStreamer's webrtcbin as a publisher and a viewer (gst_whip.py), where it is installed.
import { spawn, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { patienceMs, until } from './until.mjs';

const PYTHON = '/usr/bin/python3'; // Debian's own: it has the bindings
const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), 'gst_whip.py');

/** What is missing; "" : nothing. */
export function gstreamerMissing() {
    const parts = ['webrtcbin', 'nicesrc', 'x264enc', 'vp8enc', 'opusenc', 'avdec_h264|openh264dec', 'vp8dec'];
    const found = spawnSync(PYTHON, ['-c', `import gi, sys
gi.require_version('Gst', '1.0'); gi.require_version('GstWebRTC', '1.0'); gi.require_version('GstSdp', '1.0')
from gi.repository import Gst, GstWebRTC, GstSdp
Gst.init(None)
print(' '.join(names for names in sys.argv[1:] if not any(Gst.ElementFactory.find(name) for name in names.split('|'))))`, ...parts]);
    return found.status === 0 ? found.stdout.toString().trim() : 'GStreamer\'s Python bindings';
}

/** `mode`: "publish" or "watch"; `args` as the script takes them. */
export class GstPeer {
    static start(mode, url, ...args) {
        const peer = new GstPeer();
        peer.records = [];
        peer.output = '';
        peer.child = spawn(PYTHON, [SCRIPT, mode, url, ...args]);
        let rest = '';
        peer.child.stdout.on('data', (chunk) => {
            rest += chunk;
            const lines = rest.split('\n');
            rest = lines.pop();
            for (const line of lines) peer.records.push(JSON.parse(line));
        });
        peer.child.stderr.on('data', (chunk) => { peer.output += chunk; });
        peer.ended = new Promise((resolve) => peer.child.on('close', (status) => resolve(status)));
        return peer;
    }

    /** Waits for a record. */
    said(what, matches) {
        return until(what, () => this.records.find(matches));
    }

    connected() {
        return this.said('GStreamer is connected', ({ state }) => state === 'connected');
    }

    /** Ends it. Returns what DELETE was answered. */
    async stop() {
        this.child.stdin.end();
        const timer = setTimeout(() => this.child.kill('SIGKILL'), patienceMs);
        await this.ended;
        clearTimeout(timer);
        return this.records.find(({ ended }) => ended)?.ended;
    }
}
