import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '../src/roles.js';
import { TRANSPORTS, type Transport } from '../src/sessions/session.entity.js';
import { machineOf } from './support/api-keys.js';
import { resetStores, startApp, type TestApp } from './support/app.js';
import type { Caller, CallerKind } from './support/caller-kind.js';
import { callerKinds, FEED_SCOPES, ownerBehind, promised } from './support/callers.js';
import type { Answer, Client } from './support/client.js';
import { Mailbox } from './support/mailbox.js';
import { EVERYTHING_ON } from './support/optional-parts.js';
import {
  bodySchemaOf,
  documentOf,
  isUnsafe,
  parametersIn,
  TIERS,
  undocumented,
  unknownParameters,
  urlOf,
  type ApiDocument,
  type Operation,
} from './support/operations.js';
import { loggedIn, createUser, type TestUser } from './support/test-users.js';
import { ProbeModule } from './support/probe-routes.js';
import { gapsIn, RECIPES, recipeOf, type Example } from './support/request-examples.js';
import { everythingStored } from './support/stored.js';
import { StrictModule } from './support/strict-route.js';
import { THINGS_RECIPES, ThingsModule } from './support/things-routes.js';

/** Texts that no body may contain, whatever the answer. */
const FORBIDDEN = {
  id: '00000000-0000-4000-8000-000000000001',
  userId: '00000000-0000-4000-8000-000000000001',
  sessionId: '00000000-0000-4000-8000-000000000001',
  role: 'admin',
  roles: ['admin'],
  isAdmin: true,
  status: 'active',
  passwordHash: 'x',
  emailVerified: true,
  emailVerifiedAt: '2000-01-01T00:00:00Z',
  createdAt: '2000-01-01T00:00:00Z',
  bannedAt: null,
  deletedAt: null,
  tokenVersion: 1,
  authenticatedAt: '2100-01-01T00:00:00Z',
};

