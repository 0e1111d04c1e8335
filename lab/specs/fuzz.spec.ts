import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { connect } from 'node:net';
import { ADMIN, ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { injected } from '../../test/support/client.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { EVERYTHING_ON } from '../../test/support/optional-parts.js';
import {
  bodySchemaOf,
  documentOf,
  isUnsafe,
  parametersIn,
  undocumented,
  unknownParameters,
  urlOf,
  type ApiDocument,
  type Operation,
  type Schema,
} from '../../test/support/operations.js';
import { loggedIn, createUser, type TestUser } from '../../test/support/test-users.js';
import { recipeOf } from '../../test/support/request-examples.js';
import { everythingStored } from '../../test/support/stored.js';
import { eventually } from '../../test/support/waiting.js';

const { FUZZ_RUNS, FUZZ_SEED } = process.env;
/**
 * The suite uses a fixed seed, so that a change is judged by itself; `npm run fuzz` runs longer, with other seeds.
 */
const RUNS = Number(FUZZ_RUNS ?? 600);
const SEED = Number(FUZZ_SEED ?? (FUZZ_RUNS ? Date.now() % 1_000_000 : 9_457));
const LIMIT_MS = FUZZ_RUNS ? 6 * 3_600_000 : 20_000;

/**
 * A property that makes no attempt after its time. fast-check's `interruptAfterTimeLimit` abandons an attempt that is
 * under way, and its request would change the stores during the next test.
 */
function within<T>(ms: number, values: fc.Arbitrary<T>, attempt: (value: T) => Promise<void>) {
  const end = performance.now() + ms;
  return fc.asyncProperty(values, async (value) => {
    if (performance.now() < end) await attempt(value);
  });
}

const EDGES = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\udfff\ud800',
  '\u202ereversed',
  'İ@example.com',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '-1',
  '0x10',
  '1e400',
  '9'.repeat(400),
  'NaN',
  'null',
  'true',
  '[object Object]',
  '../../etc/passwd',
  "' or true --",
  '${jndi:ldap://x}',
  'a\r\nx-injected: b',
  '\u001b[31m',
  '🦊'.repeat(130),
  'x'.repeat(300),
  'x'.repeat(9_000),
  'x'.repeat(20_000),
  ALICE.id,
  ALICE.email,
  PASSWORD,
];

