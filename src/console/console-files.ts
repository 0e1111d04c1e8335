import { Injectable } from '@nestjs/common';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { BootError, PACKAGE_ROOT, PRODUCT, Settings } from '#core';
import { DEMO_EMAILS } from './demo-emails.js';

const FOLDER = join(PACKAGE_ROOT, 'packages/console/dist');
const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
};

/** A script or a style of the console. Its name contains a hash of its content. */
export interface Asset {
  type: string;
  plain: Buffer;
  brotli: Buffer;
}

/** The built files of the console: some hundred kilobytes, kept in memory. */
@Injectable()
export class ConsoleFiles {
  private readonly template: string;
  private readonly assets = new Map<string, Asset>();

  /** @throws BootError if the console has not been built */
  constructor(private readonly settings: Settings) {
    if (!existsSync(join(FOLDER, 'index.html')))
      throw new BootError(
        'CONSOLE is on, but the console has not been built: run `npm run build`, or set CONSOLE=off',
      );
    for (const name of readdirSync(FOLDER)) {
      const type = TYPES[extname(name)];
      if (type) this.assets.set(name, { type, plain: read(name), brotli: read(`${name}.br`) });
    }
    this.template = read('index.html').toString().replace('%TITLE%', escape(PRODUCT.name));
  }

  /** @param hasCookies whether the browser may be logged in. Without a cookie the page need not ask the server. */
  page(hasCookies: boolean): string {
    const configuration = { ...configurationOf(this.settings), hasCookies };
    return this.template.replace('%CONFIGURATION%', escape(JSON.stringify(configuration)));
  }

  asset(name: string): Asset | undefined {
    return this.assets.get(name);
  }
}

/** The page knows this before its first request. See `packages/console/src/configuration.ts`. */
function configurationOf({ nodeEnv, seedUsers, emailVerification, passwordMinLength }: Settings) {
  return {
    product: PRODUCT.name,
    development: nodeEnv === 'development',
    verifiesEmail: emailVerification === 'required',
    passwordMinLength,
    demo: seedUsers ? { emails: DEMO_EMAILS, password: PRODUCT.demoPassword } : { emails: [], password: '' },
  };
}

const read = (name: string): Buffer => readFileSync(join(FOLDER, name));

const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
