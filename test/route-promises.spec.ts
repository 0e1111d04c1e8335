import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ADMIN, ALICE, holdBackgroundWork, resetStores, startApp, type TestApp } from './support/app.js';
import { loggedIn, type Person } from './support/test-users.js';
import { COOKIES } from './support/cookies.js';

interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  maxLength?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
  additionalProperties?: boolean;
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

interface Operation {
  name: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  parameters?: { name: string; in: string; schema: Schema }[];
  requestBody?: { content: { 'application/json': { schema: Schema } } };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

/**
 * Real: an instance over HTTP with its document, PostgreSQL. Promises for all routes are tested on every route of
 * the document.
 */
describe('every route', () => {
  let app: TestApp;
  let operations: Operation[];
  let schemas: Record<string, Schema>;
  let admin: Person;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { API_DOCS: 'true', REDIS_URL: undefined } });
    const { body } = await app.client().get('/openapi.json');
    schemas = body.components.schemas;
    operations = Object.entries(body.paths as Record<string, Record<string, Operation>>).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(([verb, operation]) => {
          const method = verb.toUpperCase() as Operation['method'];
          return { ...operation, method, path, name: `${method} ${path}` };
        }),
    );
    admin = await loggedIn(app, ADMIN, 'cookie');
    holdBackgroundWork(app);
  });
  afterAll(() => app.close());

  /** A schema and all its parts, by the path to each. */
  function parts(schema: Schema, path = ''): [string, Schema][] {
    const known = schema.$ref ? schemas[schema.$ref.split('/').at(-1)!]! : schema;
    const inside = Object.entries(known.properties ?? {}).map(
      ([name, part]) => [`${path}.${name}`, part] as const,
    );
    const variants = [...(known.anyOf ?? []), ...(known.oneOf ?? []), ...(known.allOf ?? [])];
    return [
      [path, known],
      ...inside.flatMap(([name, part]) => parts(part, name)),
      ...(known.items ? parts(known.items, `${path}[]`) : []),
      ...variants.flatMap((part) => parts(part, path)),
    ];
  }
  const isBounded = ({
    type,
    format,
    enum: allowed,
    const: only,
    pattern,
    maxLength,
    maxItems,
    maximum,
  }: Schema) => {
    const types = [type].flat();
    if (allowed || only !== undefined) return true;
    if (types.includes('string')) return Boolean(maxLength || format || pattern);
    if (types.includes('array')) return maxItems !== undefined;
    if (types.includes('integer') || types.includes('number')) return maximum !== undefined;
    return true;
  };

  it('that takes input declares its fields, and the maximal length of each [VAL-01]', () => {
    const loose: string[] = [];
    let seen = 0;
    for (const { name, requestBody, parameters = [] } of operations) {
      const given = [
        ...(requestBody ? parts(requestBody.content['application/json'].schema, 'body') : []),
        // Headers are checked by hand, and tested in bad-input.spec.ts.
        ...parameters
          .filter((parameter) => parameter.in !== 'header')
          .flatMap((parameter) => parts(parameter.schema ?? {}, parameter.name)),
      ];
      for (const [path, schema] of given) {
        seen += 1;
        // The browser defines the fields about a passkey: later ones send more, and only known ones are read.
        const isOfBrowsers = /passkey/.test(name) && /^body\.response(\.response)?$/.test(path);
        // A secret scanner defines the fields of its report.
        const isOfScanners = name === 'POST /v1/api-keys/leaked';
        if (schema.properties && schema.additionalProperties !== false && !isOfBrowsers && !isOfScanners)
          loose.push(`${name} ${path}: open`);
        if (!isBounded(schema)) loose.push(`${name} ${path}: without bounds`);
      }
    }
    expect(seen).toBeGreaterThan(50);
    expect(loose).toEqual([]);
  });

  it('that changes data is refused when another site makes a browser send it, with good cookies [CSR-02, CSR-03]', async () => {
    const unsafe = operations.filter(({ method }) => method !== 'GET');
    expect(unsafe.length).toBeGreaterThan(20);
    for (const { name, method, path } of unsafe) {
      const sites: Record<string, string>[] = [
        { 'sec-fetch-site': 'cross-site' },
        { origin: 'https://evil.example' },
      ];
      for (const headers of sites) {
        const url = path.replaceAll(/\{\w+\}/g, ALICE.id);
        const answer = await admin.request(method, url, { headers });
        expect({ name, status: answer.status, code: answer.body.code, cookies: answer.setCookies }).toEqual({
          name,
          status: 403,
          code: 'request.cross_site',
          cookies: [],
        });
      }
    }
    expect((await admin.get('/v1/users/me')).status).toBe(200);
  });

  it('with a safe method changes nothing [CSR-05]', async () => {
    const tables = (
      await app.query<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'public'`)
    ).map(({ name }) => name);
    const state = async () =>
      Promise.all(
        tables
          // The audit log records its readers, and these records are sealed.
          .filter((name) => !name.startsWith('audit_'))
          .map((name) => app.query(`select to_jsonb(t) - 'last_seen_at' as row from ${name} t order by 1`)),
      );
    const before = await state();
    expect(JSON.stringify(before)).toContain(ALICE.id);
    for (const { path, method } of operations) {
      const url = path.replaceAll(/\{\w+\}/g, ALICE.id);
      const { statusCode } = await app.app.inject({ method: 'OPTIONS', url });
      expect({ url, statusCode }).toEqual({ url, statusCode: expect.any(Number) });
      if (method !== 'GET') continue;
      expect((await admin.get(url)).status).toBeLessThan(500);
      await app.app.inject({
        method: 'HEAD',
        url,
        headers: { cookie: `${COOKIES.access}=${admin.jar.get(COOKIES.access)}` },
      });
    }
    expect(await state()).toEqual(before);
  });

  it('for admins takes no password, and no route returns a hash, a digest or a secret of another user [ADM-03, RST-06, AZ-03]', () => {
    const SECRET = /password|hash|digest|nonce|secret|token|salt|rotation|\.key$/i;
    const named = (schema: Schema | undefined) =>
      schema
        ? parts(schema)
            .map(([path]) => path)
            .filter((path) => SECRET.test(path))
        : [];
    const answers = ({ responses }: Operation) =>
      Object.values(responses).flatMap(({ content = {} }) =>
        Object.values(content).map(({ schema }) => schema),
      );
    const found: Record<string, string[]> = {};
    for (const operation of operations) {
      const isForAdmins = operation.path.startsWith('/v1/admin/');
      const asked = isForAdmins ? named(operation.requestBody?.content['application/json'].schema) : [];
      const names = [...asked, ...answers(operation).flatMap(named)];
      if (names.length > 0) found[operation.name] = [...new Set(names)].sort();
    }
    // The caller's own, at the moment of their creation.
    const grant = ['.accessToken', '.accessTokenExpiresIn', '.deviceToken', '.refreshToken', '.tokenType'];
    expect(found).toEqual({
      // Whether there is one.
      'GET /v1/auth/identities': ['.hasPassword'],
      'POST /v1/api-keys': ['.key'],
      'POST /v1/api-keys/leaked': ['[].token_raw', '[].token_type'],
      'POST /v1/api-keys/{id}/rotate': ['.key'],
      'POST /v1/auth/login': [...grant, '.challengeToken'].sort(),
      'POST /v1/auth/login/mfa': grant,
      'POST /v1/auth/login/passkey': grant,
      'POST /v1/auth/login/passkey/options': ['.challengeToken'],
      'POST /v1/auth/mfa/totp': ['.secret'],
      'POST /v1/auth/refresh': grant,
      'POST /v1/auth/reauthenticate': grant,
      'POST /v1/auth/reauthenticate/passkey': grant,
    });
  });
});
