import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { DiscoveryService } from '@nestjs/core';
import type { RouteOptions } from 'fastify';
import { gatewaysIn } from '../src/auth/open-connections/gateways.js';
import { RouteTable } from '../src/platform/api/route-table.js';
import { resetStores, startApp, type TestApp } from './support/app.js';
import {
  differences,
  documentOf,
  examplesIn,
  isUnsafe,
  type ApiDocument,
  type Media,
  type Operation,
} from './support/operations.js';

/** The promised tiers of the high-risk and the low-risk routes, so that removing a decorator fails a test. */
const PROMISED: Record<Operation['x-tier'], string[]> = {
  public: [
    'POST /v1/auth/register',
    'POST /v1/auth/login',
    'POST /v1/auth/login/passkey/options',
    'POST /v1/auth/login/passkey',
    'POST /v1/auth/login/mfa',
    'POST /v1/auth/refresh',
    'POST /v1/auth/logout',
    'POST /v1/auth/password/forgot',
    'POST /v1/auth/password/reset',
    'POST /v1/auth/email/verify',
    'POST /v1/auth/social/{provider}/global-token-revocation',
    'GET /.well-known/jwks.json',
    'GET /health/live',
    'GET /health/ready',
  ],
  access: ['GET /v1/auth/whoami', 'GET /v1/probe/flags'],
  session: [
    'POST /v1/auth/reauthenticate',
    'POST /v1/auth/reauthenticate/passkey/options',
    'POST /v1/auth/reauthenticate/passkey',
    'GET /v1/auth/passkeys',
    'PATCH /v1/auth/passkeys/{id}',
    'GET /v1/auth/mfa',
    'POST /v1/auth/password/change',
    'GET /v1/sessions',
    'GET /v1/sessions/current',
    'DELETE /v1/sessions/{id}',
    'DELETE /v1/sessions',
    'GET /v1/users/me',
    'PATCH /v1/users/me',
    'GET /v1/probe/payments',
    'POST /v1/probe/payments',
    'GET /v1/admin/users',
    'GET /v1/admin/users/{id}',
    'GET /v1/admin/users/{id}/sessions',
    'DELETE /v1/admin/users/{id}/sessions',
    'DELETE /v1/admin/sessions/{id}',
    'POST /v1/admin/users/{id}/ban',
    'DELETE /v1/admin/users/{id}/ban',
    'GET /v1/admin/revocations/{seq}',
    'GET /v1/admin/audit-events',
    'GET /v1/admin/live',
  ],
  fresh: [
    'POST /v1/auth/email/change',
    'POST /v1/auth/passkeys/options',
    'POST /v1/auth/passkeys',
    'DELETE /v1/auth/passkeys/{id}',
    'POST /v1/auth/mfa/totp',
    'POST /v1/auth/mfa/totp/confirm',
    'DELETE /v1/auth/mfa/totp',
    'POST /v1/auth/mfa/recovery-codes',
    'DELETE /v1/admin/users/{id}/mfa',
    'DELETE /v1/users/me',
    'DELETE /v1/admin/sessions',
    'POST /v1/admin/sessions/end-all',
    'PUT /v1/admin/users/{id}/roles',
  ],
  strict: [],
};

