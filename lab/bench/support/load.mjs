import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pinned } from './cores.mjs';

/** The clients, in a process and on a core of their own. */
export class Load {
  #child;
  #orders = 0;
  #waiting = new Map();

  constructor() {
    const [program, args] = pinned('load', process.execPath, [join(import.meta.dirname, 'load.child.mjs')]);
    this.#child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) reject(new Error(error));
      else resolve(result);
    });
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the load ended'));
    });
  }

  /** Prepares requests that {@link run} then takes in turn. @param {string[]} requests texts, see request.mjs */
  prepare(name, requests) {
    return this.#order('prepare', { name, requests });
  }

  /**
   * @param {string} url
   * @param {string} name of prepared requests
   * @param {{ ms: number, connections?: number, rate?: number, chains?: object[], expect?: number }} how see
   * load.child.mjs; any answer but `expect` fails the measurement, because refusals are fast
   */
  async run(url, name, { connections = 64, expect = 200, ...how }) {
    const result = await this.#order('run', { url, name, connections, ...how });
    const others = Object.keys(result.statuses).filter((status) => status !== `${expect}`);
    if (expect && (others.length > 0 || result.failures > 0 || result.requests === 0)) {
      throw new Error(`${name}: ${JSON.stringify(result.statuses)}, ${result.failures} failed`);
    }
    return { ...result, rate: result.requests / result.seconds };
  }

  async stop() {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }

  #order(kind, order) {
    const id = this.#orders++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, kind, ...order });
    });
  }
}
