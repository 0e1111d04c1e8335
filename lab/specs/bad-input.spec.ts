import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { ADMIN, ALICE, BOB, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer, Client } from '../../test/support/client.js';
import {
  bodySchemaOf,
  documentOf,
  isUnsafe,
  UNKNOWN_ID,
  unknownParameters,
  urlOf,
  type Operation,
  type Schema,
} from '../../test/support/operations.js';
import { EVERYTHING_ON } from '../../test/support/optional-parts.js';
import { PRODUCT } from '../../src/product.js';

/** Sent wherever a text can be sent. No answer repeats it. */
const CANARY = 'canary-7f3a';
/** Headers of every answer. */
const SECURITY_HEADERS = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
  'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
};

/** Paths whose last segment could be the id of a thing that `DELETE` removes. */
const WITH_A_SIBLING = new Set([
  '/v1/sessions/current',
  '/v1/admin/sessions/end-all',
  '/v1/api-keys/scopes',
  '/v1/api-keys/leaked',
]);

/** A problem of the common shape, which repeats no input and reveals nothing internal. */
function expectProblem(sent: unknown, answer: Answer, statuses: number[], code?: string): void {
  expect({ sent, status: answer.status }).toEqual({
    sent,
    status: statuses.length === 1 ? statuses[0] : answer.status,
  });
  expect({ sent, allowed: statuses, isAllowed: statuses.includes(answer.status) }).toEqual({
    sent,
    allowed: statuses,
    isAllowed: true,
  });
  expect(answer.headers).toMatchObject({
    ...SECURITY_HEADERS,
    'content-type': 'application/problem+json; charset=utf-8',
  });
  for (const name of ['x-powered-by', 'server', 'set-cookie'])
    expect(answer.headers).not.toHaveProperty(name);
  const text = expect.stringMatching(/\S/);
  expect(answer.body).toMatchObject({
    type: PRODUCT.problemUrn + answer.body.code,
    title: text,
    status: answer.status,
    detail: text,
    instance: `urn:uuid:${answer.body.requestId}`,
    code: code ?? text,
    requestId: answer.headers['x-request-id'],
  });
  expect({ sent, text: answer.text }).toEqual({
    sent,
    text: expect.not.stringMatching(/canary|\.[jt]s:\d|node_modules|select |SyntaxError|Unexpected|JSON at/i),
  });
}

