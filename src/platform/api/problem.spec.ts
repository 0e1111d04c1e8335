import { describe, expect, it, jest } from '@jest/globals';
import { HttpException } from '@nestjs/common';
import { pino } from 'pino';
import { ProblemFilter, type ProblemTranslator } from './problem.filter.js';
import { Problem, PROBLEMS, type ProblemCode } from './problem.js';
import { PRODUCT } from '../../product.js';

const CODES = PROBLEMS.names() as ProblemCode[];

/** The codes that clients depend on. A change here breaks them. */
const CONTRACT = {
  'request.invalid': 400,
  'auth.ambiguous_credentials': 400,
  'auth.unauthenticated': 401,
  'auth.invalid_token': 401,
  'auth.token_expired': 401,
  'auth.session_ended': 401,
  'auth.invalid_credentials': 401,
  'auth.reauthentication_required': 401,
  'auth.forbidden': 403,
  'request.cross_site': 403,
  'resource.not_found': 404,
  'request.method': 405,
  'resource.conflict': 409,
  'request.too_large': 413,
  'request.media_type': 415,
  'request.rate_limited': 429,
  'auth.unavailable': 503,
};

describe('The catalogue of problems', () => {
  it('The catalogue keeps every code that clients know, with its status', () => {
    const known = Object.fromEntries(CODES.map((code) => [code, PROBLEMS.get(code)[0]]));
    expect(known).toMatchObject(CONTRACT);
  });

  it.each(CODES)('Problem %s has every member of RFC 9457 and our own [HTTP-05]', (code) => {
    const problem = new Problem(code);
    expect(problem.body('4f1c')).toEqual({
      type: PRODUCT.problemUrn + code,
      title: expect.stringMatching(/\S/),
      status: problem.status,
      detail: expect.stringMatching(/\S/),
      instance: 'urn:uuid:4f1c',
      code,
      requestId: '4f1c',
    });
  });

  it.each(CODES.filter((code) => PROBLEMS.get(code)[0] === 401))(
    'Problem %s says how to authenticate',
    (code) => {
      expect(new Problem(code).headers['www-authenticate']).toMatch(/^(Bearer|DPoP)\b/);
    },
  );

  it('The WWW-Authenticate header names an error only if the request had a token (RFC 6750 3.1) [TOK-17]', () => {
    expect(new Problem('auth.unauthenticated').headers['www-authenticate']).toBe('Bearer');
    expect(new Problem('auth.invalid_token').headers['www-authenticate']).toBe(
      'Bearer error="invalid_token"',
    );
  });

  it('Problem auth.unavailable has a Retry-After header, and a caller may set a better value', () => {
    expect(new Problem('auth.unavailable').headers['retry-after']).toMatch(/^\d+$/);
    const headers = { 'retry-after': '30' };
    expect(new Problem('auth.unavailable', { headers }).headers['retry-after']).toBe('30');
  });
});

describe('An error that leaves the server', () => {
  const SECRET = 'password=hunter2 at /srv/app.js:12';

  function answerTo(error: unknown, translators: ProblemTranslator[] = [], methods: string[] = []) {
    const lines: string[] = [];
    const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
    const sent = { status: 0, headers: {} as Record<string, string>, text: '' };
    const reply = {
      sent: false,
      raw: { headersSent: false },
      status: (status: number) => ((sent.status = status), reply),
      headers: (headers: Record<string, string>) => (Object.assign(sent.headers, headers), reply),
      header: (name: string, value: string) => ((sent.headers[name] = value), reply),
      send: jest.fn((text: string) => ((sent.text = text), reply)),
    };
    const filter = new ProblemFilter(logger, translators, () => methods);
    filter.answer(error, { id: 'request-1', url: '/v1/x' } as never, reply as never);
    return { ...sent, body: JSON.parse(sent.text) as Record<string, unknown>, log: lines.join('') };
  }

  it.each([
    ['an error', new Error(SECRET)],
    ['a text', SECRET],
    ['null', null],
    ['undefined', undefined],
    ['an object without a prototype', Object.assign(Object.create(null) as object, { message: SECRET })],
    ['a status that is no number', Object.assign(new Error(SECRET), { statusCode: '400' })],
    ['a status that is no error', Object.assign(new Error(SECRET), { statusCode: 200 })],
    ['an unknown exception of the framework', new HttpException(SECRET, 500)],
    ['a problem with a cause', new Problem('internal.error', { cause: new Error(SECRET) })],
  ])('An unexpected error (%s) reveals nothing to the client and is logged', (_kind, error) => {
    const { status, text, headers, body, log } = answerTo(error);
    expect({ status, code: body['code'] }).toEqual({ status: 500, code: 'internal.error' });
    expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(text).not.toMatch(/hunter2|app\.js/);
    expect(log).toContain('"requestId":"request-1"');
  });

  it.each([
    [400, 'request.invalid'],
    [401, 'auth.unauthenticated'],
    [403, 'auth.forbidden'],
    [404, 'resource.not_found'],
    [409, 'resource.conflict'],
    [413, 'request.too_large'],
    [415, 'request.media_type'],
    [429, 'request.rate_limited'],
    [503, 'auth.unavailable'],
    [418, 'request.invalid'],
    [502, 'internal.error'],
  ])('A framework error with status %i is answered as %s, without its text', (thrown, code) => {
    for (const error of [
      new HttpException(SECRET, thrown),
      Object.assign(new Error(SECRET), { statusCode: thrown }),
    ]) {
      const { status, text, body } = answerTo(error);
      expect(body['code']).toBe(code);
      expect(status).toBe(PROBLEMS.get(code)[0]);
      expect(text).not.toContain('hunter2');
    }
  });

  it('An unknown method is answered with the allowed ones, and a missing resource with 404', () => {
    const unknownRoute = new HttpException('Cannot PUT /v1/x', 404);
    const methods = ['GET', 'HEAD'];
    expect(answerTo(unknownRoute, [], methods)).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
    expect(answerTo(new Problem('resource.not_found'), [], methods).status).toBe(404);
  });

  it('An error is answered as the problem of the first translator that knows it', () => {
    const translate = (error: unknown) =>
      (error as Error).message === 'away' ? new Problem('auth.unavailable', { cause: error }) : undefined;
    expect(answerTo(new Error('away'), [() => undefined, translate]).body['code']).toBe('auth.unavailable');
    expect(answerTo(new Error('odd'), [() => undefined, translate]).body['code']).toBe('internal.error');
  });

  it('An error after the start of the answer does not touch that answer', () => {
    const filter = new ProblemFilter(pino({ level: 'silent' }), [], () => []);
    const send = jest.fn();
    filter.answer(new Error(), {} as never, { sent: true, raw: {}, send } as never);
    filter.answer(new Error(), {} as never, { sent: false, raw: { headersSent: true }, send } as never);
    expect(send).not.toHaveBeenCalled();
  });
});
