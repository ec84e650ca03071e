// Debian's Mosquitto as a broker that is not ours, from a configuration of a test's own.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from './until.mjs';

const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

/** A port that nothing listens on now: Mosquitto takes no 0. */
export async function freePort() {
    const server = createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

export class MosquittoBroker {
    #child;
    log = '';

    /**
     * @param {{lines?: string[], bridge?: string[], password?: [string, string]}} options lines of the listener; of a
     *     bridge; a user and a password that is asked for
     */
    static async start({ lines = [], bridge = [], password } = {}) {
        const broker = new MosquittoBroker();
        broker.port = await freePort();
        broker.folder = mkdtempSync(join(tmpdir(), 'roost-mosquitto-'));
        const passwordFile = join(broker.folder, 'passwords');
        if (password) execFileSync('mosquitto_passwd', ['-b', '-c', passwordFile, ...password], { env: environment, stdio: 'ignore' });
        writeFileSync(join(broker.folder, 'mosquitto.conf'), [
            // as root it would become another user, who may not read the folder
            ...(process.getuid() === 0 ? ['user root'] : []),
            `listener ${broker.port} 127.0.0.1`,
            ...(password ? [`password_file ${passwordFile}`, 'allow_anonymous false'] : ['allow_anonymous true']),
            ...lines,
            'persistence true', `persistence_location ${broker.folder}/`, 'autosave_on_changes true', 'autosave_interval 1',
            'max_queued_messages 100000', 'log_type all', ...bridge, ''].join('\n'));
        await broker.run();
        return broker;
    }

    /** Starts it, maybe again, on its port. */
    async run() {
        this.#child = spawn('mosquitto', ['-c', join(this.folder, 'mosquitto.conf')], { env: environment });
        this.started = '';
        const take = (chunk) => { this.log += chunk; this.started += chunk; };
        this.#child.stdout.on('data', take);
        this.#child.stderr.on('data', take);
        const child = this.#child;
        this.ended = new Promise((resolve) => child.once('close', resolve));
        await until('Mosquitto listens', () => {
            if (child.exitCode !== null) throw new Error(`Mosquitto has ended: ${this.log}`);
            return this.started.includes('running');
        }, 30000);
    }

    /** As what clients connect to: see support/mqtt.mjs. */
    get mqttPort() { return this.port; }
    get mqttTlsPort() { return this.port; }

    signal(name) {
        this.#child.kill(name);
    }

    async stop() {
        this.#child.kill('SIGTERM');
        await this.ended;
    }

    async remove() {
        await this.stop();
        rmSync(this.folder, { recursive: true, force: true });
    }
}
