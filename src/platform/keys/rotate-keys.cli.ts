import { parseArgs } from 'node:util';
import { durationOf, runCommand, UsageError } from '../runtime/command.js';
import { SystemClock } from '../runtime/clock.js';
import { keyFilePath, rotateKeyFile } from './key-file.js';
import { KEY_KINDS, keysOf, type KeyKind } from './key-format.js';
import type { RotationOrder } from './key-rotation.js';
import { DEFAULT_LEAD, MIN_LEAD_MS, startOf } from './key-schedule.js';
import { stagesOf, type KeyStage } from './key-store.js';
import { loadSettings } from '../settings/load-settings.js';

const USAGE = `usage: npm run keys:rotate -- [file] [--signing] [--refresh] [--encryption] [--lead ${DEFAULT_LEAD} | --now]

Without a file: KEYS_FILE, or keys.json under DATA_DIR. Without a kind: all three.
--lead  the time that instances and other verifiers of the tokens have to read the new key; at least ${MIN_LEAD_MS / 60_000}m
--now   for keys that have leaked: the new key is used at once, and the old keys are no longer accepted.
        --signing --now: clients refresh; --refresh --now: every user has to log in again; --encryption --now: secrets
        encrypted with the old keys are encrypted again, so the old keys stay in the file until that is done`;

const now = new SystemClock().now();
await runCommand(USAGE, async () => {
  const { path, order } = read(process.argv.slice(2));
  const { file, added } = await rotateKeyFile(path, order);
  for (const kind of order.kinds.filter((kind) => !added.includes(kind)))
    console.log(`${kind}: no key was added, because the next key is not in use yet`);
  console.log([path, ...stagesOf(keysOf(file), now).map(describe)].join('\n'));
});

function read(args: string[]): { path: string; order: RotationOrder } {
  const { values, positionals } = parse(args);
  const named = KEY_KINDS.filter((kind) => values[kind]);
  if (positionals.length > 1) throw new UsageError('name one file');
  if (values.now && values.lead !== undefined) throw new UsageError('choose --now or --lead');
  if (values.now && named.length === 0)
    throw new UsageError('--now requires the kinds of keys to replace: --signing, --refresh, --encryption');
  const kinds: readonly KeyKind[] = named.length > 0 ? named : KEY_KINDS;
  const lead = values.now ? null : leadOf(values.lead ?? DEFAULT_LEAD);
  return { path: positionals[0] ?? configuredPath(), order: { kinds, now, lead } };
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      signing: { type: 'boolean' },
      refresh: { type: 'boolean' },
      encryption: { type: 'boolean' },
      lead: { type: 'string' },
      now: { type: 'boolean' },
    },
  });
}

function leadOf(text: string): number {
  const lead = durationOf('--lead', text);
  if (lead < MIN_LEAD_MS)
    throw new RangeError(
      `--lead ${text} is too short; at least ${MIN_LEAD_MS / 60_000}m, because other verifiers cache the published keys`,
    );
  return lead;
}

function configuredPath(): string {
  const { KEYS_FILE, DATA_DIR } = process.env;
  return keyFilePath(loadSettings({ KEYS_FILE, DATA_DIR }));
}

function describe({ kind, name, stage, term }: KeyStage): string {
  const from = stage === 'next' ? `from ${instant(startOf(term))}` : '';
  const until = term.retiresAt ? `verifies until ${instant(term.retiresAt)}` : '';
  return ['  ', kind.padEnd(10), name.padEnd(17), stage.padEnd(8), from, until].join(' ').trimEnd();
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
