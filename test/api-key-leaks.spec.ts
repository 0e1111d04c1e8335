import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiKeyFormat } from '../src/auth/api-keys/api-key-format.js';
import { random } from '../src/platform/runtime/random.js';
import { machineOf, type Machine } from './support/api-keys.js';
import { resetStores, startApp, type TestApp } from './support/app.js';
import { SteadyClock } from './support/clock.js';
import { Mailbox } from './support/mailbox.js';
import { createUser, loggedIn, type TestUser } from './support/test-users.js';

const LEAKED = '/v1/api-keys/leaked';
const FLAGS = '/v1/probe/flags';
const SCANNER = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const STRANGER = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/**
 * Real: the application over HTTP, PostgreSQL, the signatures. Ours: the scanner, which does what GitHub documents for its
 * secret-scanning partner programme.
 */
describe('a report of a secret scanner', () => {
  let app: TestApp;
  let mailbox: Mailbox;
  let source: Server;
  let published: { key_identifier: string; key: string; is_current: boolean }[];
  let fetches = 0;
  let owner: TestUser;
  let machine: Machine;
  const clock = new SteadyClock();

  beforeAll(async () => {
    await resetStores();
    published = [
      {
        key_identifier: 'first',
        key: SCANNER.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
        is_current: true,
      },
    ];
    source = createServer((_, response) => {
      fetches += 1;
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ public_keys: published }));
    }).listen(0, '127.0.0.1');
    await once(source, 'listening');
    const { port } = source.address() as AddressInfo;
    app = await startApp({ clock, env: { LEAKED_KEYS_SOURCE: `http://127.0.0.1:${port}/meta` } });
    mailbox = new Mailbox(app);
  });
  afterAll(async () => {
    await app.close();
    source.close();
  });
  beforeEach(async () => {
    owner = await loggedIn(app, await createUser(app));
    machine = await machineOf(app, owner);
    await mailbox.collect();
  });

  const finding = (token: string) => ({
    token,
    type: 'a_key',
    url: 'https://example.com/blob/1',
    source: 'content',
  });
  const report = (
    findings: unknown,
    options: { body?: string; signer?: typeof SCANNER; keyId?: string; signed?: string } = {},
  ) => {
    const { body = JSON.stringify(findings), signer = SCANNER, keyId = 'first' } = options;
    const { signed = body } = options;
    return app.client().request('POST', LEAKED, {
      body,
      headers: {
        'github-public-key-identifier': keyId,
        'github-public-key-signature': sign('sha256', Buffer.from(signed), signer.privateKey).toString(
          'base64',
        ),
      },
    });
  };

  it('ends the keys in it at once, tells the owner, and says which findings are real', async () => {
    expect((await machine.get(FLAGS)).status).toBe(200);
    const invented = app.get(ApiKeyFormat).mint(random.uuidAt(clock.now())).text;
    const wrong = app.get(ApiKeyFormat).mint(machine.keyId).text;
    const answer = await report([finding(machine.apiKey!), finding(invented), finding('x'), finding(wrong)]);
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.body).toEqual([
      { token_raw: machine.apiKey, token_type: 'a_key', label: 'true_positive' },
      { token_raw: invented, token_type: 'a_key', label: 'false_positive' },
      { token_raw: 'x', token_type: 'a_key', label: 'false_positive' },
      { token_raw: wrong, token_type: 'a_key', label: 'false_positive' },
    ]);
    expect(await machine.get(FLAGS)).toMatchObject({ status: 401, body: { code: 'auth.invalid_key' } });
    const [mail, ...others] = await mailbox.collect();
    expect(others).toEqual([]);
    expect(mail).toMatchObject({ to: owner.email, subject: 'One of your API keys was published' });
    expect(mail!.text).not.toContain('https://example.com');
    const { body } = await owner.get('/v1/api-keys');
    expect(body.items).toMatchObject([{ status: 'ended', endReason: 'leaked' }]);
  });

  it('that comes twice gets the same answer, and the owner one mail', async () => {
    const first = await report([finding(machine.apiKey!)]);
    const second = await report([finding(machine.apiKey!)]);
    expect(second.body).toEqual(first.body);
    expect(await mailbox.collect()).toHaveLength(1);
  });

  it('with the secret before a rotation ends the key while that secret is accepted', async () => {
    const { body } = await owner.post(`/v1/api-keys/${machine.keyId}/rotate`, { overlapSeconds: 60 });
    expect((await report([finding(machine.apiKey!)])).body[0].label).toBe('true_positive');
    machine.apiKey = body.key;
    expect((await machine.get(FLAGS)).status).toBe(401);
  });

  it('is refused unless the scanner has signed exactly these bytes, and ends nothing', async () => {
    const findings = [finding(machine.apiKey!)];
    const right = JSON.stringify(findings);
    const refusals = [
      await report(findings, { signer: STRANGER }),
      await report(findings, { signed: `${right} ` }),
      await report(findings, { body: ` ${right}`, signed: right }),
      await report(findings, { keyId: 'another' }),
      await app.client().request('POST', LEAKED, {
        body: findings,
        headers: { 'github-public-key-identifier': 'first', 'github-public-key-signature': 'x' },
      }),
    ];
    for (const answer of refusals)
      expect(answer).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
    expect(await app.client().post(LEAKED, findings)).toMatchObject({
      status: 401,
      body: { code: 'auth.unauthenticated' },
    });
    expect((await machine.get(FLAGS)).status).toBe(200);
  });

  it('by a new key of the scanner makes the instance fetch the keys, at most once a minute', async () => {
    await report([]);
    const before = fetches;
    for (let count = 0; count < 5; count++) await report([], { keyId: 'second', signer: STRANGER });
    expect(fetches - before).toBeLessThanOrEqual(1);
    published.push({
      key_identifier: 'second',
      key: STRANGER.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      is_current: true,
    });
    clock.advanceSteadily(60_001);
    expect(await report([], { keyId: 'second', signer: STRANGER })).toMatchObject({ status: 200, body: [] });
  });

  it.each([
    ['no list', {}],
    ['a finding without a token', [{ type: 'x' }]],
    ['a token of 501 characters', [{ token: 'x'.repeat(501), type: 'x' }]],
    ['1,001 findings', Array.from({ length: 1_001 }, () => ({ token: 'x', type: 'x' }))],
  ])('with %s is refused as invalid', async (_, findings) => {
    expect(await report(findings)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
  });

  it('of 1,000 findings, which is longer than other bodies may be, is answered', async () => {
    const findings = Array.from({ length: 1_000 }, () => finding('x'.repeat(100)));
    expect((await report(findings)).body).toHaveLength(1_000);
  });
});

/** Real: the application over HTTP, PostgreSQL. */
describe('a report of a secret scanner is refused', () => {
  const reportTo = async (env: Record<string, string>) => {
    const app = await startApp({ env });
    try {
      return await app.client().request('POST', LEAKED, {
        body: [],
        headers: { 'github-public-key-identifier': 'first', 'github-public-key-signature': 'x' },
      });
    } finally {
      await app.close();
    }
  };

  beforeAll(() => resetStores());

  it('with 404 where no scanner is configured', async () => {
    expect(await reportTo({})).toMatchObject({ status: 404, body: { code: 'resource.not_found' } });
  });

  it('while the keys of the scanner cannot be fetched', async () => {
    const answer = await reportTo({ LEAKED_KEYS_SOURCE: 'http://127.0.0.1:1/meta' });
    expect(answer).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
  });
});
