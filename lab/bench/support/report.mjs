import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { cores } from './cores.mjs';
import { pace } from './pace.mjs';

/** The findings of a run: lines at once, a table at the end, and all figures in a file. */
export class Report {
  #rows = [];
  #startedAt = performance.now();
  #paces = [];

  /** The stores of the run. */
  origin = '';

  /** @param {string[]} args of the command */
  constructor(args) {
    this.command = `npm run bench${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`;
    const pinning = cores ? `server alone on core ${cores.server}` : 'nothing pinned to cores';
    this.machine = `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores (${pinning}), Node ${process.versions.node}`;
    this.commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  }

  get isBroken() {
    return this.#rows.some(({ kept }) => kept === false);
  }

  /** @param {string} text */
  say = (text) => {
    const at = ((performance.now() - this.#startedAt) / 1_000).toFixed(0).padStart(4);
    console.error(`${at} s … ${text}`);
  };

  /**
   * One line of the table. `kept` is whether a promise holds; without it the line is only a figure.
   * @param {{ what: string, figure: string, promise?: string, kept?: boolean, values?: object }} line
   */
  row = (line) => {
    this.#rows.push(line);
    console.error(`  ${line.what}: ${line.figure}${line.kept === false ? '  BROKEN' : ''}`);
  };

  /** The state before and after a measurement. */
  notePace() {
    this.#paces.push(pace());
  }

  print() {
    const { command, commit } = this;
    const paces = this.#paces.map((each) => each.toFixed(0));
    const machine = `${this.machine}, ${this.origin}; an ES256 signature took ${paces.join(', ')} µs before and after each suite`;
    const at = new Date().toISOString();
    const folder = join(import.meta.dirname, '../results');
    mkdirSync(folder, { recursive: true });
    const figures = JSON.stringify({ command, at, commit, machine, rows: this.#rows }, null, 2);
    writeFileSync(join(folder, `${at.replaceAll(':', '')}.json`), figures);
    console.log(`\n\`${command}\` at ${commit}, ${at.slice(0, 10)}, ${machine}\n`);
    console.log('| what | measured | promised |\n|---|---|---|');
    for (const { what, figure, promise = '', kept } of this.#rows) {
      console.log(`| ${what} | ${figure}${kept === false ? ' **broken**' : ''} | ${promise} |`);
    }
  }
}
