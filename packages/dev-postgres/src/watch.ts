import { spawn } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENVIRONMENT, type Cluster } from './cluster.js';

/**
 * Reads until the app closes its end of the pipe. If the app crashes, the kernel closes it. The watcher of the last
 * app tells PostgreSQL to shut down ("fast": it disconnects its clients). `$1` is the data folder. The app writes the
 * process id of a server that it has just launched, because that server may not have a lock file yet.
 * @param appFile each app that uses a cluster has a file with this prefix in its folder, followed by the process id of
 *   its watcher
 */
const script = (appFile: string) => `
  trap '' HUP INT TERM
  launched=
  while read -r line; do launched=$line; done
  rm -f "$1/${appFile}$$"
  for file in "$1"/${appFile}*; do
    if [ -e "$file" ] && kill -0 "\${file##*.}" 2>/dev/null; then exit; fi
  done
  rm -f "$1"/${appFile}*
  server=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
  server=\${server:-$launched}
  [ -n "$server" ] || exit
  case $(cat "/proc/$server/comm" 2>/dev/null || ps -o comm= -p "$server") in
    *postgres) kill -INT "$server" ;;
  esac`;

export interface Watcher {
  /** Tells the watcher about a server that was just launched. */
  launched(pid: number): void;
  /** The app no longer needs the server. Resolves when the watcher has ended. */
  end(): Promise<void>;
}

/**
 * Starts a process that outlives this one by a moment and stops the server of this folder unless another app uses it.
 * It also does so after a crash, after `kill -9`, and after the terminal was closed. It has its own session, so a
 * signal to the app's process group does not end it. On Windows there is no watcher: the next start finds a server
 * that was left running.
 */
export function watchOver({ names, dir, user }: Cluster): Watcher {
  if (process.platform === 'win32') return { launched: () => undefined, end: async () => undefined };
  const watcher = spawn('/bin/sh', ['-c', script(names.appFile), names.watcher, dir], {
    ...user,
    env: ENVIRONMENT,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.on('error', () => undefined); // no shell: same as on Windows
  const { stdin } = watcher;
  stdin.on('error', () => undefined);
  if (watcher.pid) register(join(dir, `${names.appFile}${watcher.pid}`), user);
  watcher.unref();
  (stdin as typeof stdin & { unref(): void }).unref();
  const gone = new Promise<void>((resolve) => watcher.once('close', () => resolve()));
  return {
    launched: (pid) => void stdin.write(`${pid}\n`),
    end: () => {
      watcher.ref();
      stdin.end();
      return gone;
    },
  };
}

function register(file: string, user: Cluster['user']): void {
  writeFileSync(file, '', { mode: 0o600 });
  if (user) chownSync(file, user.uid, user.gid);
}
