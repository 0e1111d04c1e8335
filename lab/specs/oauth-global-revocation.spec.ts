import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { asApp, authorize, discover, OAUTH_ENV } from '../../test/support/oauth.js';
import {
  callToRevoke,
  outsideUser,
  revocationToken,
  startRevokingProviders,
} from '../../test/support/outside-revocation.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { eventually } from '../../test/support/waiting.js';

/** Real: the providers (other processes), PostgreSQL, Redis, two instances of the application. */
describeWithRedis('a global token revocation', () => {
  let providers: Awaited<ReturnType<typeof startRevokingProviders>>;
  let a: TestApp;
  let b: TestApp;

  beforeAll(async () => {
    await resetStores();
    providers = await startRevokingProviders();
    const env = { ...OAUTH_ENV, ...providers.env };
    [a, b] = [await startApp({ env }), await startApp({ env })];
  });
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await providers.stop();
  });

  it.each([
    ['issuer and subject', (iss: string, { sub }: { sub: string }) => ({ format: 'iss_sub', iss, sub })],
    ['address', (_: string, { email }: { email: string }) => ({ format: 'email', email })],
  ])(
    'by %s ends the grants of the user on both tiers of every instance, and no grant of another user [SES-04]',
    async (_, subjectOf) => {
      const { acme } = providers;
      const [user, bystander] = [await outsideUser(a, acme), await outsideUser(a, acme)];
      const config = await discover(a);
      const appOf = async ({ browser }: typeof user) => {
        const tokens = await authorize(config, browser, { scope: 'openid probe:read probe:write' });
        return asApp(b, tokens.access_token);
      };
      const [app, other] = [await appOf(user), await appOf(bystander)];
      expect(await app.pay(randomUUID())).toMatchObject({ status: 201 });

      const token = await revocationToken(a, acme);
      const answer = await callToRevoke(a, 'acme', token, subjectOf(acme.issuer, user));
      expect(answer).toMatchObject({ status: 204 });

      // At once on the session tier, whichever instance has answered.
      expect(await app.pay(randomUUID())).toMatchObject({ status: 401 });
      await eventually(async () => expect(await app.get('/v1/probe/flags')).toMatchObject({ status: 401 }));
      expect(await other.pay(randomUUID())).toMatchObject({ status: 201 });
    },
  );
});
