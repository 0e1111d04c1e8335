import type { SwaggerDocumentOptions } from '@nestjs/swagger';
import { z } from 'zod';

/**
 * Converts the schemas of requests and responses to the dialect of OpenAPI 3.1. The default of `@nestjs/swagger` is
 * that of OpenAPI 3.0.
 */
export const convertSchema: SwaggerDocumentOptions['standardSchemaConverter'] = (schema, { schemaType }) => {
  if (!(schema instanceof z.ZodType)) return undefined;
  const {
    $schema: _dialect,
    $defs,
    ...converted
  } = z.toJSONSchema(schema, {
    io: schemaType,
    // zod leaves out the examples of a schema that transforms its input. Ours are examples of the input.
    override: ({ zodSchema, jsonSchema }) => {
      const { examples } = z.globalRegistry.get(zodSchema) ?? {};
      if (examples !== undefined) jsonSchema.examples = examples as unknown[];
    },
  });
  return { schema: converted, components: $defs };
};
