import type { TestApp } from './app.js';
import type { Answer } from './client.js';
import { mintTokenId } from '../../src/sessions/token-id.js';

/** A schema of our document, as {@link simple} writes it. */
export interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  pattern?: string;
  enum?: unknown[];
  example?: unknown;
  nullable?: boolean;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  maxItems?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
}

export const TIERS = ['public', 'access', 'session', 'fresh', 'strict'] as const;

export interface Operation {
  /** As in `GET /v1/admin/users/{id}` */
  name: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  'x-tier': (typeof TIERS)[number];
  'x-roles'?: string[];
  'x-scope'?: string;
  'x-apps'?: boolean;
  'x-machines-only'?: boolean;
  'x-problems': string[];
  operationId: string;
  summary?: string;
  description?: string;
  security?: object[];
  parameters?: { name: string; in: 'path' | 'query' | 'header'; required?: boolean; schema: Schema }[];
  requestBody?: { required?: boolean; content: { 'application/json': Media } };
  responses: Record<string, { description?: string; headers?: object; content?: Record<string, Media> }>;
}

/** A body, with one example or with named ones. */
export interface Media {
  schema: Schema;
  example?: unknown;
  examples?: Record<string, { value?: unknown; $ref?: string }>;
}

export interface ApiDocument {
  /** The document as it is served. */
  source: Record<string, unknown>;
  components: {
    schemas: Record<string, Schema>;
    securitySchemes: object;
    examples: Record<string, { summary: string; description: string; value: Record<string, unknown> }>;
  };
  operations: Operation[];
}

/** The content of `/openapi.json`; the application needs `API_DOCS=true`. */
export async function documentOf(app: Pick<TestApp, 'client'>): Promise<ApiDocument> {
  const { status, body } = await app.client().get('/openapi.json');
  if (status !== 200) throw new Error('this application shows no document: start it with API_DOCS=true');
  const document = simple(body) as { components: ApiDocument['components']; paths: object };
  const operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([verb, operation]) => {
        const method = verb.toUpperCase() as Operation['method'];
        return { ...operation, method, path, name: `${method} ${path}` };
      }),
  );
  return { source: body, components: document.components, operations };
}

/**
 * Replaces what JSON Schema writes in more than one way, so that tests read one: a nullable type, a limit that is
 * excluded, a constant, an example.
 */
function simple(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(simple);
  if (typeof value !== 'object' || value === null) return value;
  const { type, anyOf, exclusiveMinimum, const: only, ...rest } = value as Record<string, unknown>;
  const variants = (Array.isArray(anyOf) ? anyOf : []) as Schema[];
  const others = variants.filter((variant) => variant.type !== 'null');
  const types = [type ?? []].flat().filter((each) => each !== 'null');
  const isNullable = others.length < variants.length || (Array.isArray(type) && types.length < type.length);
  return {
    ...mapValues(rest, simple),
    ...(others.length === 1 && (simple(others[0]) as Schema)),
    ...(others.length > 1 && { anyOf: others.map(simple) }),
    ...(type !== undefined && { type: isNullable ? types[0] : simple(type) }),
    ...(exclusiveMinimum !== undefined && { minimum: Number(exclusiveMinimum) + 1 }),
    ...(only !== undefined && { enum: [only] }),
    ...(isNullable && { nullable: true }),
  };
}

const mapValues = (object: object, change: (value: unknown) => unknown) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

/** The examples of a body: the one, or the named ones. */
export const examplesIn = ({ example, examples = {} }: Media): unknown[] => [
  ...(example === undefined ? [] : [example]),
  ...Object.values(examples).map(({ value }) => value),
];

export const isUnsafe = ({ method }: Operation): boolean => method !== 'GET';
export const bodySchemaOf = ({ requestBody }: Operation): Schema | undefined =>
  requestBody?.content['application/json'].schema;
export const parametersIn = (operation: Operation, place: 'path' | 'query' | 'header') =>
  (operation.parameters ?? []).filter((parameter) => parameter.in === place);

export const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';
/** Well-formed values without a matching object: for path parameters that are no UUIDs. */
const UNKNOWN: Record<string, string> = {
  seq: '999999',
  jti: mintTokenId(UNKNOWN_ID),
  uid: 'never-begun-'.padEnd(43, '0'),
  provider: 'unknown',
};

/** Well-formed values for the operation's path parameters, without a matching object. */
export function unknownParameters(operation: Operation): Record<string, string> {
  return Object.fromEntries(
    parametersIn(operation, 'path').map(({ name, schema }) => {
      const value = schema.format === 'uuid' ? UNKNOWN_ID : UNKNOWN[name];
      if (!value)
        throw new Error(
          `${operation.name}: give {${name}} a value without a matching object, in UNKNOWN of ${import.meta.filename}`,
        );
      return [name, value];
    }),
  );
}

export function urlOf({ path }: Operation, parameters: Record<string, string>, query = ''): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => parameters[name] ?? '') + (query && `?${query}`);
}

/**
 * The differences between a value and its schema, path by path: another type, an undocumented key, a missing key.
 * An empty schema allows anything.
 */
export function differences(
  value: unknown,
  schema: Schema,
  components: ApiDocument['components'],
  path = '',
): string[] {
  const { $ref } = schema;
  if ($ref) return differences(value, components.schemas[$ref.split('/').at(-1)!]!, components, path);
  if (value === null && schema.nullable) return [];
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants) {
    const found = variants.map((variant) => differences(value, variant, components, path));
    return found.some((each) => each.length === 0) ? [] : found.flat();
  }
  if (schema.type && !TYPES[schema.type]!(value)) return [`${path} is no ${schema.type}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${path} is none of its values`];
  if (schema.pattern && !new RegExp(schema.pattern, 'u').test(String(value)))
    return [`${path} does not match its pattern`];
  if (Array.isArray(value))
    return value.flatMap((item) => differences(item, schema.items ?? {}, components, `${path}[]`));
  if (typeof value !== 'object' || value === null || !schema.type) return [];
  const { properties = {}, required = [], additionalProperties = true } = schema;
  const missing = required.filter((key) => !(key in value)).map((key) => `${path}.${key} is missing`);
  const others = Object.entries(value).flatMap(([key, member]) => {
    const known = properties[key] ?? (typeof additionalProperties === 'object' && additionalProperties);
    if (known) return differences(member, known, components, `${path}.${key}`);
    return additionalProperties === true ? [] : [`${path}.${key} is not documented`];
  });
  return [...missing, ...others];
}

/** The undocumented parts of an answer: its status, its shape, its problem. */
export function undocumented(
  { responses, 'x-problems': problems }: Operation,
  { status, headers, body, text }: Pick<Answer, 'status' | 'headers' | 'body' | 'text'>,
  components: ApiDocument['components'],
): string[] {
  const known = responses[status];
  if (!known) return [`${status} is no answer of it: ${text}`];
  const [type, { schema }] = Object.entries(known.content ?? {})[0] ?? ['', { schema: undefined }];
  if (!schema) return text === '' ? [] : ['there is a body'];
  const found = differences(body ?? text, schema, components);
  if (!String(headers['content-type']).startsWith(type)) found.push(`it is no ${type}`);
  if (status < 400 || type === 'application/json') return found;
  return problems.includes(body?.code) ? found : [...found, `${body?.code} is none of its problems`];
}

const TYPES: Record<string, (value: unknown) => boolean> = {
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  integer: Number.isInteger,
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
};
