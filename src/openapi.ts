import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { completeDocument } from './platform/api-docs/complete-document.js';
import { serveDocsPage } from './platform/api-docs/docs-page.js';
import { convertSchema } from './platform/api-docs/schema-converter.js';
import { cookieNamesOf } from './platform/http/cookie-names.js';
import { Settings } from './platform/settings/settings.js';
import type { DelegateAdmission } from './auth/delegates/delegate-admission.js';
import { DelegateAdmissions } from './auth/delegates/delegate-admissions.js';
import { END_REASONS } from './sessions/revocation/end-reason.js';
import { PRODUCT } from './product.js';

const DESCRIPTION = `
The badge of an operation is its tier. It names what the server checks on each request:

| tier | the server checks |
|---|---|
| public | nothing |
| access | the access token |
| session | the access token and the session: an ended session is refused on its next request |
| fresh | as session, and that the user has proved their identity in the last minutes |
| strict | as session, always in PostgreSQL |

Further badges name the role that the user needs, or the scope with which an API key is accepted.

**Try it:** open \`POST /v1/auth/login\` and press "Execute". Then this page sends the cookies of the login, or the
tokens of a login with the bearer transport. It refreshes an expired access token and repeats the request.

**Errors** are \`application/problem+json\` (RFC 9457). Decide by \`code\`; \`detail\` says what to do next.
`;

/** The groups of operations, in the order of the page. A group of a feature follows them. */
const TAGS: Record<string, string> = {
  auth: 'Registration, login, refresh, passwords, addresses and second factors',
  passkeys: 'Login and step-up with passkeys',
  sessions: 'The sessions of the caller',
  devices: 'The browsers and apps from which the caller has logged in',
  users: 'The profile and the account of the caller',
  'api-keys': 'Keys for programs that act for the caller',
  grants: 'Apps with access on behalf of the caller',
  social: 'Sign-in with outside accounts',
  oauth: 'The page of consent, and what OAuth clients discover',
  admin: 'Users and sessions, for admins',
  revocations: 'The revocation feed, for verifiers in other services',
  keys: 'The public keys that verify access tokens',
  health: 'Probes and metrics',
};

/** Serves `/openapi.json`, and `/docs`, a page to read it and try it. */
export function serveOpenApi(app: NestFastifyApplication, fastify: FastifyInstance): void {
  const settings = app.get(Settings);
  const delegates = app.get(DelegateAdmissions).all;
  const config = configOf(settings, delegates);
  const create = () => {
    const document = SwaggerModule.createDocument(app, config, {
      operationIdFactory,
      standardSchemaConverter: convertSchema,
    });
    return completeDocument(document, { delegates, endReasons: END_REASONS });
  };
  SwaggerModule.setup('docs', app, create, { jsonDocumentUrl: 'openapi.json', raw: ['json'], ui: false });
  serveDocsPage(fastify);
}

function configOf(settings: Settings, delegates: readonly DelegateAdmission[]): Omit<OpenAPIObject, 'paths'> {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(PRODUCT.name)
    .setDescription(DESCRIPTION.trim())
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'at+jwt' }, 'bearer')
    .addCookieAuth(cookieNamesOf(settings).access, { type: 'apiKey', in: 'cookie' }, 'cookie');
  for (const [name, description] of Object.entries(TAGS)) builder.addTag(name, description);
  for (const { securityScheme } of delegates) builder.addSecurity(securityScheme.name, securityScheme.scheme);
  return builder.build();
}

/** As in `sessions_list`. The version is named from the second on; a bundler may add a number to the class. */
function operationIdFactory(controller: string, method: string, version?: string): string {
  const feature = controller.replace(/Controller\d*$/, '');
  const name = `${feature.charAt(0).toLowerCase()}${feature.slice(1)}_${method}`;
  return version === undefined || version === 'v1' ? name : `${name}_${version}`;
}
