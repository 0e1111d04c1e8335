import type { OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import { PROBLEM_EXTENSION } from '../api/api-problems.decorator.js';
import { PROBLEMS, type ProblemCode } from '../api/problem.js';
import { exampleOf, named, type Schema, type Schemas } from './example-of.js';
import { problemExamples, problemResponse, problemSchema } from './problem-components.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
type Operation = NonNullable<OpenAPIObject['paths'][string]['get']> & { [extension: `x-${string}`]: unknown };
type Content = Record<string, { schema?: Schema; example?: unknown; examples?: object }>;

/** The problems of a route without a tier decorator: the access tier is the default. */
const ACCESS_PROBLEMS: ProblemCode[] = [
  'auth.unauthenticated',
  'auth.invalid_token',
  'auth.token_expired',
  'auth.session_ended',
  'auth.unavailable',
];
/** The problems that every route may answer. Every route refuses a compressed body. */
const COMMON_PROBLEMS: ProblemCode[] = ['auth.ambiguous_credentials', 'request.media_type', 'internal.error'];
/**
 * The problems that every non-public route may answer: `X-Min-Revocation-Seq` may be malformed, and a session that is bound
 * to a device key may lack its proof, or get it later.
 */
const GUARDED_PROBLEMS: ProblemCode[] = [
  'request.invalid',
  'auth.reauthentication_required',
  'request.rate_limited',
];
/** The problems that every unsafe method may answer: a body is parsed even if the route expects none. */
const UNSAFE_PROBLEMS: ProblemCode[] = ['request.invalid', 'request.too_large', 'request.cross_site'];

export interface DocumentFacts {
  /** The kinds of credentials beside sessions, and which routes with a scope let them in. */
  delegates: readonly {
    readonly securityScheme: { readonly name: string };
    mayCall(route: { apps: boolean }): boolean;
  }[];
  /** The reasons why sessions end. */
  endReasons: readonly string[];
}

/**
 * Adds the facts that no single decorator knows: the default tier, the credentials of a route, all its problems by
 * status, and an example of each request and answer.
 */
export function completeDocument(document: OpenAPIObject, facts: DocumentFacts): OpenAPIObject {
  const { $schema: _dialect, ...problem } = z.toJSONSchema(problemSchema(facts.endReasons));
  const schemas = { ...document.components?.schemas, Problem: problem } as Schemas;
  document.components = {
    ...document.components,
    schemas: schemas as never,
    examples: problemExamples(),
  };
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) {
      const operation = path[method] as Operation | undefined;
      if (!operation) continue;
      // A body of DELETE has no meaning in HTTP (RFC 9110 9.3.5), and many clients cannot send one.
      if (method === 'delete') delete operation.requestBody;
      demandCredentials(operation, facts);
      addProblems(operation, method !== 'get');
      addExamples(operation, schemas);
    }
  }
  return document;
}

function demandCredentials(operation: Operation, { delegates }: DocumentFacts): void {
  if (operation['x-tier'] === undefined) {
    operation['x-tier'] = 'access';
    for (const code of ACCESS_PROBLEMS) operation[`x-problem-${code}`] = true;
  }
  // Set once, even if both the controller and the route require a session.
  if (operation['x-tier'] !== 'public')
    operation.security = operation['x-machines-only'] ? [] : [{ bearer: [] }, { cookie: [] }];
  const scope = operation['x-scope'] as string | undefined;
  if (scope === undefined) return;
  const admitted = delegates.filter((each) => each.mayCall({ apps: operation['x-apps'] === true }));
  // OpenAPI 3.1: for schemes other than OAuth the list names the roles that the operation needs.
  for (const { securityScheme } of admitted) operation.security!.push({ [securityScheme.name]: [scope] });
}

const statusOf = (code: ProblemCode): number => PROBLEMS.get(code)[0];

function addProblems(operation: Operation, isUnsafe: boolean): void {
  const codes = new Set([
    ...takeProblems(operation),
    ...(operation['x-tier'] === 'public' ? [] : GUARDED_PROBLEMS),
    ...(isUnsafe ? UNSAFE_PROBLEMS : []),
    ...COMMON_PROBLEMS,
  ]);
  for (const status of new Set([...codes].map(statusOf))) {
    const ofStatus = [...codes].filter((code) => statusOf(code) === status);
    operation.responses[status] ??= problemResponse(status, ofStatus) as never;
  }
  operation['x-problems'] = [...codes];
}

/** Collects the extensions that `@ApiProblems()` set, and removes them. */
function takeProblems(operation: Operation): ProblemCode[] {
  const keys = Object.keys(operation).filter((key) => key.startsWith(PROBLEM_EXTENSION)) as `x-${string}`[];
  for (const key of keys) delete operation[key];
  return keys.map((key) => key.slice(PROBLEM_EXTENSION.length) as ProblemCode);
}

/** Adds an example of each body, unless a decorator has given one. `test/openapi.spec.ts` names a body without. */
function addExamples({ requestBody, responses }: Operation, schemas: Schemas): void {
  for (const part of [requestBody, ...Object.values(responses)]) {
    const { content = {} } = (part ?? {}) as { content?: Content };
    for (const media of Object.values(content)) {
      if (media.schema === undefined || 'example' in media || 'examples' in media) continue;
      Object.assign(media, examplesOf(media.schema, schemas));
    }
  }
}

/** One example, or one of each variant. */
function examplesOf(schema: Schema, schemas: Schemas): { example?: unknown; examples?: object } {
  const variants = schema.oneOf?.filter(({ $ref }) => $ref !== undefined) ?? [];
  if (variants.length === 0) {
    const example = exampleOf(schema, schemas);
    return example === undefined ? {} : { example };
  }
  const entries = variants.map(({ $ref }) => {
    const value = exampleOf(named($ref!, schemas), schemas);
    return [$ref!.split('/').at(-1)!, { value }] as const;
  });
  return { examples: Object.fromEntries(entries) };
}
