import { z } from 'zod';
import { exampleOf, type Schema, type Schemas } from '../../platform/api-docs/example-of.js';
import { EXAMPLE_PASSWORD, EXAMPLE_TIMES, EXAMPLE_USER } from '../../platform/api/examples.js';
import { SessionView } from '../../sessions/session.schemas.js';
import type { Grant, Login, LoginAnswer } from './auth.schemas.js';

/** Named examples of a body, for `@ApiBody()` and `@ApiOkResponse()`. */
type Examples<Body> = Record<string, { summary: string; value: Body }>;

const credentials = { email: EXAMPLE_USER.email, password: EXAMPLE_PASSWORD };

export const LOGIN_EXAMPLES: Examples<Pick<Login, 'email' | 'password'> & Partial<Login>> = {
  browser: { summary: 'A browser: the answer sets cookies', value: credentials },
  app: {
    summary: 'An app: the answer has tokens',
    value: { ...credentials, transport: 'bearer', deviceName: 'My phone' },
  },
};

export const REFRESH_EXAMPLES: Examples<{ refreshToken?: string }> = {
  browser: { summary: 'A browser: its cookies are sent', value: {} },
  app: {
    summary: 'An app: its refresh token is sent',
    value: { refreshToken: 'the-refresh-token-of-the-last-answer' },
  },
};

const { $defs, ...sessionSchema } = z.toJSONSchema(SessionView);
/** Made from the schema, so that a column of your own is in it. */
const session: Grant['session'] = {
  ...(exampleOf(sessionSchema as Schema, $defs as Schemas) as Grant['session']),
  status: 'active',
  current: true,
  transport: 'cookie',
};
const grant: Grant = {
  user: { ...EXAMPLE_USER, roles: ['user'], createdAt: EXAMPLE_TIMES.now },
  session,
  accessTokenExpiresIn: 900,
};

export const GRANT_EXAMPLES: Examples<Grant> = {
  browser: { summary: 'A browser: the tokens are in cookies', value: grant },
  app: {
    summary: 'An app: the tokens are in the body',
    value: {
      ...grant,
      session: { ...session, transport: 'bearer' },
      accessToken: 'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.….…',
      tokenType: 'Bearer',
      expiresIn: 900,
      refreshToken: 'the-refresh-token',
      deviceToken: 'the-device-token',
    },
  },
};

export const LOGIN_ANSWER_EXAMPLES: Examples<LoginAnswer> = {
  ...GRANT_EXAMPLES,
  secondFactor: {
    summary: 'The user has a second factor',
    value: {
      status: 'mfa_required',
      challengeToken: 'the-challenge-token-of-the-login',
      methods: ['totp', 'recovery_code'],
      expiresIn: 300,
    },
  },
};