/** Other spellings of a path, some of which some router treats as the same. */
const SPELLINGS: ((path: string) => string)[] = [
  (path) => path.toUpperCase(),
  (path) => path.replace(/[a-z]/, (letter) => letter.toUpperCase()),
  (path) => `/${path}`,
  (path) => path.replaceAll('/', '//'),
  (path) => path.replace(/\/(?=[^/]*$)/, '//'),
  (path) => `${path}/`,
  (path) => `${path}//`,
  (path) => `${path};x`,
  (path) => `${path};x=1`,
  (path) => path.replace(/^\/\w+/, '$&;x'),
  (path) => `${path}%2f`,
  (path) => `${path}%20`,
  (path) => `${path}%00`,
  (path) => `${path}%09`,
  (path) => `${path}.json`,
  (path) => `${path}..`,
  (path) => path.replace(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replace(/[a-z]/g, (letter) => `%25${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replaceAll(/(?<=.)\//g, '%2f'),
  (path) => path.replace(/(?<=.)\//, '/x/%2e%2e/'),
  (path) => `/x/..;${path}`,
  (path) => `/health/%2e%2e${path}`,
  (path) => `/health/live/..${path}`,
  (path) => `/.well-known/jwks.json/..${path}`,
  (path) => path.replace(/(?<=.)\//, '\\'),
  (path) => `${path}?/health/live`,
  (path) => `${path}#/health/live`,
  (path) => `http://localhost${path}`,
];

/** Real: the application with its document, PostgreSQL, the cache. The requests are generated from the document. */
describe('each operation of the document', () => {
  let app: TestApp;
  let mailbox: Mailbox;
  let operations: Operation[];
  let components: ApiDocument['components'];
  let kinds: Record<string, CallerKind>;
  const answers: { operation: Operation; answer: Answer }[] = [];

  beforeAll(async () => {
    await resetStores();
    Object.assign(RECIPES, THINGS_RECIPES);
    app = await startApp({
      env: { ...EVERYTHING_ON, API_DOCS: 'true' },
      features: [ProbeModule, StrictModule, ThingsModule],
    });
    mailbox = new Mailbox(app);
    ({ operations, components } = await documentOf(app));
    kinds = callerKinds(app, mailbox);
  });
  afterAll(() => app.close());

  const person = async (transport: Transport = 'bearer', roles?: Role[]) =>
    loggedIn(app, await createUser(app, roles), transport);
  /** An API key has no transport. */
  const transportsOf = ({ scopes }: CallerKind) => (scopes ? TRANSPORTS.slice(0, 1) : TRANSPORTS);
  const isForAdmins = (operation: Operation) => operation['x-roles']?.includes('admin') ?? false;
  const isPublic = (operation: Operation) => operation['x-tier'] === 'public';
  const isForMachines = (operation: Operation) => operation['x-machines-only'] ?? false;
  const guarded = () => operations.filter((operation) => !isPublic(operation));
  const cook = (operation: Operation, owner: TestUser) =>
    recipeOf(operation).cook({ owner, mailbox, clock: app.clock });

  async function send(
    operation: Operation,
    client: Client,
    { parameters = {}, headers, body }: Example,
    { inUrl }: Pick<CallerKind, 'inUrl'> = {},
  ): Promise<Answer> {
    const { accessToken } = client;
    const query = inUrl ? `access_token=${accessToken}&token=${accessToken}` : '';
    const sender = inUrl ? app.client() : client.copy();
    const url = urlOf(operation, parameters, query);
    const answer = await sender.request(operation.method, url, { headers, body });
    answers.push({ operation, answer });
    return answer;
  }
  const outcomeOf = ({ status, body }: Answer): string =>
    status < 300 ? 'accepted' : ((body?.code as string) ?? String(status));

  it('has an example request where it needs one', () => {
    expect(gapsIn(operations)).toEqual([]);
    const [withBody] = operations.filter(bodySchemaOf);
    expect(gapsIn([...operations, { ...withBody!, name: 'POST /v1/new' }])).toEqual([
      "add 'POST /v1/new' to the RECIPES of its feature: an example of a successful request",
    ]);
    expect([...new Set(operations.map((operation) => operation['x-tier']))].sort()).toEqual(
      [...TIERS].sort(),
    );
  });

  it('that reads or removes a thing is called with a thing that its example makes first, as CONTRIBUTING.md says', () => {
    const things = operations.filter(({ path }) => path === '/v1/things/{id}');
    expect(things.map((operation) => `${operation['x-tier']} ${operation.method}`).sort()).toEqual([
      'access GET',
      'session DELETE',
    ]);
  });

  it('does its work, on both transports, and answers only with documented fields [AZ-03, OPS-02]', async () => {
    const secrets = await app.query<{ table: string; column: string }>(
      `select table_name as table, column_name as column from information_schema.columns
       where table_schema = 'public' and column_name ~ 'hash|digest|nonce|secret|pepper'`,
    );
    expect(secrets.length).toBeGreaterThan(3);
    const texts: string[] = [];
    for (const operation of operations) {
      for (const transport of TRANSPORTS) {
        const owner = await person(isPublic(operation) || isForAdmins(operation) ? 'bearer' : transport);
        const caller = isForMachines(operation)
          ? await machineOf(app, await person('bearer', ['user', 'admin']), { scopes: FEED_SCOPES })
          : isForAdmins(operation)
            ? await person(transport, ['user', 'admin'])
            : owner;
        const example = await cook(operation, owner);
        const answer = await send(operation, isPublic(operation) ? app.client() : caller, example);
        const { name } = operation;
        const wanted = recipeOf(operation).answers ?? 'accepted';
        expect({ name, transport, outcome: outcomeOf(answer) }).toEqual({ name, transport, outcome: wanted });
        expect({ name, transport, undocumented: undocumented(operation, answer, components) }).toEqual({
          name,
          transport,
          undocumented: [],
        });
        texts.push(answer.text);
      }
    }
    const said = texts.join('\n');
    expect(said).not.toMatch(/argon2/);
    for (const { table, column } of secrets) {
      const rows = await app.query<{ hex: string; base64: string; text: string }>(
        `select encode(value, 'hex') as hex, encode(value, 'base64') as base64, convert_from(value, 'LATIN1') as text
         from (select convert_to(${column}::text, 'UTF8') as value from ${table} where ${column} is not null) s`,
      );
      for (const { hex, base64, text } of rows) {
        const spellings = [
          hex,
          base64,
          text.replace(/^\\x/, ''),
          Buffer.from(text.slice(2), 'hex').toString('base64url'),
        ];
        for (const secret of spellings.filter(({ length }) => length > 8))
          expect({ table, column, isTold: said.includes(secret) }).toEqual({ table, column, isTold: false });
      }
    }
  });

  it('refuses every caller outside its declarations, and a refusal changes nothing [AZ-01, SES-15, TOK-18, TOK-19, TOK-21, ADM-02]', async () => {
    const targets = new Map<Operation, Example>();
    for (const operation of operations) targets.set(operation, await cook(operation, await person()));
    const callers: [string, CallerKind, Client][] = [];
    for (const [name, kind] of Object.entries(kinds)) {
      for (const transport of transportsOf(kind))
        callers.push([`${name} (${transport})`, kind, await kind.make(transport)]);
    }
    const before = await everythingStored(app);
    let refusals = 0;
    for (const operation of operations) {
      for (const [caller, kind, client] of callers) {
        const wanted = promised(operation, kind);
        if (wanted === 'accepted') continue;
        const answer = await send(operation, client, targets.get(operation)!, kind);
        expect({ operation: operation.name, caller, outcome: outcomeOf(answer) }).toEqual({
          operation: operation.name,
          caller,
          outcome: wanted,
        });
        expect(answer.setCookies).toEqual([]);
        refusals += 1;
      }
    }
    expect(await everythingStored(app)).toEqual(before);
    expect(refusals).toBeGreaterThan(operations.length * 20);
  });

  it('accepts every caller within its declarations [AZ-01, SES-15, ADM-02]', async () => {
    for (const [name, kind] of Object.entries(kinds)) {
      for (const transport of transportsOf(kind)) {
        let reader: Caller | undefined;
        const readersFirst = [...operations].sort((a, b) => Number(isUnsafe(a)) - Number(isUnsafe(b)));
        for (const operation of readersFirst) {
          if (promised(operation, kind) !== 'accepted') continue;
          const caller = { operation: operation.name, caller: `${name} (${transport})` };
          if (isPublic(operation) && bodySchemaOf(operation)) {
            // Its answer depends on its input, not on the caller.
            const answer = await send(operation, (reader ??= await kind.make(transport)), {
              parameters: unknownParameters(operation),
              body: { nonsense: true },
            });
            expect({ ...caller, outcome: outcomeOf(answer) }).toEqual({
              ...caller,
              outcome: 'request.invalid',
            });
            continue;
          }
          const client = isUnsafe(operation)
            ? await kind.make(transport)
            : (reader ??= await kind.make(transport));
          const owner = (!isForAdmins(operation) && ownerBehind(client)) || (await person());
          const answer = await send(operation, client, await cook(operation, owner), kind);
          const wanted = recipeOf(operation).answers ?? 'accepted';
          expect({ ...caller, outcome: outcomeOf(answer) }).toEqual({ ...caller, outcome: wanted });
        }
      }
    }
  });

  it('of the strict tier and for roles asks PostgreSQL, where one of the session tier may use the cache [SES-08]', async () => {
    const client = await person('bearer', ['user', 'admin']);
    const other = await person();
    const readers = guarded().filter(
      (operation) =>
        !isUnsafe(operation) &&
        !isForMachines(operation) &&
        operation['x-tier'] !== 'fresh' &&
        !recipeOf(operation).answers,
    );
    expect(readers.some(isForAdmins)).toBe(true);
    // Once: an example may act as the owner first, whose session is about to end.
    const examples = new Map<Operation, Example>();
    for (const operation of readers)
      examples.set(operation, await cook(operation, isForAdmins(operation) ? other : client));
    const outcomes = async () =>
      Object.fromEntries(
        await Promise.all(
          readers.map(async (operation) => [
            operation.name,
            outcomeOf(await send(operation, client, examples.get(operation)!)),
          ]),
        ),
      );
    await outcomes();
    await app.query(
      `update sessions set status = 'ended', end_reason = 'admin', ended_at = now() where id = $1`,
      [client.id],
    );
    expect(await outcomes()).toEqual(
      Object.fromEntries(
        readers.map((operation) => [
          operation.name,
          operation['x-tier'] === 'strict' || isForAdmins(operation) ? 'auth.session_ended' : 'accepted',
        ]),
      ),
    );
  });

  it("answers for another user's things as for unknown ones [SES-11, AZ-01]", async () => {
    const ofTheCaller = guarded().filter(
      (operation) => parametersIn(operation, 'path').length > 0 && !isForAdmins(operation),
    );
    expect(ofTheCaller.length).toBeGreaterThan(0);
    const said = ({ status, headers, body }: Answer) => {
      const { requestId, instance, ...rest } = body;
      expect(instance).toContain(requestId);
      return { status, headers: { ...headers, 'x-request-id': '', date: '' }, body: rest };
    };
    const admin = await person('bearer', ['user', 'admin']);
    for (const operation of guarded()) {
      if (parametersIn(operation, 'path').length === 0) continue;
      const bob = await person();
      const ofBob = await cook(operation, bob);
      const ofNobody = { ...ofBob, parameters: unknownParameters(operation) };
      const caller = isForAdmins(operation) ? admin : await person();
      const before = await everythingStored(app);
      const unknown = await send(operation, caller, ofNobody);
      expect({ name: operation.name, outcome: outcomeOf(unknown) }).toEqual({
        name: operation.name,
        outcome: 'resource.not_found',
      });
      if (isForAdmins(operation)) continue;
      const foreign = await send(operation, caller, ofBob);
      expect({ name: operation.name, ...said(foreign) }).toEqual({ name: operation.name, ...said(unknown) });
      expect(await everythingStored(app)).toEqual(before);
    }
  });

  it('takes no undocumented field, so that mass assignment is impossible [AZ-02, VAL-01]', async () => {
    for (const operation of operations) {
      const schema = bodySchemaOf(operation);
      if (!schema || schema.type === 'array') continue;
      const owner = await person();
      const caller = isForAdmins(operation) ? await person('bearer', ['user', 'admin']) : owner;
      const example = await cook(operation, owner);
      const before = await everythingStored(app);
      for (const [field, value] of Object.entries(FORBIDDEN)) {
        if (schema.properties && field in schema.properties) continue;
        const body = { ...example.body, [field]: value };
        const answer = await send(operation, isPublic(operation) ? app.client() : caller, {
          ...example,
          body,
        });
        expect({ name: operation.name, field, ...answer }).toMatchObject({
          name: operation.name,
          field,
          status: 400,
          body: {
            code: 'request.invalid',
            errors: expect.arrayContaining([{ path: field, message: 'is not a known field' }]),
          },
        });
      }
      expect(await everythingStored(app)).toEqual(before);
    }
  });

  it('is not opened by another spelling of its path, nor by HEAD [AZ-04]', async () => {
    const user = await person();
    const owners = new Map<Operation, string>();
    for (const operation of guarded())
      owners.set(operation, urlOf(operation, (await cook(operation, await person())).parameters ?? {}));
    const before = await everythingStored(app);
    for (const operation of guarded()) {
      const path = owners.get(operation)!;
      const methods = operation.method === 'GET' ? (['GET', 'HEAD'] as const) : ([operation.method] as const);
      const outsiders = isForAdmins(operation) ? [app.client(), user] : [app.client()];
      for (const [who, client] of outsiders.entries()) {
        for (const method of methods) {
          for (const spelling of [path, ...SPELLINGS.map((spell) => spell(path))]) {
            const { status, headers } = await client.copy().request(method, spelling);
            const where = { method, spelling, who };
            expect({ ...where, status, isRefused: [400, 401, 403, 404, 405].includes(status) }).toEqual({
              ...where,
              status,
              isRefused: true,
            });
            expect(headers).toMatchObject({
              'cache-control': 'no-store',
              'x-content-type-options': 'nosniff',
            });
            if (spelling === path)
              expect({ ...where, status }).toEqual({ ...where, status: who ? 403 : 401 });
          }
        }
      }
    }
    expect(await everythingStored(app)).toEqual(before);
  });

  it('has given only documented answers in these tests [AZ-01, HTTP-05]', () => {
    expect(answers.length).toBeGreaterThan(operations.length * 20);
    const faults = answers.flatMap(({ operation, answer }) =>
      undocumented(operation, answer, components).map((fault) => `${operation.name}: ${fault}`),
    );
    expect([...new Set(faults)]).toEqual([]);
  });
});
