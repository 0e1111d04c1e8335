import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { eventually } from './waiting.js';

const CLI = resolve('packages/verifier/dist/cli.js');
const LISTENS = /listening on port (\d+)/;

/** A sidecar or a relay as a process of its own, as an operator runs it. */
export interface VerifierProcess {
  url: string;
  output(): string;
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
  /** The status and the code of its answer for this token. */
  verify(token: string, headers?: Record<string, string>): Promise<{ status: number; code: string | null }>;
  /** Resolves when its list is current. */
  ready(): Promise<void>;
}

/** @param clockOffset moves the wall clock of the process, in milliseconds */
export async function startVerifier(
  mode: 'sidecar' | 'relay',
  env: Record<string, string>,
  { clockOffset = 0 } = {},
): Promise<VerifierProcess> {
  const clock = `const now = Date.now; Date.now = () => now() + ${clockOffset};`;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(clock)}`, CLI, mode];
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, args, {
    env: { PATH, PORT: '0', VERIFIER_WHEN_BLIND: 'deny', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
  const port = await eventually(() => {
    const [, found] = LISTENS.exec(text) ?? [];
    if (!found) throw new Error(`it does not listen:\n${text}`);
    return found;
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    output: () => text,
    signal: (signal) => void child.kill(signal),
    stop: () => stop(child),
    async verify(token, headers = {}) {
      const response = await fetch(`${url}/verify`, {
        headers: { authorization: `Bearer ${token}`, ...headers },
      });
      return { status: response.status, code: response.headers.get('x-problem-code') };
    },
    ready: () =>
      eventually(async () => {
        const { status } = await fetch(`${url}/health/ready`);
        if (status !== 204) throw new Error(`it is not ready:\n${text}`);
      }),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
