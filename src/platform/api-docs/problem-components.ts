import { z } from 'zod';
import { Problem, PROBLEMS, type ProblemCode } from '../api/problem.js';
import { instant } from '../api/schemas.js';

const REQUEST_ID = '7d4f1c52-3b0e-4d6a-9c1f-2f6a0e7b9d11';

/** Members that the answers of these codes have beside those of every problem. */
const MEMBERS: Partial<Record<ProblemCode, object>> = {
  'request.invalid': { errors: [{ path: 'displayName', message: 'must not be empty' }] },
  'auth.session_ended': { reason: 'admin', endedAt: '2026-01-31T12:00:00.000Z' },
  'auth.reauthentication_required': { maxAuthAge: 300 },
  'auth.insufficient_scope': { scope: 'payments:write' },
};

/**
 * The schema of every problem. A problem may have more members (RFC 9457 3.2): a client ignores members that it does
 * not know. A function, because features define codes after this module has loaded.
 *
 * @param endReasons the values of `reason`
 */
export const problemSchema = (endReasons: readonly string[]) =>
  z.looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.enum(PROBLEMS.names()),
    requestId: z.string(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe('`request.invalid`'),
    reason: z.enum(endReasons).optional().describe('`auth.session_ended`; so is `endedAt`'),
    endedAt: instant.optional(),
    maxAuthAge: z.int().optional().describe('`auth.reauthentication_required`: seconds'),
    bySecondFactor: z
      .boolean()
      .optional()
      .describe('`auth.reauthentication_required`: a password is not accepted, ask for a code'),
    deviceKey: z
      .literal('unproven')
      .optional()
      .describe(
        '`auth.reauthentication_required`: the session is bound to a device key, whose proof is missing',
      ),
  });

/** Each problem once, by its code: the title, what the client does next, and an answer. */
export function problemExamples(): Record<string, { summary: string; description: string; value: object }> {
  const examples = PROBLEMS.names().map((name) => {
    const code = name as ProblemCode;
    const [, title, detail] = PROBLEMS.get(code);
    const value = new Problem(code, { members: { ...MEMBERS[code] } }).body(REQUEST_ID);
    return [code, { summary: `${code}: ${title}`, description: detail, value }] as const;
  });
  return Object.fromEntries(examples);
}

const RETRY_AFTER = { 'Retry-After': { description: 'seconds', schema: { type: 'integer' } } } as const;
const field = (description: string) => ({ description, schema: { type: 'string' } }) as const;
/** Headers that tell a client how long to wait. */
const HEADERS: Partial<
  Record<number, Record<string, { description: string; schema: { type: 'integer' | 'string' } }>>
> = {
  429: {
    ...RETRY_AFTER,
    'RateLimit-Policy': field('the name of the limit that was exceeded: `q` requests in `w` seconds'),
    RateLimit: field('the requests left of that limit (`r`) and the seconds until it resets (`t`)'),
  },
  503: RETRY_AFTER,
};

/** The response of one status. It names the codes, whose texts the components of the document have once. */
export function problemResponse(status: number, codes: readonly ProblemCode[]) {
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    ...(HEADERS[status] && { headers: HEADERS[status] }),
    content: {
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
    },
  };
}