/** Real: the application with its document, PostgreSQL, the cache; where HTTP itself is broken, a socket. */
describe('invalid input', () => {
  let app: TestApp;
  let admin: Client;
  let operations: Operation[];
  let port: number;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { ...EVERYTHING_ON, API_DOCS: 'true' } });
    ({ operations } = await documentOf(app));
    admin = app.client();
    await admin.login(ADMIN.email, PASSWORD, { transport: 'bearer' });
    await app.app.listen(0, '127.0.0.1');
    port = Number(new URL(await app.app.getUrl()).port);
  });
  afterAll(() => app.close());

  /** The address of an operation, with ids that exist nowhere unless given. */
  const address = (operation: Operation, parameter?: string) =>
    parameter === undefined
      ? urlOf(operation, unknownParameters(operation))
      : operation.path.replace(/\{\w+\}/g, parameter);

  function send(
    operation: Operation,
    body: unknown,
    headers: Record<string, string> = {},
    url = address(operation),
  ) {
    return admin.request(operation.method, url, { body, headers: { 'idempotency-key': CANARY, ...headers } });
  }

  const schemaOf = (operation: Operation) => bodySchemaOf(operation)!;
  /** The body of the others is an object. That of a report of leaked keys: `test/api-key-leaks.spec.ts`. */
  const withBody = () =>
    operations.filter((operation) => (bodySchemaOf(operation)?.type ?? 'array') !== 'array');
  const unsafe = () => operations.filter(isUnsafe);
  /** Texts that the server only compares with tokens it has issued. */
  const isOpaque = (name: string) => name === 'refreshToken';

  describe('as a body', () => {
    function badValues(
      name: string,
      {
        type,
        format,
        enum: allowed,
        nullable,
        minLength = 0,
        maxLength = 0,
        minimum = 1,
        maximum = Infinity,
      }: Schema,
    ): unknown[] {
      const anyType = [true, [], [CANARY], {}, { [CANARY]: CANARY }, ...(nullable ? [] : [null])];
      if (allowed)
        return [
          ...anyType,
          1,
          '',
          CANARY,
          `${String(allowed[0])} `,
          String(allowed[0]).toUpperCase(),
          allowed,
        ];
      if (type === 'integer') {
        const numbers = [1.5, -1, 0, -0.5, 2 ** 53, 1e308];
        const isGood = (value: number) => Number.isInteger(value) && value >= minimum && value <= maximum;
        return [...anyType, '1', CANARY, ...numbers.filter((value) => !isGood(value))];
      }
      if (type === 'array')
        return [
          CANARY,
          1,
          true,
          null,
          {},
          { length: 1 },
          [1],
          [null],
          [CANARY],
          [[]],
          Array.from({ length: 50 }, () => 'user'),
        ];
      if (isOpaque(name)) return [...anyType, 1, '', CANARY.padEnd(maxLength + 1, 'x')];
      const dates = ['2030-01-31', '2030-02-30T00:00:00Z', '2030-13-01T00:00:00Z', '1e9', 'now'];
      return [
        ...anyType,
        1,
        `${CANARY}\0`,
        `\ud800${CANARY}`,
        `${CANARY}\udc00`,
        `${CANARY}\u001b[31m`,
        `${CANARY}\r\nx: y`,
        ...(minLength > 0 ? [''] : []),
        ...(maxLength > 0 ? [CANARY.padEnd(maxLength + 1, 'x'), '🦊'.repeat(maxLength + 1)] : []),
        ...(format === 'email'
          ? [CANARY, `${CANARY}@`, `@${CANARY}.com`, `a b@${CANARY}.com`, `a@b@${CANARY}.com`]
          : []),
        ...(format === 'date-time' ? dates : []),
      ];
    }

    it('of the wrong type, of no type or of no characters is refused field by field, on every route [VAL-01, VAL-03]', async () => {
      let sent = 0;
      for (const operation of withBody()) {
        for (const [field, schema] of Object.entries(schemaOf(operation).properties!)) {
          for (const value of badValues(field, schema)) {
            const answer = await send(operation, { [field]: value });
            expectProblem({ route: operation.name, field, value }, answer, [400], 'request.invalid');
            const paths = (answer.body.errors as { path: string }[]).map(({ path }) => path.split('.')[0]);
            expect({ route: operation.name, field, value, paths }).toEqual({
              route: operation.name,
              field,
              value,
              paths: expect.arrayContaining([field]),
            });
            sent += 1;
          }
        }
      }
      expect(sent).toBeGreaterThan(200);
    });

    it('with unknown fields is refused, on every route [VAL-01]', async () => {
      const fields = [`${CANARY} <script>`, '', 'toString', 'hasOwnProperty', 'isAdmin'];
      for (const operation of withBody()) {
        for (const field of fields) {
          const answer = await send(operation, { [field]: CANARY });
          expectProblem({ route: operation.name, field }, answer, [400], 'request.invalid');
          const plain = /^\w+$/.test(field) ? field : '';
          expect(answer.body.errors).toContainEqual({ path: plain, message: 'is not a known field' });
        }
      }
    });

    it.each([
      ['a list', '[]'],
      ['a list of objects', '[{}]'],
      ['a text', `"${CANARY}"`],
      ['a number', '1'],
      ['a number out of range', '1e400'],
      ['true', 'true'],
      ['null', 'null'],
      ['half an object', `{"email":"${CANARY}`],
      ['an object and more', `{} ${CANARY}`],
      ['two objects', '{}{}'],
      ['single quotes', `{'email':'${CANARY}'}`],
      ['a comment', `{/* ${CANARY} */}`],
      ['a trailing comma', `{"email":"${CANARY}",}`],
      ['NaN', '{"amount":NaN}'],
      ['a raw line end in a text', `{"email":"${CANARY}\n"}`],
      ['a form', `email=${CANARY}&password=${CANARY}`],
      ['spaces only', '   '],
      ['a byte that is no text', '\0'],
      ['nesting without end', '['.repeat(5_000)],
      ['deep nesting', `${'{"a":'.repeat(1_500)}1${'}'.repeat(1_500)}`],
      ['a prototype', `{"__proto__":{"isAdmin":"${CANARY}"}}`],
      ['a prototype in disguise', `{"\\u005f_proto__":{"isAdmin":"${CANARY}"}}`],
      ['a constructor', `{"constructor":{"prototype":{"isAdmin":"${CANARY}"}}}`],
      ['a prototype inside', `{"email":{"__proto__":{"isAdmin":"${CANARY}"}}}`],
    ])('that is %s is refused on every route [HTTP-05, VAL-01, VAL-04]', async (_what, text) => {
      for (const operation of withBody()) {
        expectProblem(
          { route: operation.name, text: text.slice(0, 40) },
          await send(operation, text),
          [400],
          'request.invalid',
        );
      }
      expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined();
    });

    it('with numbers out of range is refused [VAL-03]', async () => {
      for (const amount of [
        '1e400',
        '-1e400',
        '9007199254740993',
        '1e21',
        '0.1',
        '-0',
        '1E2.5',
        '01',
        '+1',
        '.5',
      ]) {
        const payment = `{"amount":${amount},"currency":"EUR","recipient":"Bob"}`;
        expectProblem(
          { amount },
          await admin.post('/v1/probe/payments', payment, { headers: { 'idempotency-key': 'k' } }),
          [400],
          'request.invalid',
        );
      }
    });

    it('that is missing is refused where one is needed [VAL-01]', async () => {
      for (const operation of withBody().filter(({ requestBody }) => requestBody!.required)) {
        for (const headers of [{}, { 'content-type': 'application/json' }]) {
          expectProblem(
            operation.name,
            await send(operation, undefined, headers as Record<string, string>),
            [400],
            'request.invalid',
          );
        }
      }
    });

    it.each([
      'application/x-www-form-urlencoded',
      'text/plain',
      'text/plain; application/json',
      'multipart/form-data; boundary=x',
      'application/xml',
      'text/json',
      'application/jsonp',
      'application/vnd.api+json',
      'application/json-patch+json',
      'application/octet-stream',
      'json',
      'application/json, text/plain',
      '*/*',
    ])(
      'of the type %s is refused on every unsafe route, whatever its content [CSR-04, HTTP-06]',
      async (type) => {
        for (const operation of unsafe()) {
          for (const body of [`email=${CANARY}`, '{}']) {
            const answer = await send(operation, body, { 'content-type': type });
            expectProblem({ route: operation.name, type }, answer, [415], 'request.media_type');
          }
        }
      },
    );

    it('of no type at all is refused on every unsafe route [CSR-04]', async () => {
      for (const operation of unsafe()) {
        const response = await app.app.inject({
          method: operation.method,
          url: address(operation),
          headers: { authorization: `Bearer ${admin.accessToken}` },
          payload: Buffer.from('{}'),
        });
        expect({ route: operation.name, status: response.statusCode, code: response.json().code }).toEqual({
          route: operation.name,
          status: 415,
          code: 'request.media_type',
        });
      }
    });

    it('that is too large is refused before it is read, whether or not it declares its size [AUT-08, HTTP-06, HTTP-07]', async () => {
      const large = JSON.stringify({ password: CANARY.padEnd(1_000_000, 'x') });
      for (const operation of unsafe()) {
        expectProblem(operation.name, await send(operation, large), [413], 'request.too_large');
        const unannounced = await app.app.inject({
          method: operation.method,
          url: address(operation),
          headers: { authorization: `Bearer ${admin.accessToken}`, 'content-type': 'application/json' },
          payload: Readable.from([large.slice(0, 9_000), large.slice(9_000)]),
        });
        expect({ route: operation.name, status: unannounced.statusCode }).toEqual({
          route: operation.name,
          status: 413,
        });
      }
      const fitting = JSON.stringify({ email: `${CANARY}@example.com`, password: 'x' }).padEnd(10_240, ' ');
      expectProblem(
        'the maximal size',
        await app.client().post('/v1/auth/login', fitting),
        [401],
        'auth.invalid_credentials',
      );
      expectProblem(
        'one byte more',
        await app.client().post('/v1/auth/login', `${fitting} `),
        [413],
        'request.too_large',
      );
    });

    it('that is compressed is refused, not decompressed [HTTP-07]', async () => {
      const bomb = gzipSync(JSON.stringify({ email: 'x'.repeat(5_000_000) }));
      expect(bomb.length).toBeLessThan(10_240);
      const response = await app.app.inject({
        method: 'POST',
        url: '/v1/auth/login',
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
        payload: bomb,
      });
      expect({ status: response.statusCode, code: response.json().code }).toEqual({
        status: 415,
        code: 'request.media_type',
      });
      expect(response.headers['accept-encoding']).toBe('identity');
    });
  });

  describe('in an address', () => {
    const BAD_IDS = [
      'x',
      CANARY,
      '1',
      '-1',
      '%00',
      `${ALICE.id}%00`,
      `%7B${ALICE.id}%7D`,
      `${ALICE.id}x`,
      `${ALICE.id.slice(0, -1)}`,
      ALICE.id.replaceAll('-', ''),
      `${ALICE.id}%20`,
      `${ALICE.id}'--`,
      `'%20or%20'1'='1`,
      '%F0%9F%A6%8A',
      '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
      '1e3',
      '0x10',
      '99999999999999999999',
      'undefined',
      'null',
      '[object%20Object]',
      'a'.repeat(101),
      'a'.repeat(5_000),
      '%ff',
      '%c0%80',
      `${CANARY}%zz`,
      CANARY.repeat(20),
      '%',
    ];

    it('an invalid id is refused on every route, before any query [VAL-01, VAL-03]', async () => {
      const withId = operations.filter(({ path }) => path.includes('{'));
      expect(withId.length).toBeGreaterThan(5);
      for (const operation of withId) {
        for (const id of BAD_IDS) {
          if (operation.path.includes('{seq}') && id === '1') continue;
          const answer = await send(operation, undefined, {}, address(operation, id));
          expectProblem({ route: operation.name, id }, answer, [400], 'request.invalid');
        }
      }
    });

    it.each([
      [
        '/v1/admin/users',
        'limit',
        [
          '0',
          '201',
          '-1',
          '1.5',
          'x',
          '',
          '%20',
          '%205',
          '5x',
          '1e1',
          '0x10',
          '%D9%A3',
          '99999',
          'NaN',
          CANARY,
        ],
      ],
      ['/v1/admin/audit-events', 'limit', ['0', '201', '-1', '9'.repeat(400)]],
      ['/v1/admin/users', 'query', ['', '%00', `${CANARY}%00`, CANARY.padEnd(255, 'x'), '%0d%0a']],
      ['/v1/admin/audit-events', 'userId', ['x', '', '%00', CANARY, `${ALICE.id}'`]],
      ['/v1/admin/audit-events', 'type', ['', '%00', 'X', 'a-b', CANARY, 'a'.repeat(61), "a'"]],
      [
        '/v1/admin/audit-events',
        'from',
        [
          '',
          'x',
          '0',
          '2030-01-31',
          CANARY,
          '2030-02-30T00:00:00Z',
          '2030-01-01T00:00:60Z',
          '%00',
          'now()',
          'infinity',
        ],
      ],
      ['/v1/admin/audit-events', 'to', ['', 'x', '-infinity', 'epoch', '2030-13-01T00:00:00Z']],
      [`/v1/admin/users/${ALICE.id}/sessions`, 'status', ['', 'x', 'ACTIVE', CANARY]],
      ['/v1/sessions', 'except', ['', 'x', CANARY, 'CURRENT']],
    ])('%s?%s= refuses invalid values [VAL-01, VAL-03]', async (path, name, values) => {
      const method = path === '/v1/sessions' ? 'DELETE' : 'GET';
      for (const value of values) {
        const answer = await admin.request(method, `${path}?${name}=${value}`);
        expectProblem({ path, name, value }, answer, [400], 'request.invalid');
        expect(answer.body.errors).toContainEqual({ path: name, message: expect.any(String) });
      }
      for (const query of [`${name}=1&${name}=2`, `${name}[]=1`, `${name}[$ne]=1`, `${CANARY}=1`]) {
        expectProblem(
          { path, query },
          await admin.request(method, `${path}?${query}`),
          [400],
          'request.invalid',
        );
      }
    });

    it('a date at the edge of the range gets an answer or a refusal, never a 500 [VAL-03]', async () => {
      for (const date of [
        '0000-01-01T00:00:00Z',
        '0001-01-01T00:00:00Z',
        '9999-12-31T23:59:59Z',
        '9999-12-31T23:59:59-23:59',
        '0000-01-01T00:00:00%2B23:59',
        '2020-01-01T00:00:00%2B23:59',
        '2020-01-01T00:00:00-15:59',
        '2020-01-01T00:00:00.123456789012345678901234567890Z',
      ]) {
        for (const name of ['from', 'to']) {
          const answer = await admin.get(`/v1/admin/audit-events?${name}=${date}`);
          if (answer.status !== 200) expectProblem({ name, date }, answer, [400], 'request.invalid');
        }
        const until = date.replace('%2B', '+');
        const answer = await admin.post(`/v1/admin/users/${UNKNOWN_ID}/ban`, { reason: 'x', until });
        expectProblem({ until }, answer, [400, 404]);
      }
    });

    it('a foreign cursor is refused, and an issued cursor cannot be modified [VAL-02]', async () => {
      const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const now = new Date().toISOString();
      const ours = (await admin.get('/v1/admin/users?limit=1')).body.nextCursor as string;
      expect((await admin.get(`/v1/admin/users?cursor=${ours}`)).status).toBe(200);
      const events = (await admin.get('/v1/admin/audit-events?limit=1')).body.nextCursor as string | null;
      const bad: [string, string[]][] = [
        [
          '/v1/admin/users',
          [
            '',
            'x',
            CANARY,
            '%00',
            'x'.repeat(201),
            ...[
              null,
              true,
              1,
              '',
              CANARY,
              [],
              {},
              [now],
              [now, CANARY],
              [now, ALICE.id, 1],
              [CANARY, ALICE.id],
              [1, ALICE.id],
              [now, 1],
              [[now], [ALICE.id]],
              { 0: now, 1: ALICE.id },
            ].map(encode),
            encode([now, `${ALICE.id}' or true --`]),
            encode([`${now}\0`, ALICE.id]),
            ...(events ? [events] : [encode('1')]),
          ],
        ],
        [
          '/v1/admin/audit-events',
          [
            'x',
            '%00',
            ours,
            ...[null, 1, [], {}, '', '-1', '1.5', '9'.repeat(19), "1'", '1\0', CANARY].map(encode),
          ],
        ],
      ];
      for (const [path, cursors] of bad) {
        for (const cursor of cursors) {
          const answer = await admin.get(`${path}?cursor=${cursor}`);
          expectProblem({ path, cursor }, answer, [400], 'request.invalid');
          expect(answer.body.errors).toEqual([expect.objectContaining({ path: 'cursor' })]);
        }
      }
      for (const edge of [
        ['0000-01-01T00:00:00.000Z', ALICE.id],
        ['9999-12-31T23:59:59.999Z', ALICE.id],
      ]) {
        expect((await admin.get(`/v1/admin/users?cursor=${encode(edge)}`)).status).toBe(200);
      }
    });

    it('wildcards of SQL have no effect in a search [VAL-02]', async () => {
      for (const query of ['%25', '_', '%25%25', 'a_ice', '%5C', "'", "'%20or%20true--", '%25alice']) {
        const { status, body } = await admin.get(`/v1/admin/users?query=${query}`);
        expect({ query, status, items: body.items }).toEqual({ query, status: 200, items: [] });
      }
      expect((await admin.get('/v1/admin/users?query=ALICE@')).body.items).toHaveLength(1);
    });

    it.each([
      '/nowhere',
      '/',
      '/v1',
      '/v1/',
      '/v2/users/me',
      '/users/me',
      '/v1/users',
      `/v1/${CANARY}`,
      '/favicon.ico',
      '/.env',
      '/v1/auth',
      '/index.html',
    ])('%s is not found, by any method [HTTP-05, HTTP-06]', async (path) => {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
        expectProblem(
          { method, path },
          await app.client().request(method, path),
          [404],
          'resource.not_found',
        );
      }
    });
  });

  describe('by a method', () => {
    it('that a path does not know is refused with a list of those that it knows [HTTP-06]', async () => {
      const known = new Map<string, Set<string>>();
      for (const { path, method } of operations) known.set(path, (known.get(path) ?? new Set()).add(method));
      for (const [path, methods] of known) {
        if (methods.has('GET')) methods.add('HEAD');
        // A literal segment is also a value of a parameter in the same place.
        if (WITH_A_SIBLING.has(path)) methods.add('DELETE');
        if (path === '/v1/auth/passkeys/options') methods.add('DELETE').add('PATCH');
        const others = (['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const).filter(
          (method) => !methods.has(method),
        );
        for (const method of others) {
          const url = path.replace(/\{\w+\}/g, UNKNOWN_ID);
          const answer = await app.client().request(method, url);
          expectProblem({ method, url }, answer, [405], 'request.method');
          expect({ url, allow: answer.headers['allow'] }).toEqual({
            url,
            allow: [...methods].sort().join(', '),
          });
        }
      }
    });

    it('HEAD is guarded like GET [AZ-04]', async () => {
      const head = (url: string, headers = {}) => app.app.inject({ method: 'HEAD', url, headers });
      for (const { path } of operations.filter(
        ({ method, path, 'x-tier': tier }) =>
          method === 'GET' && path.startsWith('/v1/') && tier !== 'public',
      )) {
        const url = path.replace(/\{\w+\}/g, ALICE.id);
        const anonymous = await head(url);
        expect({ url, status: anonymous.statusCode, text: anonymous.body }).toEqual({
          url,
          status: 401,
          text: '',
        });
        expect(anonymous.headers).toMatchObject(SECURITY_HEADERS);
      }
      const me = await head('/v1/users/me', { authorization: `Bearer ${admin.accessToken}` });
      expect({ status: me.statusCode, text: me.body }).toEqual({ status: 200, text: '' });
    });

    it('that is overridden by a header is ignored: the method of the request line counts [CSR-05]', async () => {
      const alice = app.client();
      await alice.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
        const headers = { [name]: 'DELETE' };
        expect((await alice.get('/v1/sessions', { headers })).body.items.length).toBeGreaterThan(0);
        expect((await alice.get('/v1/sessions?_method=DELETE', { headers })).status).toBe(200);
      }
      expect((await alice.get('/v1/users/me')).status).toBe(200);
    });
  });

  describe('in a header', () => {
    it.each([
      [
        'x-min-revocation-seq',
        ['', 'x', '-1', '1.5', '1e3', '9'.repeat(19), CANARY, "1'"],
        'X-Min-Revocation-Seq',
      ],
      ['idempotency-key', ['', ' ', 'a b', 'é', 'x'.repeat(201), `${CANARY}\u00a0`], 'Idempotency-Key'],
    ])('%s is refused when it is invalid', async (name, values, path) => {
      const payment = { amount: 1, currency: 'EUR', recipient: 'Bob' };
      for (const value of values) {
        const headers = { 'idempotency-key': 'a-key', [name]: value };
        const answer = await admin.post('/v1/probe/payments', payment, { headers });
        expectProblem({ name, value }, answer, [400], 'request.invalid');
        expect(answer.body.errors).toEqual([{ path, message: expect.any(String) }]);
      }
    });

    it('the user agent may be anything: it is neither executed nor stored raw, and breaks nothing', async () => {
      for (const agent of [
        '',
        ' ',
        '\u001b[31mred',
        'x'.repeat(8_000),
        '<script>alert(1)</script>',
        "'; drop table users --",
        '\u00ff\u00fe',
        '${jndi:ldap://x}',
        'a\tb',
      ]) {
        const client = app.client();
        const headers = { 'user-agent': agent };
        const login = await client.post(
          '/v1/auth/login',
          { email: BOB.email, password: PASSWORD, transport: 'bearer' },
          { headers },
        );
        expect({ agent, status: login.status }).toEqual({ agent, status: 200 });
        expect(login.body.session.device.name).toMatch(/^\P{Cc}{1,100}$/u);
      }
    });

    it('x-device-token may be anything, and an unknown one is not adopted', async () => {
      for (const token of ['', 'x', 'x'.repeat(8_000), "'", '\u00ff', `${CANARY}, ${CANARY}`]) {
        const login = await app
          .client()
          .post(
            '/v1/auth/login',
            { email: BOB.email, password: PASSWORD, transport: 'bearer' },
            { headers: { 'x-device-token': token } },
          );
        expect({ token, status: login.status }).toEqual({ token, status: 200 });
        expect(login.body.deviceToken).toMatch(/^[\w-]{43}$/);
      }
    });
  });

  it('changes no header of any answer: valid requests get the same headers [HTTP-01, HTTP-02, HTTP-03, HTTP-04]', async () => {
    for (const path of [
      '/health/live',
      '/health/ready',
      '/v1/users/me',
      '/v1/probe/flags',
      '/v1/admin/users',
    ]) {
      const answer = await admin.get(path);
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject(SECURITY_HEADERS);
      for (const name of ['x-powered-by', 'server']) expect(answer.headers).not.toHaveProperty(name);
    }
    const { headers } = await app.client().get('/.well-known/jwks.json');
    expect(headers).toMatchObject({ ...SECURITY_HEADERS, 'cache-control': 'public, max-age=300' });
  });

  describe('over a socket', () => {
    /** The first line of the answer to these bytes; empty when the connection is closed without one. */
    function statusOf(bytes: string): Promise<string> {
      return new Promise((resolve) => {
        let text = '';
        const socket = connect(port, '127.0.0.1', () => socket.end(bytes, 'latin1'));
        socket.on('data', (data) => (text += data.toString('latin1')));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(text.split('\r\n')[0]!));
      });
    }
    const request = (line: string, ...headers: string[]) =>
      [line, 'Host: localhost', 'Connection: close', ...headers, '', ''].join('\r\n');

    it.each([
      ['no HTTP', 'hello\r\n\r\n'],
      ['an unknown method', request('FOO /v1/users/me HTTP/1.1')],
      ['an unknown version', request('GET / HTTP/9.9')],
      ['an invalid address', request('GET v1/users/me HTTP/1.1')],
      ['a NUL in a header', request('GET /health/live HTTP/1.1', 'X-A: a\0b')],
      ['a header without a name', request('GET /health/live HTTP/1.1', ': b')],
      ['a header folded over two lines', request('GET /health/live HTTP/1.1', 'X-A: a', ' b')],
      ['a space before the colon', request('GET /health/live HTTP/1.1', 'X-A : b')],
      ['a length that is no number', request('POST /v1/auth/login HTTP/1.1', 'Content-Length: x')],
      ['two lengths', request('POST /v1/auth/login HTTP/1.1', 'Content-Length: 1', 'Content-Length: 2')],
      [
        'a length and chunks',
        request('POST /v1/auth/login HTTP/1.1', 'Content-Length: 4', 'Transfer-Encoding: chunked'),
      ],
      [
        'invalid chunks',
        `${request('POST /v1/auth/login HTTP/1.1', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}zz\r\n\r\n`,
      ],
    ])('%s is refused with 400 [HTTP-08]', async (_what, bytes) => {
      expect(await statusOf(bytes)).toBe('HTTP/1.1 400 Bad Request');
    });

    it('headers without end are refused with 431, TRACE with 405, CONNECT with an empty answer [HTTP-06, HTTP-07]', async () => {
      expect(await statusOf(request('GET / HTTP/1.1', `X-A: ${'a'.repeat(20_000)}`))).toMatch(
        /^HTTP\/1\.1 431 /,
      );
      expect(await statusOf(request('TRACE /v1/users/me HTTP/1.1'))).toMatch(/^HTTP\/1\.1 405 /);
      expect(await statusOf(request('CONNECT localhost:1 HTTP/1.1'))).toMatch(/^$|^HTTP\/1\.1 4/);
    });

    it('and the next request is answered', async () => {
      expect(await statusOf(request('GET /health/live HTTP/1.1'))).toBe('HTTP/1.1 200 OK');
    });
  });
});
