/**
 * Writes src/api-types.ts from the OpenAPI document of a running server. `npm run client:types` asks the one on `PORT`
 * (3000), `npm run client:types -- http://localhost:4100` another one. A test fails when the file is out of date. It
 * handles the plain schemas of our document and refuses others.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';

export const TYPES_FILE = fileURLToPath(new URL('src/api-types.ts', import.meta.url));
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/** @param {any} document OpenAPI 3.1 @returns {Promise<string>} a TypeScript module, formatted */
export async function generateTypes(document) {
  const schemas = Object.entries(document.components.schemas).map(([name, schema]) => declare(name, schema));
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => describe(method, path, item[method])),
  );
  const text = [
    '/* Generated from the OpenAPI document by `npm run client:types`; do not edit. */',
    ...schemas,
    `/** What each operation takes as its body, and what it answers when it succeeds. */
    export interface Operations {\n${operations.join('\n')}\n}`,
  ].join('\n\n');
  return prettier.format(text, { ...(await prettier.resolveConfig(TYPES_FILE)), parser: 'typescript' });
}

function declare(name, schema) {
  return schema.type === 'object' && schema.properties && !isOpen(schema)
    ? `export interface ${name} ${typeOf(schema)}`
    : `export type ${name} = ${typeOf(schema)};`;
}

function describe(method, path, { requestBody, responses }) {
  const answers = Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .map(([, { content }]) => (content ? typeOf(Object.values(content)[0].schema) : 'undefined'));
  const body = requestBody ? typeOf(requestBody.content['application/json'].schema) : 'undefined';
  const optional = requestBody && !requestBody.required ? ' | undefined' : '';
  const name = `'${method.toUpperCase()} ${path}'`;
  return `${name}: { body: ${body}${optional}; answer: ${[...new Set(answers)].join(' | ')} };`;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.replace('#/components/schemas/', '');
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants) return variants.map(typeOf).join(' | ');
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  return [schema.type]
    .flat()
    .map((type) => plainTypeOf({ ...schema, type }))
    .join(' | ');
}

function plainTypeOf(schema) {
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'integer':
    case 'number':
      return 'number';
    case 'array':
      return `(${typeOf(schema.items)})[]`;
    case 'object':
      return objectOf(schema);
    default:
      throw new Error(`no type for ${JSON.stringify(schema)}`);
  }
}

const isOpen = ({ additionalProperties }) => typeof additionalProperties === 'object';

function objectOf(schema) {
  const { properties = {}, required = [], additionalProperties } = schema;
  const fields = Object.entries(properties).map(([name, property]) => {
    const description = property.description ?? property.anyOf?.[0].description;
    const note = description ? `/** ${description} */\n` : '';
    return `${note}${name}${required.includes(name) ? '' : '?'}: ${typeOf(property)};`;
  });
  if (!isOpen(schema)) return `{\n${fields.join('\n')}\n}`;
  const others = `Record<string, ${additionalProperties.type ? typeOf(additionalProperties) : 'unknown'}>`;
  return fields.length > 0 ? `{\n${fields.join('\n')}\n} & ${others}` : others;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const origin = process.argv[2] ?? `http://localhost:${process.env.PORT ?? 3000}`;
  const url = new URL('/openapi.json', origin);
  const response = await fetch(url).catch(() => undefined);
  if (response?.ok) writeFileSync(TYPES_FILE, await generateTypes(await response.json()));
  else {
    console.error(
      `${url} ${response ? `answers ${response.status}` : 'does not answer'}: start the application with npm start.`,
    );
    process.exitCode = 1;
  }
}
