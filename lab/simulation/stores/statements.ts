import { READ_API_KEYS } from '../../../src/auth/api-keys/api-key.repository.js';
import { READ_GRANTS } from '../../../src/auth/oauth/grant.repository.js';
import { credentialStatements } from './credential-statements.js';
import { revocationStatements } from './revocation-statements.js';
import type { Statement } from './statement.js';

/** The reads of checks: each row has an id, and the record as JSON. */
const reads: Statement[] = [
  {
    text: READ_API_KEYS.text,
    run: (postgres, [ids]: [string[]]) => texts(ids, postgres.keys, (id) => postgres.key(id)),
  },
  {
    text: READ_GRANTS.text,
    run: (postgres, [ids]: [string[]]) => texts(ids, postgres.grants, (id) => postgres.grant(id)),
  },
];

const statements = [...reads, ...revocationStatements, ...credentialStatements];
const known = new Map<string, Statement>();

/** The statement with this text. @throws Error for one that the simulation does not know */
export function statementOf(text: string): Statement {
  let statement = known.get(text);
  if (!statement) {
    statement = statements.find((each) => text.includes(each.text));
    if (!statement) throw new Error(`the simulation does not know the statement ${text}`);
    known.set(text, statement);
  }
  return statement;
}

function texts(ids: string[], table: Map<string, unknown>, read: (id: string) => object) {
  return ids.filter((id) => table.has(id)).map((id) => ({ id, text: JSON.stringify(read(id)) }));
}
