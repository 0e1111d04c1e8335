import { EXAMPLE_TIMES, EXAMPLE_USER } from '../api/examples.js';

/** A schema of OpenAPI 3.1, as far as zod writes it. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  exclusiveMinimum?: number;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  /** The examples that `.meta({ examples: [] })` of zod states. Nest keeps the first one, as `example`. */
  examples?: unknown[];
  example?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
}

export type Schemas = Record<string, Schema>;

/** Examples of texts by their format. A text without a format is its own name. */
const FORMATS: Record<string, string> = {
  'date-time': EXAMPLE_TIMES.now,
  uuid: '0f8fad5b-d9cb-469f-a165-70867728950e',
  email: EXAMPLE_USER.email,
  uri: 'https://example.com/',
};

/**
 * Makes an example for a schema. An example that the schema states comes first. Otherwise an object has its required
 * properties, and the optional ones that state an example.
 *
 * @param name of the property, for a text that states no example
 * @returns undefined if a text has a pattern and states no example
 */
export function exampleOf(schema: Schema, schemas: Schemas, name = 'text'): unknown {
  const { $ref, type, anyOf, oneOf } = schema;
  const example = stated(schema);
  if (example !== undefined) return example;
  if ($ref !== undefined) return exampleOf(named($ref, schemas), schemas, name);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const [variant] = anyOf ?? oneOf ?? [];
  if (variant) return exampleOf(variant, schemas, name);
  switch ([type].flat()[0]) {
    case 'object':
      return objectOf(schema, schemas);
    case 'array':
      return arrayOf(schema, schemas, name);
    case 'string':
      return textOf(schema, name);
    case 'integer':
    case 'number':
      return Math.max(schema.minimum ?? 1, (schema.exclusiveMinimum ?? 0) + 1, 1);
    case 'boolean':
      return true;
    default:
      return {};
  }
}

/** The schema that `#/components/schemas/…` names. */
export function named($ref: string, schemas: Schemas): Schema {
  const schema = schemas[$ref.split('/').at(-1)!];
  if (!schema) throw new Error(`${$ref} is not in the document`);
  return schema;
}

function objectOf({ properties = {}, required = [] }: Schema, schemas: Schemas): object | undefined {
  const shown = Object.entries(properties).filter(
    ([name, property]) => required.includes(name) || statesExample(property),
  );
  const entries = shown.map(([name, property]) => [name, exampleOf(property, schemas, name)] as const);
  return entries.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(entries);
}

/** A nullable text with rules is written as a choice between the text and null. */
const statesExample = (schema: Schema): boolean =>
  stated(schema) !== undefined || stated(schema.anyOf?.[0] ?? {}) !== undefined;

const stated = ({ example, examples }: Schema): unknown => example ?? examples?.[0];

function arrayOf({ items = {} }: Schema, schemas: Schemas, name: string): unknown[] | undefined {
  const item = exampleOf(items, schemas, name);
  return item === undefined ? undefined : [item];
}

function textOf(
  { format, pattern, minLength = 0, maxLength = Infinity }: Schema,
  name: string,
): string | undefined {
  const ofFormat = format && FORMATS[format];
  if (ofFormat) return ofFormat;
  if (pattern !== undefined) return undefined;
  return name.padEnd(minLength, '.').slice(0, maxLength);
}
