#!/usr/bin/env node
/** `sidecar` answers nginx; `relay` passes the feed on to other verifiers. The settings are environment variables. */
import { createServer } from 'node:http';
import { createRelay } from './relay/relay.js';
import { sidecar } from './sidecar.js';
import { Verifier } from './verifier.js';

const HELP = `Usage: verifier sidecar|relay

VERIFIER_URL         the address of the application
VERIFIER_FEED        addresses of instances or relays, separated by commas [VERIFIER_URL]
VERIFIER_API_KEY     an API key with the scope revocations:read; behind a relay, a key of the relay
VERIFIER_ISSUER      TOKEN_ISSUER of the application
VERIFIER_AUDIENCE    TOKEN_AUDIENCE of the application
VERIFIER_WHEN_BLIND  allow or deny; sidecar only
VERIFIER_RELAY_KEYS  keys of the verifiers that may follow, separated by commas; relay only
HOST, PORT           where to listen [127.0.0.1, 9191]
`;

function required(name: string): string {
  const value = process.env[name];
  if (value) return value;
  console.error(`${name} is not set.\n\n${HELP}`);
  process.exit(2);
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
}

function blindPolicy(): 'allow' | 'deny' {
  const value = required('VERIFIER_WHEN_BLIND');
  if (value === 'allow' || value === 'deny') return value;
  console.error(`VERIFIER_WHEN_BLIND "${value}" is unknown; allowed: allow, deny`);
  process.exit(2);
}

function optionsFromEnvironment() {
  const url = required('VERIFIER_URL');
  return {
    url,
    feed: listOf(process.env['VERIFIER_FEED'] ?? url),
    apiKey: required('VERIFIER_API_KEY'),
    issuer: required('VERIFIER_ISSUER'),
    audience: required('VERIFIER_AUDIENCE'),
    onInterruption: (reason: string | null) =>
      console.error(reason === null ? 'the feed has resumed' : `the feed is interrupted: ${reason}`),
  };
}

function serve(mode: string | undefined) {
  if (mode === 'sidecar') {
    const verifier = new Verifier({ ...optionsFromEnvironment(), whenBlind: blindPolicy() });
    return { server: createServer(sidecar(verifier)), verifier };
  }
  if (mode === 'relay') {
    const keys = listOf(required('VERIFIER_RELAY_KEYS'));
    const relay = createRelay({ ...optionsFromEnvironment(), keys });
    return { server: createServer(relay.handle), verifier: relay.verifier };
  }
  console.error(HELP);
  process.exit(2);
}

const { server, verifier } = serve(process.argv[2]);
server.listen(Number(process.env['PORT'] ?? 9191), process.env['HOST'] ?? '127.0.0.1', () => {
  const { port } = server.address() as { port: number };
  console.log(`listening on port ${port}`);
});
void verifier.ready().then(() => console.log('the list is complete'));
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    verifier.close();
    server.close();
    server.closeAllConnections();
  });
