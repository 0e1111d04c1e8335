import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { describeWithRedis } from '../../test/support/redis.js';

/** Real: PostgreSQL, Redis, an instance in production mode. The probes are bytes on a socket, as each prober sends them. */
describeWithRedis('an instance in production, behind a proxy, with rate limits', () => {
  let app: TestApp;
  beforeAll(async () => {
    await resetStores();
    app = await startApp({
      env: {
        NODE_ENV: 'production',
        KEYS_FILE: 'those of the test',
        APP_URL: 'https://app.example.com',
        RATE_LIMITS: 'on',
        TRUSTED_PROXIES: '127.0.0.1',
      },
    });
    await app.app.listen(0, '127.0.0.1');
  });
  afterAll(() => app.close());

  async function answerTo(head: string): Promise<string> {
    const { port } = app.app.getHttpServer().address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(head.replaceAll('\n', '\r\n') + '\r\n\r\n');
    const answer = await text(socket);
    return answer.split('\r\n', 1)[0]!;
  }

  it.each([
    [
      'Kubernetes, with the address of the pod',
      'GET',
      ' HTTP/1.1\nHost: 10.1.2.3:3000\nUser-Agent: kube-probe/1.32',
    ],
    [
      'a load balancer of a cloud, with its own host',
      'GET',
      ' HTTP/1.1\nHost: 169.254.1.1\nUser-Agent: ELB-HealthChecker/2.0',
    ],
    ['HAProxy with `option httpchk GET`', 'GET', ' HTTP/1.0'],
    ['HAProxy with `http-check send`', 'GET', ' HTTP/1.1\nhost: app.example.com'],
    ['a prober that reads headers only', 'HEAD', ' HTTP/1.0'],
    ['an empty Host', 'GET', ' HTTP/1.1\nHost:'],
    [
      'a proxy that forwards plain HTTP',
      'GET',
      ' HTTP/1.1\nHost: x\nX-Forwarded-For: 10.1.2.3\nX-Forwarded-Proto: http',
    ],
    [
      'a browser of another site',
      'GET',
      ' HTTP/1.1\nHost: x\nOrigin: https://status.example\nSec-Fetch-Site: cross-site',
    ],
  ])('answers the probes of %s', async (_prober, method, rest) => {
    for (const path of ['/health/live', '/health/ready']) {
      const head = `${method} ${path}${rest}${rest.includes('1.1') ? '\nConnection: close' : ''}`;
      expect(await answerTo(head)).toBe('HTTP/1.1 200 OK');
    }
  });
});
