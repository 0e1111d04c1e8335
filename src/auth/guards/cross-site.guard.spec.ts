import { describe, expect, it } from '@jest/globals';
import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { Settings } from '../../platform/settings/settings.js';
import { cookieNamesOf } from '../../platform/http/cookie-names.js';
import { readCredentials } from './credentials.js';
import { CrossSiteGuard } from './cross-site.guard.js';

interface Site {
  /** [test] */
  nodeEnv?: string;
  appUrl?: string;
  /** As Fastify reports it: from the socket, or from a trusted `X-Forwarded-Proto`. [http] */
  protocol?: string;
}

/** Whether the guard accepts a request with a cookie and an `RequestContext`, but without Fetch Metadata. */
function isLetIn(origin: string, host: string, { nodeEnv = 'test', appUrl, protocol = 'http' }: Site = {}) {
  const settings = { nodeEnv, appUrl, cookieSecure: true, trustedOrigins: [] } as Partial<Settings>;
  const headers = { origin, cookie: '__Host-access=x' };
  const raw = { rawHeaders: [] as string[] } as IncomingMessage;
  const credentials = readCredentials({ raw, headers }, cookieNamesOf(settings as Settings));
  const request = { method: 'POST', headers, host, protocol, credentials, body: undefined };
  const context = {
    switchToHttp: () => ({ getRequest: () => request }),
    getHandler: () => isLetIn,
    getClass: () => CrossSiteGuard,
  } as unknown as ExecutionContext;
  try {
    return new CrossSiteGuard(settings as Settings).canActivate(context);
  } catch (error) {
    expect(error).toMatchObject({ code: 'request.cross_site' });
    return false;
  }
}

const PRODUCTION = { nodeEnv: 'production' };
const BEHIND_A_TRUSTED_PROXY = { protocol: 'https' };

describe('The cross-site guard, for a request with an Origin and without Fetch Metadata', () => {
  it.each<[string, string, Site]>([
    ['https://example.com', 'example.com', PRODUCTION],
    ['https://example.com', 'example.com:443', PRODUCTION],
    ['https://example.com:443', 'example.com', PRODUCTION],
    ['https://example.com', 'EXAMPLE.com', PRODUCTION],
    ['HTTPS://Example.Com', 'example.com', PRODUCTION],
    ['https://example.com:8443', 'example.com:8443', PRODUCTION],
    ['https://[2001:db8::7]', '[2001:db8:0:0:0:0:0:7]', PRODUCTION],
    ['https://[2001:db8::7]', '[2001:DB8::7]:443', PRODUCTION],
    ['https://example.com.', 'example.com.', PRODUCTION],
    ['https://example.com.', 'example.com', PRODUCTION],
    ['https://example.com', 'example.com.:443', PRODUCTION],
    ['https://xn--bcher-kva.example', 'xn--bcher-kva.example', PRODUCTION],
    ['http://example.com', 'example.com:80', {}],
    ['http://example.com:80', 'example.com', {}],
    ['http://localhost:3000', 'localhost:3000', {}],
    ['http://[::1]:3000', '[0:0:0:0:0:0:0:1]:3000', {}],
    ['http://192.168.0.7:3000', '192.168.0.7:3000', {}],
    ['https://tunnel.example', 'tunnel.example', {}],
    ['https://example.com', 'example.com', BEHIND_A_TRUSTED_PROXY],
    ['http://mybox.lan:3000', 'mybox.lan:3000', { appUrl: 'http://mybox.lan:3000' }],
  ])('A request from the page’s own origin is accepted: %s at %s', (origin, host, site) => {
    expect(isLetIn(origin, host, site)).toBe(true);
  });

  it.each<[string, string]>([
    ['https://app.example.com', 'https://app.example.com'],
    ['https://app.example.com', 'https://app.example.com/account'],
    ['https://app.example.com', 'https://APP.example.com:443/'],
    ['https://app.example.com.', 'https://app.example.com'],
    ['https://app.example.com:8443', 'https://app.example.com:8443'],
  ])(
    'A request from %s is accepted when APP_URL is %s, for any Host that a proxy sends',
    (origin, appUrl) => {
      for (const host of ['10.0.0.7:3000', 'backend', '', 'a b'])
        for (const nodeEnv of ['test', 'production'])
          expect(isLetIn(origin, host, { nodeEnv, appUrl })).toBe(true);
    },
  );

  it.each<[string, string, Site]>([
    ['http://example.com', 'example.com', PRODUCTION],
    ['http://example.com:80', 'example.com', PRODUCTION],
    ['http://example.com:443', 'example.com:443', PRODUCTION],
    ['http://example.com', 'example.com', { ...PRODUCTION, protocol: 'https' }],
    ['http://example.com', 'example.com', { appUrl: 'https://example.com' }],
    ['http://api.example.com', 'api.example.com', { appUrl: 'https://app.example.com' }],
    ['http://example.com', 'example.com', BEHIND_A_TRUSTED_PROXY],
    ['http://localhost:3000', 'backend', PRODUCTION],
    ['https://mybox.lan', 'mybox.lan', { appUrl: 'http://mybox.lan' }],
  ])(
    'A request whose scheme differs from that of the site is refused: %s at %s, %j',
    (origin, host, site) => {
      expect(isLetIn(origin, host, site)).toBe(false);
    },
  );

  it.each([
    ['https://example.com:444', 'example.com'],
    ['https://example.com', 'example.com:80'],
    ['https://sub.example.com', 'example.com'],
    ['https://example.com.evil.example', 'example.com'],
    ['https://example.com', 'evil.example'],
    ['https://[2001:db8::8]', '[2001:db8::7]'],
    ['https://example.com..', 'example.com'],
    ['https://example.com@evil.example', 'example.com'],
    ['https://example.com/', 'example.com'],
    ['https://example.com?', 'example.com'],
    ['https://example.com https://evil.example', 'example.com'],
    ['https://evil.example, https://example.com', 'example.com'],
    ['capacitor://example.com', 'example.com'],
    ['file://', ''],
    ['https://', ''],
    ['null', 'null'],
    ['null', ''],
    ['', ''],
    ['example.com', 'example.com'],
  ])('A request from another origin is refused: %j at %j', (origin, host) => {
    for (const nodeEnv of ['test', 'production']) expect(isLetIn(origin, host, { nodeEnv })).toBe(false);
  });
});
