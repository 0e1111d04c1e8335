import { readFileSync } from 'node:fs';
import { BootError } from './boot-error.js';
import type { Settings } from './settings.js';

export const PLAIN: StoreTls = { storeTls: 'off' };

export type StoreTls = Pick<Settings, 'storeTls'> & Partial<Pick<Settings, 'storeCaFile'>>;

/** Whether a connection to this URL must be encrypted, with a verified certificate (ASVS 12.3.1, 12.3.2). */
export function wantsTls(url: string, { storeTls }: Pick<StoreTls, 'storeTls'>): boolean {
  return storeTls === 'always' || (storeTls === 'remote' && !isOnThisMachine(url));
}

/**
 * The certificate authorities of `STORE_CA_FILE`; undefined means those that Node knows.
 * @throws BootError
 */
export function authoritiesOf({ storeCaFile }: Pick<StoreTls, 'storeCaFile'>): string | undefined {
  return storeCaFile === undefined ? undefined : readAuthorities('STORE_CA_FILE', storeCaFile);
}

/** @throws BootError that names the variable */
export function readAuthorities(variable: string, path: string): string {
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (error) {
    throw new BootError(`${variable} cannot be read: ${(error as Error).message}`);
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new BootError(`${variable} has no certificate in PEM`);
  return pem;
}

/** Whether the URL names a Unix socket or the loopback interface. PostgreSQL may be named in a parameter. */
export function isOnThisMachine(url: string): boolean {
  const { hostname, searchParams } = new URL(url);
  const host = (searchParams.get('host') ?? hostname).replace(/^\[|\]$/g, '');
  return host === '' || host.startsWith('/') || /^(localhost|::1|127(\.\d{1,3}){3})$/i.test(host);
}
