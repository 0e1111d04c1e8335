import { z } from 'zod';
import { defineSettings } from '../../platform/settings/feature-settings.js';
import * as setting from '../../platform/settings/setting.js';

const httpsOrLocal = z.url({ protocol: /^https?$/ });

/** An app that is known by configuration. The names are those of RFC 7591. */
const Client = z.looseObject({
  client_id: z
    .string()
    .regex(/^[\w.-]{1,100}$/, 'is not a client_id: 1 to 100 letters, digits, `_`, `.` or `-`'),
  client_name: z.string().min(1).max(100),
  client_secret: z.string().min(20, 'is too short to be a secret').optional(),
  redirect_uris: z.array(z.string()).min(1),
});
export type OAuthClient = z.infer<typeof Client>;

/** Another service that accepts the tokens of this provider, such as an MCP server. */
const Resource = z.strictObject({
  name: z.string().min(1).max(100),
  /** The permissions of apps there, in words for people. */
  scopes: z.record(z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,98}$/), z.string().min(1).max(200)),
});
export type OAuthResource = z.infer<typeof Resource>;

/** The settings of the OAuth provider. */
export const oauthSettings = defineSettings({
  oauthProvider: setting.choice(
    'Lets apps act for users: an OAuth 2.1 and OpenID Connect provider at `APP_URL` + `/oauth`.',
    ['on', 'off'],
    { fallback: 'off' },
  ),
  oauthClients: setting.json(
    'The apps, in the form of RFC 7591. An app with a `client_secret` runs on a server; any other proves itself by PKCE alone.',
    'a JSON list such as `[{"client_id":"notes","client_name":"Notes","redirect_uris":["https://notes.example/callback"]}]`',
    z
      .array(Client)
      .refine((clients) => new Set(clients.map(({ client_id }) => client_id)).size === clients.length, {
        error: 'two apps have the same client_id',
      }),
    { fallback: '[]', fallbackDoc: 'none', secret: true },
  ),
  oauthClientDocuments: setting.choice(
    'Also lets in apps that are not configured and whose `client_id` is the `https:` URL of a document that describes them (Client ID Metadata Documents), as MCP clients do. The server fetches that document, from public addresses only.',
    ['on', 'off'],
    { fallback: 'off' },
  ),
  oauthResources: setting.json(
    'Other services for which apps can get tokens, such as MCP servers, by their URL (RFC 8707).',
    'a JSON object such as `{"https://mcp.example/":{"name":"Notes tools","scopes":{"tools:use":"Use your tools"}}}`',
    z.record(httpsOrLocal, Resource),
    { fallback: '{}', fallbackDoc: 'none' },
  ),
  oauthRequestsPerMinute: setting.integer(
    'The maximum number of requests per minute of one app on behalf of one user, on each instance.',
    { min: 1, max: 1_000_000, fallback: '600' },
  ),
});
