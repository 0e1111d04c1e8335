import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from './package-root.js';

const manifest = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
};

/** Name and version for logs, never for clients (ASVS 13.4.6). */
export const SERVICE = { service: manifest.name, version: manifest.version };
