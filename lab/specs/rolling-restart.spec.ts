import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import { request } from 'node:http';
import { once } from 'node:events';
import { makeCertificates } from '../../test/support/certificates.js';
import { eventually } from '../../test/support/waiting.js';
import { Fleet, PASSWORD } from '../soak/fleet.js';
import { HttpsClient } from '../soak/https-client.js';
import { Load, wrongPayments } from '../soak/load.js';
import { describeWithProxy, DOMAIN, PROXIES, startProxy, type Proxy } from '../soak/proxies.js';

/**
 * Real: two instances in production mode, PostgreSQL, Redis, and each proxy with the configuration that this repository
 * ships, over TLS.
 */

jest.setTimeout(300_000);

const USERS = 6;
const PROXY_START_MS = 30_000;
const { authority, server: certificate } = makeCertificates(DOMAIN);
let fleet: Fleet;
let proxy: Proxy;

beforeAll(async () => {
  fleet = await Fleet.start();
});
afterEach(() => proxy?.stop());
afterAll(() => fleet?.stop());

async function behind(name: (typeof PROXIES)[number]): Promise<HttpsClient> {
  const [a, b] = fleet.instances;
  proxy = await startProxy(name, certificate, [a!.port, b!.port]);
  const client = new HttpsClient(proxy.https, authority);
  await eventually(async () => {
    if (!proxy.isRunning()) throw new Error(`the proxy ended:\n${proxy.output()}`);
    const { status } = await client.send('GET', '/health/ready');
    if (status !== 200) throw new Error(`the proxy answers ${status}`);
  }, PROXY_START_MS);
  return client;
}

/** The status and the `Location` over plain HTTP. */
async function overPlainHttp(path: string) {
  const sent = request({ host: '127.0.0.1', port: proxy.http, path, headers: { host: DOMAIN } }).end();
  const [response] = await once(sent, 'response');
  response.resume();
  return { status: response.statusCode, location: response.headers.location };
}

for (const name of PROXIES) {
  describeWithProxy(name, `two instances behind ${name}, with the configuration in deploy/`, () => {
    it('lose no request, stream or payment when they are restarted one after the other', async () => {
      const load = await Load.start(fleet, await behind(name), { users: USERS });
      const codes = await fleet.rollingRestart();
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(codes).toEqual([0, 0]);
      expect(await wrongPayments(fleet, load)).toEqual([]);
      expect(fleet.errors()).toEqual([]);
      for (const kind of ['GET /v1/users/me', 'POST /v1/payments', 'POST /v1/auth/refresh'])
        expect(load.counts[kind]).toBeGreaterThan(USERS);
      // Each was ended at least once, and opened again.
      for (const kind of ['event stream', 'WebSocket'])
        expect(load.counts[kind]).toBeGreaterThanOrEqual(USERS);
    });

    it('are reached over TLS only, and get the address of the client from the proxy alone', async () => {
      const client = await behind(name);
      expect(await overPlainHttp('/v1/users/me')).toEqual({
        status: 308,
        location: `https://${DOMAIN}/v1/users/me`,
      });
      const [email] = await fleet.addUsers(1);
      const forged = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'http' };
      const login = { email, password: PASSWORD, transport: 'bearer' };
      const { body } = await client.send('POST', '/v1/auth/login', forged, login);
      const headers = { ...forged, authorization: `Bearer ${body.accessToken}` };
      expect(await client.send('GET', '/v1/sessions/current', headers)).toMatchObject({
        status: 200,
        body: { ip: '127.0.0.1' },
      });
      expect(await client.send('GET', '/metrics')).toMatchObject({ status: 404 });
    });
  });
}
