import { describe, expect, it } from '@jest/globals';
import { exampleOf } from './example-of.js';

describe('an example of a schema', () => {
  it('is missing for a text with a pattern that states no example, because a made-up text would be refused', () => {
    const code = { type: 'string', pattern: '^[0-9]{6}$' };
    const body = { type: 'object', properties: { code }, required: ['code'] };
    expect(exampleOf(code, {}, 'code')).toBeUndefined();
    expect(exampleOf(body, {})).toBeUndefined();
    expect(exampleOf({ ...body, properties: { code: { ...code, examples: ['123456'] } } }, {})).toEqual({
      code: '123456',
    });
  });

  it('has the required properties, and the optional ones that state an example', () => {
    const properties = {
      name: { type: 'string', minLength: 6 },
      note: { type: 'string' },
      place: { anyOf: [{ type: 'string', examples: ['Bern'] }, { type: 'null' }] },
      count: { type: 'integer', exclusiveMinimum: 4 },
    };
    const schema = { type: 'object', properties, required: ['name', 'count'] };
    expect(exampleOf(schema, {})).toEqual({ name: 'name..', place: 'Bern', count: 5 });
  });
});
