import { z } from 'zod';
import { EXAMPLE_USER } from '../../../platform/api/examples.js';
import { text } from '../../../platform/api/schemas.js';
import { email } from '../../../users/user.schemas.js';

/** A subject identifier (RFC 9493). Other formats are refused. */
const SubjectId = z
  .discriminatedUnion('format', [
    z.strictObject({
      format: z.literal('iss_sub'),
      iss: text({ max: 2_000 }).describe('the issuer of the provider, as in its ID tokens'),
      // OpenID Connect Core 2: at most 255 characters.
      sub: text({ max: 255 }).describe('the user at the provider'),
    }),
    z.strictObject({ format: z.literal('email'), email }),
  ])
  .meta({ examples: [{ format: 'email', email: EXAMPLE_USER.email }] });
export type SubjectId = z.output<typeof SubjectId>;

export const GlobalRevocation = z.strictObject({ sub_id: SubjectId });
export type GlobalRevocation = z.output<typeof GlobalRevocation>;
