import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../../../package.json') as { name: string; version: string };

/** Name and version for logs, never for clients (ASVS 13.4.6). */
export const SERVICE = { service: manifest.name, version: manifest.version };