/** Real: the application with its document, PostgreSQL, the cache. */
describe('the document at /openapi.json', () => {
  const served: RouteOptions[] = [];
  let app: TestApp;
  let components: ApiDocument['components'];
  let operations: Operation[];

  beforeAll(async () => {
    await resetStores();
    const { follow } = RouteTable.prototype;
    const spy = jest.spyOn(RouteTable.prototype, 'follow').mockImplementation(function (
      this: RouteTable,
      fastify,
    ) {
      fastify.addHook('onRoute', (route) => void served.push(route));
      follow.call(this, fastify);
    });
    app = await startApp({ env: { API_DOCS: 'true' } });
    spy.mockRestore();
    ({ components, operations } = await documentOf(app));
  });
  afterAll(() => app.close());

  const names = (list: Operation[]) => list.map(({ name }) => name);

  it('has every served route, and no other [AZ-01, OPS-02]', () => {
    const sockets = gatewaysIn(app.get(DiscoveryService, { strict: false })).map(({ path }) => path);
    const routes = served
      // WebSockets, pages and addresses for browsers, and forms that a provider sends, are no operations.
      .filter(
        ({ url }) =>
          !sockets.includes(url) &&
          !/^\/docs|^\/openapi\.json$|^\/oauth\/interaction\/(consent\.\w+|:uid)$/.test(url) &&
          !/^\/v1\/auth\/social\/:provider\/(start|callback|backchannel-logout)$/.test(url),
      )
      .flatMap(({ method, url }) =>
        [method].flat().map((name) => `${name} ${url.replace(/:(\w+)/g, '{$1}')}`),
      )
      .filter((name) => !name.startsWith('HEAD '));
    expect(routes.length).toBeGreaterThan(20);
    expect(names(operations).sort()).toEqual([...new Set(routes)].sort());
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  });

  it('keeps the promised tier of each route, and restricts admin routes to admins [AZ-01, SES-15]', () => {
    for (const [tier, promised] of Object.entries(PROMISED)) {
      const kept = operations.filter((operation) => operation['x-tier'] === tier);
      expect(names(kept)).toEqual(expect.arrayContaining(promised));
    }
    const forAdmins = operations.filter((operation) => operation['x-roles']?.join() === 'admin');
    expect(names(forAdmins)).toEqual(names(operations.filter(({ path }) => path.startsWith('/v1/admin/'))));
    expect(forAdmins.length).toBeGreaterThan(9);
  });

  it('lists for each route its requirements for a caller, and the possible problems [OPS-02]', () => {
    for (const operation of operations) {
      const tier = operation['x-tier'];
      const needs = new Set<string>();
      if (tier !== 'public') {
        for (const code of [
          'unauthenticated',
          'invalid_token',
          'token_expired',
          'session_ended',
          'unavailable',
        ]) {
          needs.add(`auth.${code}`);
        }
      }
      if (tier === 'fresh') needs.add('auth.reauthentication_required');
      if (operation['x-roles']) needs.add('auth.forbidden');
      needs.add('request.media_type');
      if (isUnsafe(operation)) {
        for (const code of ['invalid', 'too_large', 'cross_site']) needs.add(`request.${code}`);
      }
      // A page cannot forge a read. Routes that are open in development are refused for other hosts, though.
      else if (operation.path !== '/metrics')
        expect(operation['x-problems']).not.toContain('request.cross_site');
      if (operation.path.includes('{')) needs.add('request.invalid');
      const { name, 'x-problems': problems, 'x-scope': scope, security, parameters = [] } = operation;
      const admitsPeople = !operation['x-machines-only'];
      if (!admitsPeople) needs.add('auth.forbidden');
      if (scope) for (const code of ['invalid_key', 'insufficient_scope']) needs.add(`auth.${code}`);
      expect({ name, missing: [...needs].filter((code) => !problems.includes(code)) }).toEqual({
        name,
        missing: [],
      });
      expect({ name, tier }).toEqual({
        name,
        tier: expect.stringMatching(/^(public|access|session|fresh|strict)$/),
      });
      expect({ name, security }).toEqual({
        name,
        security:
          tier === 'public'
            ? undefined
            : [
                ...(admitsPeople ? [{ bearer: [] }, { cookie: [] }] : []),
                ...(scope ? [{ apiKey: [scope] }] : []),
              ],
      });
      const inPath = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      expect(
        parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name),
      ).toEqual(inPath);
    }
    expect(Object.keys(components.securitySchemes).sort()).toEqual(['apiKey', 'bearer', 'cookie']);
  });

  it('describes every problem by one schema, and its status by the possible codes [OPS-02]', () => {
    const schema = components.schemas['Problem']!;
    expect(schema.required).toEqual(
      expect.arrayContaining(['type', 'title', 'status', 'detail', 'instance', 'code', 'requestId']),
    );
    expect(schema.additionalProperties).not.toBe(false); // RFC 9457 3.2: problems may have further members
    for (const { name, path, responses, 'x-problems': problems } of operations) {
      const errors = Object.entries(responses).filter(([status]) => Number(status) >= 400);
      for (const [status, { content }] of errors) {
        if (path === '/health/ready' && status === '503') continue; // an answer, not a problem
        const codes = problems.filter(
          (code) => components.examples[code]!.value['status'] === Number(status),
        );
        const examples = Object.fromEntries(
          codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
        );
        const problem = { schema: { $ref: '#/components/schemas/Problem' }, examples };
        expect({ name, status, content }).toEqual({
          name,
          status,
          content: { 'application/problem+json': problem },
        });
      }
    }
  });

  it('describes each problem once, with what the client does next and an answer [OPS-02]', () => {
    const used = new Set(operations.flatMap(({ 'x-problems': problems }) => problems));
    for (const code of used) {
      const example = components.examples[code];
      expect({ code, example }).toEqual({
        code,
        example: {
          summary: expect.stringContaining(code),
          description: expect.stringMatching(/\S/),
          value: expect.objectContaining({ code }),
        },
      });
      expect(differences(example!.value, { $ref: 'Problem' }, components)).toEqual([]);
    }
  });

  it('gives no DELETE a body, which many clients cannot send', () => {
    const deletes = operations.filter(({ method, requestBody }) => method === 'DELETE' && requestBody);
    expect(names(deletes)).toEqual([]);
  });

  it('says in words what each operation does: add @ApiOperation({ summary }) to a route without', () => {
    for (const { name, summary } of operations)
      expect({ name, summary }).toEqual({ name, summary: expect.stringMatching(/^[A-Z][^.]{3,70}[^.]$/) });
    expect(new Set(operations.map(({ summary }) => summary)).size).toBe(operations.length);
  });

  it('has an example of each body, which its schema allows: add .meta({ examples: [] }) to a text with a pattern', () => {
    for (const { name, requestBody, responses } of operations) {
      const answers = Object.entries(responses).filter(([status]) => Number(status) < 400);
      const bodies = [...answers.map(([, answer]) => answer), ...(requestBody ? [requestBody] : [])];
      const media = bodies.flatMap(({ content }) => Object.values<Media>(content ?? {}));
      for (const each of media) {
        const examples = examplesIn(each);
        expect({ name, examples: examples.length }).not.toEqual({ name, examples: 0 });
        for (const example of examples) {
          const found = differences(example, each.schema, components);
          expect({ name, example, found }).toEqual({ name, example, found: [] });
        }
      }
    }
  });

  it('has both answers of a login: tokens, or a challenge for the second factor', () => {
    const login = operations.find(({ name }) => name === 'POST /v1/auth/login')!;
    expect(login.responses['200']!.content!['application/json']!.schema).toEqual({
      oneOf: ['Grant', 'MfaRequired'].map((name) => ({ $ref: `#/components/schemas/${name}` })),
    });
  });

  it('lists where a caller may be throttled, and the header with the delay', () => {
    const limited = operations.filter(({ responses }) => '429' in responses);
    const auth = ['login', 'logout', 'reauthenticate', 'refresh', 'register'];
    const expected = ['GET /v1/probe/flags', ...auth.map((name) => `POST /v1/auth/${name}`)];
    expect(names(limited)).toEqual(expect.arrayContaining(expected));
    for (const { responses } of limited)
      expect(Object.keys(responses['429']!.headers!)).toEqual([
        'Retry-After',
        'RateLimit-Policy',
        'RateLimit',
      ]);
  });

  describe('has a page', () => {
    it('that runs only its own scripts [HTTP-02]', async () => {
      const page = await app.client().get('/docs');
      expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } });
      const policy = Object.fromEntries(
        String(page.headers['content-security-policy'])
          .split(';')
          .map((directive) => directive.trim().split(' '))
          .map(([name, ...sources]) => [name, sources.join(' ')]),
      );
      expect(policy).toMatchObject({
        'default-src': "'none'",
        'script-src': "'self'",
        'object-src': "'none'",
        'base-uri': "'none'",
        'frame-ancestors': "'none'",
      });
      const scripts = [...page.text.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)];
      expect(scripts.length).toBeGreaterThan(0);
      for (const [, attributes, inline] of scripts) {
        expect(inline!.trim()).toBe('');
        const source = /src="([^"]+)"/.exec(attributes!)![1]!;
        expect(source).not.toMatch(/^(https?:)?\/\//);
        const file = await app.client().get(new URL(source, 'http://x/docs').pathname);
        expect({ source, status: file.status }).toEqual({ source, status: 200 });
      }
    });

    it('that leaves the policy of all other routes unchanged', async () => {
      for (const path of ['/openapi.json', '/v1/users/me', '/nowhere']) {
        const { headers } = await app.client().get(path);
        expect(headers['content-security-policy']).toBe("default-src 'none';frame-ancestors 'none'");
      }
    });

    it('that serves no file but its own', async () => {
      for (const path of ['/docs/..%2f..%2fpackage.json', '/docs/%2e%2e%2f%2e%2e%2f%2e%2e%2fpackage.json']) {
        const { status, text } = await app.client().get(path);
        expect([403, 404]).toContain(status);
        expect(text).not.toContain('"drawbridge"');
      }
    });
  });
});

/** Real: PostgreSQL, the cache. */
describe('with API_DOCS=false', () => {
  it('has neither a document nor a page [OPS-02]', async () => {
    const app = await startApp({ env: { API_DOCS: 'false' } });
    try {
      for (const path of [
        '/openapi.json',
        '/openapi.yaml',
        '/docs',
        '/docs/',
        '/docs-json',
        '/docs-yaml',
        '/docs/swagger-ui.css',
        '/docs/swagger-ui-init.js',
        '/v1/docs',
        '/v1/openapi.json',
      ]) {
        const answer = await app.client().get(path);
        expect({ path, ...answer }).toMatchObject({
          path,
          status: 404,
          body: { code: 'resource.not_found' },
        });
      }
    } finally {
      await app.close();
    }
  });
});
