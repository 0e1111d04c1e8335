import { describe, expect, it } from '@jest/globals';
import { PRODUCT, productOf } from './product.js';

describe('The name of the product', () => {
  it('has a slug that metrics, URNs and names in PostgreSQL allow as it is', () => {
    expect(PRODUCT.slug).toMatch(/^[a-z][a-z0-9]{2,30}$/);
  });

  it('decides on every name that clients, operators and stores see', () => {
    expect(productOf('Drawbridge', 'drawbridge', 'dbk')).toEqual({
      name: 'Drawbridge',
      slug: 'drawbridge',
      problemUrn: 'urn:drawbridge:problem:',
      metricPrefix: 'drawbridge_',
      redisPrefix: 'drawbridge:',
      revocationsChannel: 'drawbridge_revocations',
      messagesChannel: 'drawbridge_messages',
      auditRetention: 'drawbridge.audit_retention',
      mailFrom: 'Drawbridge <no-reply@localhost>',
      apiKeyPrefix: 'dbk',
      demoPassword: 'drawbridge demo password',
      applicationName: {
        main: 'drawbridge',
        check: 'drawbridge-check',
        feed: 'drawbridge-feed',
        messages: 'drawbridge-messages',
        revocations: 'drawbridge-revocations',
        boot: 'drawbridge-boot',
        migrate: 'drawbridge-migrate',
      },
      keyPurpose: {
        refreshToken: 'drawbridge refresh token v1',
        refreshSecretId: 'drawbridge refresh secret',
        mailedToken: 'drawbridge mailed token v1',
        passkeyChallenge: 'drawbridge passkey challenge v1',
        bindingChallenge: 'drawbridge binding challenge v1',
        bindingOffer: 'drawbridge binding offer v1',
        boundCookie: 'drawbridge bound cookie v1',
        dpopNonce: 'drawbridge DPoP nonce v1',
        cachedApiKey: 'drawbridge cached API key v1',
        socialState: 'drawbridge outside sign-in v1',
      },
      embeddedPostgres: {
        role: 'drawbridge',
        database: 'drawbridge',
        passwordFile: 'drawbridge.password',
        appFile: 'drawbridge.app.',
        watcher: 'drawbridge-watcher',
        sharedFolderPrefix: 'drawbridge-',
      },
    });
  });
});
