import { z } from 'zod';
import { instant, text, uuid } from '../../platform/api/schemas.js';
import { PasskeyAssertion, PasskeyAttestation, PasskeyRequestOptions } from './webauthn/webauthn.schemas.js';
import type { Passkey } from './passkey.repository.js';
import { deviceName } from '../../sessions/devices/device.schemas.js';
import { TRANSPORTS } from '../../sessions/session.entity.js';

const passkeyName = text({ max: 100 }).meta({ examples: ['My phone'] });

export const PasskeyEnrolment = z.strictObject({
  response: PasskeyAttestation,
  name: passkeyName.optional(),
});
export type PasskeyEnrolment = z.infer<typeof PasskeyEnrolment>;

export const PasskeyChanges = z.strictObject({ name: passkeyName });
export type PasskeyChanges = z.infer<typeof PasskeyChanges>;

export const PasskeyLogin = z.strictObject({
  challengeToken: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/, 'must be the `challengeToken` of the options')
    .meta({
      description: 'the `challengeToken` of the options',
      examples: ['the-challenge-token-of-the-options'.padEnd(43, '-')],
    }),
  response: PasskeyAssertion,
  transport: z.enum(TRANSPORTS).default('cookie'),
  deviceName: deviceName.optional(),
});
export type PasskeyLogin = z.infer<typeof PasskeyLogin>;

export const PasskeyStepUp = z.strictObject({ response: PasskeyAssertion });
export type PasskeyStepUp = z.infer<typeof PasskeyStepUp>;

export const PasskeyLoginOptions = PasskeyRequestOptions.extend({
  challengeToken: z.string().describe('send it back with the answer, and to no other endpoint'),
}).meta({ id: 'PasskeyLoginOptions' });
export type PasskeyLoginOptions = z.infer<typeof PasskeyLoginOptions>;

export const PasskeyView = z
  .object({
    id: uuid,
    name: z.string().meta({ examples: ['My phone'] }),
    credentialId: z
      .string()
      .describe('the id that the authenticator uses, in base64url')
      .meta({ examples: ['AAECAwQFBgcICQoLDA0ODw'] }),
    aaguid: uuid.optional().describe('the model of the authenticator, if it tells it'),
    transports: z.array(z.string().meta({ examples: ['internal'] })),
    synced: z.boolean().describe('the passkey can be synchronised between devices (backup eligible)'),
    backedUp: z.boolean().describe('the passkey was synchronised (backed up) when it was last used'),
    createdAt: instant,
    lastUsedAt: instant.optional(),
  })
  .meta({ id: 'Passkey' });
export type PasskeyView = z.infer<typeof PasskeyView>;

export const PasskeyList = z.object({ items: z.array(PasskeyView) });

const NO_AAGUID = '00000000-0000-0000-0000-000000000000';

export function passkeyViewOf(passkey: Passkey): PasskeyView {
  const { id, name, credentialId, aaguid, transports, backupEligible, backedUp, createdAt, lastUsedAt } =
    passkey;
  return {
    id,
    name,
    credentialId: credentialId.toString('base64url'),
    ...(aaguid !== NO_AAGUID && { aaguid }),
    transports,
    synced: backupEligible,
    backedUp,
    createdAt: createdAt.toISOString(),
    ...(lastUsedAt && { lastUsedAt: lastUsedAt.toISOString() }),
  };
}
