import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const AUTHOR = ['-c', 'user.name=test', '-c', 'user.email=test@localhost', '-c', 'core.hooksPath=/dev/null'];

/** A folder with files of a template or of a product, removed by `remove()`. */
export class Tree {
  readonly folder = mkdtempSync(join(tmpdir(), 'product-'));

  /** The files of this repository as they are now, without a repository. */
  static ofThisRepository(): Tree {
    const tree = new Tree();
    for (const file of filesHere()) cpSync(file, tree.path(file));
    return tree.withModules();
  }

  /** A clone of another tree, as `git clone` makes it. */
  static cloneOf({ folder }: Tree): Tree {
    const tree = new Tree();
    execFileSync('git', ['clone', '-q', folder, tree.folder]);
    return tree.withModules();
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  read(file: string): string {
    return readFileSync(this.path(file), 'utf8');
  }

  has(file: string): boolean {
    return existsSync(this.path(file));
  }

  write(file: string, text: string): void {
    writeFileSync(this.path(file), text);
  }

  /** Replaces a text that the file has. */
  edit(file: string, from: string, to: string): void {
    const text = this.read(file);
    if (!text.includes(from)) throw new Error(`${file} does not have: ${from}`);
    this.write(file, text.replace(from, to));
  }

  git(...args: string[]): string {
    return execFileSync('git', [...AUTHOR, ...args], {
      cwd: this.folder,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
  }

  commit(message: string): string {
    this.git('init', '-q');
    this.git('add', '-A', '.');
    this.git('commit', '-q', '-m', message);
    return this.git('rev-parse', 'HEAD').trim();
  }

  /** `npm run <tool>` without npm. */
  run(tool: 'init' | 'upgrade' | 'doctor', ...args: string[]) {
    const { status, stdout, stderr } = spawnSync('node', [`tools/${tool}.mjs`, ...args], {
      cwd: this.folder,
      encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  }

  /** The files that contain a text, in any case; without what `except` names. */
  filesWith(text: string, except: string[] = []): string[] {
    const pathspec = ['.', ...except.map((file) => `:!${file}`)];
    const { stdout } = spawnSync('git', ['grep', '-I', '-l', '-i', '--untracked', text, '--', ...pathspec], {
      cwd: this.folder,
      encoding: 'utf8',
    });
    return stdout.split('\n').filter(Boolean);
  }

  /** @throws when the script fails */
  runNode(...args: string[]): void {
    execFileSync('node', args, { cwd: this.folder, stdio: 'pipe' });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A link is no folder for the pattern `node_modules/` of .gitignore. */
  private withModules(): this {
    symlinkSync(resolve('node_modules'), this.path('node_modules'));
    execFileSync('mkdir', ['-p', this.path('.git/info')]);
    writeFileSync(this.path('.git/info/exclude'), 'node_modules\n');
    return this;
  }
}

function filesHere(): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  return listed.split('\0').filter((file) => file && existsSync(file) && lstatSync(file).isFile());
}
