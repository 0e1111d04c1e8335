import { READ_API_KEYS } from '../../../src/auth/api-keys/api-key.repository.js';
import { credentialStatements } from './credential-statements.js';
import { revocationStatements } from './revocation-statements.js';
import { rowsAsText, type Statement } from './statement.js';

/** The reads of checks: each row has an id, and the record as JSON. */
const reads: Statement[] = [
  {
    text: READ_API_KEYS.text,
    run: (postgres, [ids]: [string[]]) => rowsAsText(ids, postgres.keys, (id) => postgres.key(id)),
  },
];

const statements = [...reads, ...revocationStatements, ...credentialStatements];
const known = new Map<string, Statement>();

/** Adds the statements of an optional module. The first match counts, and these come first. */
export function addStatements(more: readonly Statement[]): void {
  statements.unshift(...more);
}

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
