import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { RouteOptions } from 'fastify';
import { randomUUID } from 'node:crypto';
import { RouteTable } from '../src/common/route-table.js';
import { mintTokenId } from '../src/sessions/token-id.js';
import { ADMIN, ALICE, PASSWORD, resetStores, startApp, type TestApp } from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { HEADER, read, signed } from './support/forge.js';

interface Operation {
  /** As in `GET /v1/admin/users/{id}` */
  name: string;
  method: 'GET';
  path: string;
  'x-tier': 'public' | 'access' | 'session' | 'fresh' | 'strict';
  'x-roles'?: string[];
  'x-problems': string[];
  operationId: string;
  security?: object[];
  parameters?: { name: string; in: string }[];
  requestBody?: object;
  responses: Record<string, { content?: Record<string, { schema: unknown }> }>;
}

/** What has been promised of the high-risk and the low-risk routes: taking a decorator away is not a detail. */
const PROMISED: Record<Operation['x-tier'], string[]> = {
  public: [
    'POST /v1/auth/register',
    'POST /v1/auth/login',
    'POST /v1/auth/refresh',
    'POST /v1/auth/logout',
    'POST /v1/auth/password/forgot',
    'POST /v1/auth/password/reset',
    'POST /v1/auth/email/verify',
    'GET /.well-known/jwks.json',
    'GET /health/live',
    'GET /health/ready',
  ],
  access: ['GET /v1/auth/whoami', 'GET /v1/feature-flags'],
  session: [
    'POST /v1/auth/reauthenticate',
    'POST /v1/auth/password/change',
    'GET /v1/sessions',
    'GET /v1/sessions/current',
    'DELETE /v1/sessions/{id}',
    'DELETE /v1/sessions',
    'GET /v1/users/me',
    'PATCH /v1/users/me',
    'GET /v1/payments',
    'POST /v1/payments',
    'GET /v1/admin/users',
    'GET /v1/admin/users/{id}',
    'GET /v1/admin/users/{id}/sessions',
    'DELETE /v1/admin/users/{id}/sessions',
    'DELETE /v1/admin/sessions/{id}',
    'POST /v1/admin/users/{id}/ban',
    'DELETE /v1/admin/users/{id}/ban',
    'GET /v1/admin/revocations/{seq}',
    'GET /v1/admin/audit-events',
  ],
  fresh: [
    'POST /v1/auth/email/change',
    'DELETE /v1/users/me',
    'DELETE /v1/admin/sessions',
    'PUT /v1/admin/users/{id}/roles',
  ],
  strict: [],
};

