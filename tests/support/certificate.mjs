// An authority of a test's own, a certificate from it, and browsers' certificate stores that trust it:
// TURN over TLS is checked as strictly as HTTPS, and no page can click a warning away.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const run = (program, args) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });

export class Authority {
    /** @param {string[]} names host names and addresses of the server */
    constructor(names) {
        this.folder = mkdtempSync(join(tmpdir(), 'roost-ca-'));
        const path = (name) => join(this.folder, name);
        const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
        run('openssl', ['req', '-x509', ...fresh, '-keyout', path('ca.key'), '-out', path('ca.pem'), '-days', '30',
            '-subj', '/CN=roost test authority', '-addext', 'basicConstraints=critical,CA:TRUE']);
        run('openssl', ['req', ...fresh, '-keyout', path('server.key'), '-out', path('server.csr'), '-subj', '/CN=roost under test']);
        const subjects = names.map((name) => (/^[0-9.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`));
        writeFileSync(path('extensions'), `subjectAltName=${subjects.join()}\n`);
        run('openssl', ['x509', '-req', '-in', path('server.csr'), '-CA', path('ca.pem'), '-CAkey', path('ca.key'),
            '-CAcreateserial', '-out', path('server.pem'), '-days', '30', '-extfile', path('extensions')]);
        writeFileSync(path('chain.pem'), Buffer.concat([readFileSync(path('server.pem')), readFileSync(path('ca.pem'))]));
        this.ca = path('ca.pem');
        this.chain = path('chain.pem');
        this.key = path('server.key');
    }

    #store(folder) {
        mkdirSync(folder, { recursive: true });
        run('certutil', ['-N', '-d', `sql:${folder}`, '--empty-password']);
        run('certutil', ['-A', '-d', `sql:${folder}`, '-n', 'test', '-t', 'C,,', '-i', this.ca]);
        return folder;
    }

    /** A HOME for Chromium that trusts the authority. */
    chromiumHome() {
        const home = mkdtempSync(join(this.folder, 'home-'));
        this.#store(join(home, '.pki', 'nssdb'));
        return home;
    }

    /** A profile folder for Firefox that trusts the authority. */
    firefoxProfile() {
        return this.#store(mkdtempSync(join(this.folder, 'profile-')));
    }

    remove() {
        rmSync(this.folder, { recursive: true, force: true });
    }
}
