import { expect } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { Answer, Client } from './client.js';

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts the provider of `outside-provider.mjs`. @param jwks its private keys, for tests that sign in its place */
export async function startOutsideProvider(
  port: number,
  clients: object[],
  jwks?: object,
): Promise<{ issuer: string; stop: () => Promise<void> }> {
  const child: ChildProcess = spawn(
    process.execPath,
    [
      `${import.meta.dirname}/outside-provider.mjs`,
      String(port),
      JSON.stringify(clients),
      ...(jwks ? [JSON.stringify(jwks)] : []),
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (text: Buffer) => text.toString().includes('ready') && resolve());
    child.once('exit', (code) => reject(new Error(`the outside provider ended with ${code}`)));
  });
  const stop = async () => {
    child.kill();
    await once(child, 'exit');
  };
  return { issuer: `http://127.0.0.1:${port}`, stop };
}

/** The browser of a person at the outside provider: it keeps cookies and fills the provider's forms. */
export class OutsidePerson {
  private readonly jar = new Map<string, string>();

  constructor(
    private readonly issuer: string,
    /** The name that the person types, see `outside-provider.mjs`. */
    private readonly account: string,
  ) {}

  /** Follows an authorization until the provider leads the browser away. @returns the address of the callback */
  async authorize(url: string, decision: 'allow' | 'cancel' = 'allow'): Promise<string> {
    let answer = await this.request(url);
    for (let step = 0; step < 12; step++) {
      const location = answer.headers.get('location');
      if (location && !new URL(location, this.issuer).href.startsWith(this.issuer)) return location;
      if (location) answer = await this.request(new URL(location, this.issuer).href);
      else answer = await this.answerForm(await answer.text(), decision);
    }
    throw new Error('the provider did not lead the browser away');
  }

  /** Logs out at the provider, which then tells the application. */
  async logOut(): Promise<void> {
    const page = await (await this.request(`${this.issuer}/session/end`)).text();
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page)![1]!;
    await this.request(`${this.issuer}/session/end/confirm`, new URLSearchParams({ xsrf, logout: 'yes' }));
  }

  private answerForm(page: string, decision: 'allow' | 'cancel'): Promise<Response> {
    const action = /action="([^"]+)"/.exec(page)![1]!;
    if (decision === 'cancel') return this.request(`${action}/abort`);
    const prompt = /name="prompt" value="([^"]+)"/.exec(page)![1]!;
    const fields = { prompt, ...(prompt === 'login' && { login: this.account, password: 'x' }) };
    return this.request(action, new URLSearchParams(fields));
  }

  private async request(url: string, form?: URLSearchParams): Promise<Response> {
    const answer = await fetch(new URL(url, this.issuer), {
      redirect: 'manual',
      headers: { cookie: [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form && { method: 'POST', body: form }),
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
      if (value === '') this.jar.delete(name!);
      else this.jar.set(name!, value!);
    }
    return answer;
  }
}

/** Signs in with an outside account. @param provider its name in the settings @returns the answer of the callback */
export async function signInAt(provider: string, browser: Client, person: OutsidePerson): Promise<Answer> {
  const start = await browser.get(`/v1/auth/social/${provider}/start?returnTo=/welcome`);
  expect(start.status).toBe(303);
  const { pathname, search } = new URL(await person.authorize(String(start.headers['location'])));
  return browser.get(pathname + search);
}