/** Real: the application with its document, PostgreSQL, the cache. */
describe('the document at /openapi.json', () => {
  const served: RouteOptions[] = [];
  let app: TestApp;
  let document: Record<string, any>;
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
    const answer = await app.client().get('/openapi.json');
    expect(answer.status).toBe(200);
    document = answer.body;
    operations = Object.entries(document['paths'] as Record<string, Record<string, Operation>>).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({
          ...operation,
          method: method.toUpperCase() as 'GET',
          path,
          name: `${method.toUpperCase()} ${path}`,
        })),
    );
  });
  afterAll(() => app.close());

  const guarded = () => operations.filter((operation) => operation['x-tier'] !== 'public');
  const names = (list: Operation[]) => list.map(({ name }) => name);

  it('has every route that is served, and no other [OPS-02]', () => {
    const routes = served
      .filter(({ url }) => !/^\/docs|^\/openapi\.json$/.test(url))
      .flatMap(({ method, url }) =>
        [method].flat().map((name) => `${name} ${url.replace(/:(\w+)/g, '{$1}')}`),
      )
      .filter((name) => !name.startsWith('HEAD '));
    expect(routes.length).toBeGreaterThan(20);
    expect(names(operations).sort()).toEqual([...new Set(routes)].sort());
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  });

  it('keeps the promised tier of each route [SES-15]', () => {
    for (const [tier, promised] of Object.entries(PROMISED)) {
      const kept = operations.filter((operation) => operation['x-tier'] === tier);
      expect(names(kept)).toEqual(expect.arrayContaining(promised));
    }
  });

  it('says of each what it asks of a caller, and which problems may come of that [OPS-02]', () => {
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
      if (operation.method !== 'GET') needs.add('request.cross_site');
      if (operation.requestBody) {
        for (const code of ['invalid', 'too_large', 'media_type']) needs.add(`request.${code}`);
      }
      if (operation.path.includes('{')) needs.add('request.invalid');
      const { name, 'x-problems': problems, security, parameters = [] } = operation;
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
        security: tier === 'public' ? undefined : [{ bearer: [] }, { cookie: [] }],
      });
      const inPath = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      expect(
        parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name),
      ).toEqual(inPath);
    }
    expect(Object.keys(document['components'].securitySchemes).sort()).toEqual(['bearer', 'cookie']);
  });

  it('describes every problem by one schema, and its status by the codes that it may have [OPS-02]', () => {
    const schema = document['components'].schemas.Problem;
    expect(schema.required).toEqual(
      expect.arrayContaining(['type', 'title', 'status', 'detail', 'instance', 'code', 'requestId']),
    );
    expect(schema.additionalProperties).not.toBe(false); // RFC 9457 3.2: problems may say more
    const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
    for (const { name, path, responses } of operations) {
      const errors = Object.entries(responses).filter(([status]) => Number(status) >= 400);
      for (const [status, { content }] of errors) {
        if (path === '/health/ready' && status === '503') continue; // an answer, not a problem
        expect({ name, status, content }).toEqual({ name, status, content: problem });
      }
    }
  });

  it('says where somebody may be told to wait, and by what to go then', () => {
    const limited = operations.filter(({ responses }) => '429' in responses);
    const auth = ['login', 'logout', 'reauthenticate', 'refresh', 'register'];
    const expected = ['GET /v1/feature-flags', ...auth.map((name) => `POST /v1/auth/${name}`)];
    expect(names(limited)).toEqual(expect.arrayContaining(expected));
    for (const { responses } of limited)
      expect(Object.keys((responses['429'] as { headers: object }).headers)).toEqual([
        'Retry-After',
        'RateLimit-Policy',
        'RateLimit',
      ]);
  });

  describe('is what the running routes do:', () => {
    let admin: Client;
    const answers: { operation: Operation; answer: Answer }[] = [];

    beforeAll(async () => {
      admin = app.client();
      await admin.login(ADMIN.email, PASSWORD, { transport: 'bearer' });
    });

    /** Guards come before anything is read: what they let in fails on its parameters and does nothing. */
    async function call(operation: Operation, token: string | null): Promise<string> {
      const path = operation.path.replace(/\{\w+\}/g, 'x');
      const answer = await app.client().request(operation.method, `${path}?nonsense=1`, {
        headers: token === null ? {} : { authorization: `Bearer ${token}` },
      });
      answers.push({ operation, answer });
      return answer.body?.code ?? String(answer.status);
    }

    /** What a token with these claims is worth on each of the operations. */
    async function callAll(list: Operation[], token: string | null): Promise<Record<string, string>> {
      const codes: Record<string, string> = {};
      for (const operation of list) codes[operation.name] = await call(operation, token);
      return codes;
    }
    const all = (list: Operation[], code: string) =>
      Object.fromEntries(names(list).map((name) => [name, code]));

    it('without a token every guarded route refuses [AZ-01, SES-15]', async () => {
      expect(await callAll(guarded(), null)).toEqual(all(guarded(), 'auth.unauthenticated'));
    });

    it('with the token of a session that has ended every guarded route refuses [SES-04, TOK-21]', async () => {
      const gone = app.client();
      await gone.login(ADMIN.email, PASSWORD, { transport: 'bearer' });
      const { accessToken } = gone;
      expect((await gone.post('/v1/auth/logout')).status).toBe(204);
      expect(await callAll(guarded(), accessToken!)).toEqual(all(guarded(), 'auth.session_ended'));
    });

    it('a live, fresh session of an admin is refused nowhere', async () => {
      const codes = await callAll(guarded(), admin.accessToken!);
      for (const [name, code] of Object.entries(codes)) {
        expect({ name, code }).toEqual({
          name,
          code: expect.not.stringMatching(/^auth\.|^5|cross_site|internal/),
        });
      }
    });

    it('admin routes refuse who is no admin, and the others do not [ADM-02, AZ-01]', async () => {
      const alice = app.client();
      await alice.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      const isForAdmins = (operation: Operation) => operation['x-roles']?.includes('admin') ?? false;
      const forAdmins = guarded().filter(isForAdmins);
      expect(forAdmins.length).toBeGreaterThan(0);
      expect(await callAll(forAdmins, alice.accessToken!)).toEqual(all(forAdmins, 'auth.forbidden'));
      expect(names(guarded().filter(({ path }) => path.startsWith('/v1/admin/')))).toEqual(names(forAdmins));

      const others = guarded().filter(
        (operation) => !isForAdmins(operation) && operation.name !== 'DELETE /v1/users/me',
      );
      const codes = await callAll(others, alice.accessToken!);
      expect(Object.values(codes)).not.toContain('auth.forbidden');
    });

    it('each one asks for exactly the tier that it is said to have, and for roles in PostgreSQL [ADM-02, SES-08, OPS-02, SES-15]', async () => {
      // Found out from outside, by tokens that are each good enough for one tier more.
      const { claims } = read(admin.accessToken!);
      const withoutSession = signed(HEADER, { ...claims, sid: randomUUID(), jti: mintTokenId(randomUUID()) });
      const onlyCached = app.client();
      await onlyCached.login(ADMIN.email, PASSWORD, { transport: 'bearer' });
      const login = await onlyCached.get('/v1/sessions/current');
      await app.query(
        `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
        [login.body.id],
      );
      const observe = async (operation: Operation): Promise<Operation['x-tier']> => {
        if ((await call(operation, 'forged')) !== 'auth.invalid_token') return 'public';
        if ((await call(operation, withoutSession)) !== 'auth.invalid_token') return 'access';
        const asksPostgres = (await call(operation, onlyCached.accessToken!)) === 'auth.session_ended';
        if (!operation['x-roles']) return asksPostgres ? 'strict' : 'session';
        expect({ name: operation.name, asksPostgres }).toEqual({ name: operation.name, asksPostgres: true });
        return 'session';
      };
      const observed: Record<string, string> = {};
      for (const operation of operations) observed[operation.name] = await observe(operation);
      app.clock.advance(6 * 60_000);
      for (const operation of guarded()) {
        const code = await call(operation, admin.accessToken!);
        if (code === 'auth.reauthentication_required') observed[operation.name] = 'fresh';
      }
      const documented = Object.fromEntries(
        operations.map((operation) => [operation.name, operation['x-tier']]),
      );
      expect(observed).toEqual(documented);
      expect(new Set(Object.values(documented))).toEqual(new Set(['public', 'access', 'session', 'fresh']));
    });

    it('none has answered what its document does not know [HTTP-05, OPS-02]', () => {
      expect(answers.length).toBeGreaterThan(operations.length * 4);
      for (const { operation, answer } of answers) {
        const { name, responses } = operation;
        const known = Object.keys(responses);
        expect({ name, known, status: String(answer.status) }).toEqual({
          name,
          known,
          status: expect.stringMatching(new RegExp(`^(${known.join('|')})$`)),
        });
        if (answer.status < 400) continue;
        const { properties, required } = document['components'].schemas.Problem;
        expect(Object.keys(answer.body)).toEqual(expect.arrayContaining(required));
        expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(answer.body)));
        expect(operation['x-problems']).toContain(answer.body.code);
      }
    });
  });

  describe('comes with a page', () => {
    it('that runs its own scripts and no others [HTTP-02]', async () => {
      const page = await app.client().get('/docs');
      expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html' } });
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

    it('and leaves the policy of everything else alone', async () => {
      for (const path of ['/openapi.json', '/v1/users/me', '/nowhere']) {
        const { headers } = await app.client().get(path);
        expect(headers['content-security-policy']).toBe("default-src 'none';frame-ancestors 'none'");
      }
    });

    it('and gives away no file that is not its own', async () => {
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
  it('there is neither a document nor a page [OPS-02]', async () => {
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
