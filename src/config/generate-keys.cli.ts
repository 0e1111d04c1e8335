import { writeFile } from 'node:fs/promises';
import { generateKeyFile } from './key-format.js';

const [path] = process.argv.slice(2);
if (!path) {
  console.error('usage: npm run keys:generate -- <file>');
  process.exit(1);
}
await writeFile(path, generateKeyFile('production'), { mode: 0o600, flag: 'wx' });
console.log(`wrote ${path}, readable by you alone: keep it out of the repository and set KEYS_FILE to it`);
