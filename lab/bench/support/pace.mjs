import { execFileSync } from 'node:child_process';
import { pinned } from './cores.mjs';

const PROGRAM = `
  import { generateKeyPairSync, sign } from 'node:crypto';
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const content = Buffer.alloc(300);
  const some = () => { for (let count = 0; count < 2_000; count++) sign('sha256', content, { key, dsaEncoding: 'ieee-p1363' }); };
  some();
  const { user, system } = process.cpuUsage();
  some();
  const used = process.cpuUsage();
  console.log((used.user + used.system - user - system) / 2_000);`;

/**
 * The present speed of the server's core: microseconds of CPU for one ES256 signature, which is the same work
 * everywhere. Shared machines halve their speed from one minute to the next, so promises in seconds need this
 * context.
 */
export function pace() {
  const [command, args] = pinned('server', process.execPath, ['--input-type=module', '--eval', PROGRAM]);
  return Number(execFileSync(command, args, { encoding: 'utf8' }));
}
