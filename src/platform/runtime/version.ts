import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from './package-root.js';
import { PRODUCT } from '../../product.js';

const manifest = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
  version: string;
};

/** Name and version for logs, never for clients (ASVS 13.4.6). */
export const SERVICE = { service: PRODUCT.slug, version: manifest.version };
