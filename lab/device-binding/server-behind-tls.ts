import type { IncomingMessage, ServerResponse } from 'node:http';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { makeCertificates } from '../../test/support/certificates.js';
import { startApp, type TestApp } from '../../test/support/app.js';
import type { TestClock } from '../../test/support/clock.js';
import { FaultProxy } from '../../test/support/fault-proxy.js';
import { freePort } from '../../test/support/outside-person.js';
import { ProbeModule } from '../../test/support/probe-routes.js';
import { StreamsModule } from '../../test/support/stream-routes.js';
import { eventually } from '../../test/support/waiting.js';
import { DOMAIN, startProxy, type Proxy } from '../soak/proxies.js';

const RENEWAL = '/v1/auth/binding/refresh';
const REGISTRATION = '/v1/auth/binding/register';

/** A request as an instance got it. */
export interface SeenRequest {
  method: string;
  path: string;
  status: number;
  headers: IncomingMessage['headers'];
}

/**
 * Two instances behind nginx with the configuration of `deploy/`, at `https://app.example.com` without a port: Chromium
 * binds sessions over TLS only. PostgreSQL is reached through a proxy that injects faults.
 */
export class ServerBehindTls {
  readonly origin = `https://${DOMAIN}`;
  /** All requests that instances have answered. */
  readonly requests: SeenRequest[] = [];

  private constructor(
    readonly instances: TestApp[],
    readonly postgres: FaultProxy,
    private readonly proxy: Proxy,
    private readonly certificate: X509Certificate,
  ) {}

  static async start(clock: TestClock): Promise<ServerBehindTls> {
    const { server } = makeCertificates(DOMAIN);
    const postgres = await FaultProxy.before(process.env['TEST_DATABASE_URL']!);
    const instances: TestApp[] = [];
    const ports: number[] = [];
    for (let index = 0; index < 2; index++) {
      const port = await freePort();
      const instance = await startApp({
        clock,
        features: [ProbeModule, StreamsModule],
        env: {
          APP_URL: `https://${DOMAIN}`,
          DATABASE_URL: postgres.url,
          TRUSTED_PROXIES: '127.0.0.1',
          SESSION_LIMIT: '1000',
        },
      });
      await instance.app.listen(port, '127.0.0.1');
      instances.push(instance);
      ports.push(port);
    }
    const proxy = await startProxy('nginx', server, [ports[0]!, ports[1]!]);
    const started = new ServerBehindTls(instances, postgres, proxy, new X509Certificate(server.certificate));
    for (const { app } of instances) started.record(app.getHttpServer());
    await eventually(() => fetch(`http://127.0.0.1:${proxy.http}`, { redirect: 'manual' }));
    return started;
  }

  /** Chromium finds each of these names at the proxy, and trusts its certificate. */
  argumentsFor(...names: string[]): string[] {
    const key = this.certificate.publicKey.export({ type: 'spki', format: 'der' });
    const rules = names.map((name) => `MAP ${name}:443 127.0.0.1:${this.proxy.https}`);
    return [
      `--host-resolver-rules=${rules.join(',')}`,
      `--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`,
    ];
  }

  /** Answers to renewals of bound cookies, oldest first. */
  renewals(): SeenRequest[] {
    return this.requests.filter(({ path }) => path === RENEWAL);
  }

  registrations(): SeenRequest[] {
    return this.requests.filter(({ path }) => path === REGISTRATION);
  }

  async query<Row = Record<string, unknown>>(sql: string, parameters?: unknown[]): Promise<Row[]> {
    return this.instances[0]!.query<Row>(sql, parameters);
  }

  async stop(): Promise<void> {
    this.postgres.heal();
    await this.proxy.stop();
    await Promise.all(this.instances.map((instance) => instance.close()));
    await this.postgres.close();
  }

  private record(server: NodeJS.EventEmitter): void {
    server.on('request', ({ method, url, headers }: IncomingMessage, response: ServerResponse) => {
      void once(response, 'close').then(() =>
        this.requests.push({ method: method!, path: url!, status: response.statusCode, headers }),
      );
    });
  }
}
