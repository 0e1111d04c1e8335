/**
 * A real OpenID Connect provider, in a process of its own: `node outside-provider.mjs <port> <clients as JSON> [signing
 * keys as JSON]`. Its users log in by typing who they are: `verified:` or `unverified:`, and an address.
 */
import { Provider } from 'oidc-provider';

const [port, clients, jwks] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: JSON.parse(clients),
  ...(jwks && { jwks: JSON.parse(jwks) }),
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
  cookies: { keys: ['a key of the test'] },
  // Without the protection against addresses inside the network: the application under test is inside.
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
  findAccount: (_ctx, id) => {
    const [kind, email] = id.split(/:(.*)/s);
    return {
      accountId: id,
      claims: () => ({ sub: id, email, email_verified: kind === 'verified', name: 'Some Name' }),
    };
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
