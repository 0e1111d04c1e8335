import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from './services.mjs';

/** An authority of its own, made by openssl, and a certificate of it for one name. */
export function makeCertificates(name: string): { authority: string; server: Certificate } {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-tls-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc'.split(' ');
  try {
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      '2',
      '-subj',
      '/CN=a test',
    );
    openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', `/CN=${name}`);
    writeFileSync(join(folder, 'names'), `subjectAltName=DNS:${name}`);
    const signing = '-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names'.split(' ');
    openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signing);
    const read = (file: string) => readFileSync(join(folder, file), 'utf8');
    return {
      authority: read('ca.pem'),
      server: { key: read('server.key'), certificate: read('server.pem') },
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
