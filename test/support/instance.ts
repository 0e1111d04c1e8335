import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { PRODUCT } from '../../src/product.js';

const LISTENS = new RegExp(
  `${PRODUCT.name} listens on (\\S+)|"url":"([^"]+)","msg":"${PRODUCT.name} listens"`,
);

/** The application as a process of its own, as an operator runs it. */
export interface Instance {
  url: string;
  /** All output so far. */
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** Sends a signal without waiting for its effect. */
  signal(signal: NodeJS.Signals): void;
  /** The exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts the built application on a free port; resolves when it listens. @param main of another build */
export async function startInstance(env: Record<string, string>, main?: string): Promise<Instance> {
  const { child, output } = run({ PORT: '0', CACHE_BUDGET: '1s', ...env }, main);
  const url = await new Promise<string>((found, reject) => {
    const look = () => {
      const [, inDevelopment, address = inDevelopment] = LISTENS.exec(output()) ?? [];
      if (address) found(address);
    };
    child.stdout!.on('data', look);
    child.once('close', () => reject(new Error(`the instance ended:\n${output()}`)));
  });
  const ended = once(child, 'close').then(() => child.exitCode);
  return {
    url,
    output,
    ended,
    signal: (signal) => void child.kill(signal),
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      child.kill(signal);
      return ended;
    },
  };
}

/** Runs the built application to its end: a boot that is refused. */
export async function runToEnd(
  env: Record<string, string>,
): Promise<{ code: number | null; output: string }> {
  const { child, output } = run(env);
  await once(child, 'close');
  return { code: child.exitCode, output: output() };
}

function run(
  env: Record<string, string>,
  main = resolve('dist/server/main.js'),
): { child: ChildProcess; output: () => string } {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [main], {
    cwd: tmpdir(), // away from a developer's .env
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const collect = (chunk: Buffer) => (text += chunk.toString());
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  return { child, output: () => text };
}