/** The text of a body in its serialised form. */
const SPELLINGS: Record<string, (json: string) => string | Buffer> = {
  'a name twice': (json) => json.replace(/^\{("\w+":)/, '{$1null,$1'),
  'its name is __proto__': (json) => json.replace(/^\{/, '{"__proto__":{"polluted":true},'),
  'its name is constructor': (json) => json.replace(/^\{/, '{"constructor":{"prototype":{"polluted":true}},'),
  'a number beyond all numbers': (json) => json.replace(/:("[^"]*"|\d+)/, ':1e400'),
  'a number of many digits': (json) => json.replace(/:("[^"]*"|\d+)/, `:${'9'.repeat(300)}`),
  'a half surrogate, escaped': (json) => json.replace(/:"/, ':"\\ud800'),
  'a NUL, escaped': (json) => json.replace(/:"/, ':"\\u0000'),
  'bytes that are no text': (json) => Buffer.from(json.replace(/:"/, ':"\xff\xfe'), 'latin1'),
  'in UTF-16': (json) => Buffer.from(json, 'utf16le'),
  'a byte order mark': (json) => `\ufeff${json}`,
  'cut off': (json) => json.slice(0, -1),
  'more behind it': (json) => `${json}{}`,
  'in a list': (json) => `[${json}]`,
  'deep down': (json) => `${'{"a":'.repeat(900)}${json}${'}'.repeat(900)}`,
  'deeper than it ends': (json) => '['.repeat(5_000) + json,
  'a lot of space': (json) => json + ' '.repeat(10_241),
  nothing: () => '',
};

/** Headers that the server, or a proxy in front of it, reads. */
const HEADERS: Record<string, string[]> = {
  'content-type': [
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    'application/json; charset=utf-16',
    'application/json;;;',
    'application/json, text/plain',
    'text/plain',
    'multipart/form-data',
    '',
    '/',
    '\u00ff',
  ],
  'content-length': ['-1', '1e3', '', 'x', '3', '99999999999999999999', '0'],
  'content-encoding': ['gzip', 'identity', 'br, gzip', ''],
  'x-min-revocation-seq': ['0', '1', '-1', '9'.repeat(18), '9'.repeat(30), 'x', ''],
  'idempotency-key': ['', 'k', 'x'.repeat(300), '\u00e9'],
  'x-device-token': ['', 'x', 'A'.repeat(43), 'x'.repeat(8_000)],
  authorization: ['Bearer', 'Bearer x', 'Bearer a.b.c', 'Basic YTpi', 'bearer\tx', 'Bearer \u00ff'],
  cookie: [
    '__Host-access',
    '__Host-access=x',
    '__Host-access=j:{}',
    '=;=;;',
    '__Host-refresh=__proto__',
    '__proto__=1',
  ],
  host: ['', 'a b', '[::', 'x'.repeat(3_000), 'evil.example'],
  origin: ['null', 'https://evil.example', 'x', ''],
  'sec-fetch-site': ['cross-site', 'same-origin', 'none', 'x'],
  'x-forwarded-for': ['1.2.3.4', '::1, x', 'x'.repeat(3_000)],
  'user-agent': ['', '\u00ff\u00fe', 'x'.repeat(3_000), '<script>'],
  accept: ['text/html', '*/*;q=0', ''],
  expect: ['100-continue', 'x'],
  range: ['bytes=0-1'],
  'if-none-match': ['*'],
  'x-http-method-override': ['DELETE'],
};

const CALLERS = ['anonymous', 'user', 'browser', 'admin'] as const;
type Caller = (typeof CALLERS)[number];

const edge = fc.oneof(fc.constantFrom(...EDGES), fc.string({ unit: 'binary', maxLength: 40 }));
const hostile = fc.oneof(
  edge,
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>,
  fc.integer(),
  fc.double(),
  fc.constantFrom(null, true, [], {}, [[]], { length: -1 }, Number.MAX_SAFE_INTEGER + 2),
);

/** Now and then another value than the usual one. */
const disturbed = <T, U>(arbitrary: fc.Arbitrary<T>, other: fc.Arbitrary<U>, weight = 4) =>
  fc.oneof({ arbitrary, weight }, { arbitrary: other, weight: 1 });

/** Values that the schema allows, and values that it almost allows. */
function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  const { type, format, pattern, enum: values, minLength = 0, maxLength = 100 } = schema;
  if (values) return disturbed(fc.constantFrom(...values), hostile);
  if (type === 'integer') return disturbed(fc.maxSafeInteger(), hostile);
  if (type === 'boolean') return disturbed(fc.boolean(), hostile);
  if (type === 'array') return disturbed(fc.array(valueOf(schema.items ?? {}), { maxLength: 5 }), hostile);
  if (type === 'object') return disturbed(objectOf(schema), hostile);
  if (type !== 'string') return hostile;
  if (format === 'uuid') return disturbed(fc.oneof(fc.uuid(), fc.constantFrom(ALICE.id, ADMIN.id)), hostile);
  if (format === 'email') return disturbed(fc.oneof(fc.emailAddress(), fc.constant(ALICE.email)), hostile);
  if (format === 'date-time')
    return disturbed(
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      hostile,
    );
  if (pattern) return disturbed(fc.stringMatching(new RegExp(pattern)), hostile);
  return disturbed(fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 300) }), hostile);
}

function objectOf({ properties = {} }: Schema): fc.Arbitrary<Record<string, unknown>> {
  const known = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, valueOf(schema)]),
  );
  return fc.record(known, { requiredKeys: [] });
}

/** How to vary the example request of an operation. */
interface Attempt {
  operation: Pick<Operation, 'name'>;
  caller: Caller;
  /** The path parameter: the owner's, a random one, or this. */
  parameters: 'owned' | 'unknown' | { text: string };
  query: [name: string, value: string][];
  headers: Record<string, string>;
  /** The example's body with these members changed, or this. */
  body: { members: Record<string, unknown> } | { value: unknown };
  spelling: string;
}

function attemptAt(operation: Operation): fc.Arbitrary<Attempt> {
  const schema = bodySchemaOf(operation) ?? {};
  const names = parametersIn(operation, 'query').map(({ name }) => name);
  const others = fc.dictionary(edge, hostile, { maxKeys: 2 });
  const members = fc
    .tuple(objectOf(schema), others, fc.boolean())
    .map(([known, unknown, isKnown]) => ({ members: isKnown ? known : { ...known, ...unknown } }));
  const unchanged = fc.constant({ members: {} });
  return fc.record({
    operation: fc.constant({ name: operation.name }),
    caller: fc.constantFrom(...CALLERS),
    parameters: fc.oneof(
      { arbitrary: fc.constant('owned' as const), weight: 3 },
      fc.constant('unknown' as const),
      edge.map((text) => ({ text })),
    ),
    query: fc.array(fc.tuple(disturbed(fc.constantFrom('x', ...names), edge), edge), {
      maxLength: names.length ? 3 : 1,
    }),
    headers: disturbed(
      fc.constant({}),
      fc
        .array(
          fc
            .constantFrom(...Object.keys(HEADERS))
            .chain((name) => fc.tuple(fc.constant(name), fc.constantFrom(...HEADERS[name]!))),
          { maxLength: 3 },
        )
        .map((pairs) => Object.fromEntries(pairs) as Record<string, string>),
      1,
    ),
    body: fc.oneof(
      unchanged,
      { arbitrary: members, weight: 3 },
      hostile.map((value) => ({ value })),
    ),
    spelling: disturbed(fc.constant('as it is'), fc.constantFrom(...Object.keys(SPELLINGS)), 3),
  });
}

const encoded = (text: string) => encodeURIComponent(text.toWellFormed());

/** Real: the application with its document, PostgreSQL, the cache; for broken HTTP, a socket. Generated: the requests. */
describe('any input to any operation', () => {
  let app: TestApp;
  let mailbox: Mailbox;
  let operations: Operation[];
  let components: ApiDocument['components'];
  let port: number;
  /** Logged-in users; each is reused until something has happened to the session. */
  const people = new Map<string, { person: TestUser; since: number }>();

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { ...EVERYTHING_ON, API_DOCS: 'true' } });
    mailbox = new Mailbox(app);
    ({ operations, components } = await documentOf(app));
    await app.app.listen(0, '127.0.0.1');
    port = Number(new URL(await app.app.getUrl()).port);
  });
  afterAll(() => app.close());

  async function someone(role: Caller | 'target'): Promise<TestUser> {
    const found = people.get(role);
    if (found && app.clock.now() - found.since < 120_000) return found.person;
    const account = await createUser(app, role === 'admin' ? ['user', 'admin'] : ['user']);
    const person = await loggedIn(app, account, role === 'browser' ? 'cookie' : 'bearer');
    people.set(role, { person, since: app.clock.now() });
    return person;
  }

  async function send(operation: Operation, { caller, parameters, query, headers, body, spelling }: Attempt) {
    const isOwn = caller !== 'anonymous' && !operation['x-roles'] && operation['x-tier'] !== 'public';
    const owner = await someone(isOwn ? caller : 'target');
    if (operation['x-tier'] === 'public') await mailbox.collect();
    const example = await recipeOf(operation).cook({ owner, mailbox, clock: app.clock });
    const client = caller === 'anonymous' ? app.client() : (await someone(caller)).copy();
    const inPath =
      parameters === 'owned'
        ? (example.parameters ?? {})
        : parameters === 'unknown'
          ? unknownParameters(operation)
          : Object.fromEntries(
              parametersIn(operation, 'path').map(({ name }) => [
                name,
                encoded(parameters.text).replace(/^\.{0,2}$/, 'x'),
              ]),
            );
    const value = 'value' in body ? body.value : { ...example.body, ...body.members };
    const json = JSON.stringify(value) ?? '';
    const hasBody = bodySchemaOf(operation) !== undefined || spelling !== 'as it is' || 'value' in body;
    const before = await everythingStored(app);
    const answer = await injected(app.app, {
      method: operation.method,
      url: urlOf(operation, inPath, query.map((pair) => pair.map(encoded).join('=')).join('&')),
      headers: {
        ...client.credentials(),
        ...(hasBody && { 'content-type': 'application/json' }),
        ...example.headers,
        ...headers,
      },
      ...(hasBody && isUnsafe(operation) && { payload: SPELLINGS[spelling]?.(json) ?? json }),
    });
    if (answer.status < 400 && isUnsafe(operation)) {
      // The request may have changed these users, and an admin's request may have changed all users.
      if (operation['x-roles']) people.clear();
      for (const role of [caller, 'target']) people.delete(role);
      await eventually(async () =>
        expect(await app.query('select kind from revocations where applied_at is null')).toEqual([]),
      );
    } else expect(await everythingStored(app)).toEqual(before);
    return answer;
  }

  it(
    `is answered as documented, has no effect where it is refused, and causes no 5xx (seed ${SEED}) [VAL-01, VAL-03, VAL-04, HTTP-05, HTTP-09]`,
    async () => {
      const tried = new Map<string, number>();
      const attempt = fc.constantFrom(...operations).chain(attemptAt);
      await fc.assert(
        within(LIMIT_MS, attempt, async (attempt) => {
          const operation = operations.find(({ name }) => name === attempt.operation.name)!;
          const answer = await send(operation, attempt);
          // The server refuses an unmet expectation before it looks for an operation (RFC 9110 10.1.1).
          if (answer.status === 417) expect(attempt.headers).toHaveProperty('expect', 'x');
          else expect(undocumented(operation, answer, components)).toEqual([]);
          const outcome = `${operation.name} ${answer.status < 400 ? 'done' : 'refused'}`;
          tried.set(outcome, (tried.get(outcome) ?? 0) + 1);
        }),
        {
          numRuns: RUNS,
          seed: SEED,
          endOnFailure: true,
        },
      );
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      expect((await app.client().get('/health/live')).status).toBe(200);
      expect((await app.client().login(ALICE.email, PASSWORD)).status).toBe(200);
      if (process.env['FUZZ_SHOW'])
        process.stdout.write(`${JSON.stringify(Object.fromEntries([...tried].sort()), null, 1)}\n`);
    },
    LIMIT_MS + 60_000,
  );

  describe('over a socket', () => {
    const latin1 = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 12,
    });
    const printable = fc.string({
      unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
      maxLength: 12,
    });
    const line = fc.oneof(
      fc.tuple(fc.oneof(printable, latin1), latin1).map(([name, value]) => `${name}: ${value}`),
      fc.constantFrom(
        'Content-Length: 3',
        'Content-Length: -1',
        'Content-Length: 1e3',
        'Content-Length: 3, 4',
        'Content-Length: 99999999999999999999',
        'Transfer-Encoding: chunked',
        'Transfer-Encoding: chunked, identity',
        'Transfer-Encoding: x',
        'Content-Type: application/json',
        'Content-Type: \xff/\xff',
        'Connection: upgrade',
        'Upgrade: h2c',
        'Expect: 100-continue',
        'Host: evil',
        ' folded',
        'no colon',
        `Cookie: ${'a=b; '.repeat(4_000)}`,
      ),
    );
    const body = fc.oneof(
      latin1,
      fc.constantFrom('', '{}', '0\r\n\r\n', '3\r\n{}\n\r\n0\r\n\r\n', 'zz\r\n', 'GET / HTTP/1.1\r\n\r\n'),
    );

    /** All bytes before the connection ends. */
    function exchange(bytes: string): Promise<string> {
      return new Promise((resolve) => {
        let text = '';
        const socket = connect(port, '127.0.0.1', () => socket.end(bytes, 'latin1'));
        socket.on('data', (data) => (text += data.toString('latin1')));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(text));
      });
    }

    it(
      `bytes of any kind are answered with less than 500, or not at all, and the next one is served (seed ${SEED}) [HTTP-08, HTTP-09]`,
      async () => {
        const attempt = fc.record({
          operation: fc.constantFrom(...operations).map(({ method, path }) => ({ method, path })),
          tail: fc.oneof(fc.constant(''), printable, latin1),
          lines: fc.array(line, { maxLength: 4 }),
          body,
        });
        const before = await everythingStored(app);
        await fc.assert(
          within(LIMIT_MS / 4, attempt, async ({ operation: { method, path }, tail, lines, body }) => {
            const head = [
              `${method} ${path}${tail} HTTP/1.1`,
              'Host: localhost',
              'Connection: close',
              ...lines,
            ];
            const statuses = [
              ...(await exchange(`${head.join('\r\n')}\r\n\r\n${body}`)).matchAll(/^HTTP\/1\.1 (\d+) /gm),
            ];
            expect(statuses.filter(([, status]) => Number(status) >= 500)).toEqual([]);
          }),
          {
            numRuns: RUNS / 2,
            seed: SEED,
          },
        );
        expect(await everythingStored(app)).toEqual(before);
        expect(
          await exchange('GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
        ).toMatch(/^HTTP\/1\.1 200 OK/);
      },
      LIMIT_MS + 60_000,
    );
  });
});
