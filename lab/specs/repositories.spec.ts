import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/** Real: the source. The rule: SQL stands in `*.repository.ts`, and only the feature of a table writes it. */

/** Other files with statements: what operators run, and the code below the repositories. */
const OUTSIDE =
  /[.](spec|recipes)[.]ts$|\/migrations\/|[.]cli[.]ts$|^src\/seeds[.]ts$|^src\/platform\/persistence\//;

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((file) => join('src', file).replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts'));
const read = (file: string) => readFileSync(file, 'utf8');

/** The folder of the migration that creates each table. */
const FEATURE_OF = new Map(
  files
    .filter((file) => file.includes('/migrations/'))
    .flatMap((file) =>
      [...read(file).matchAll(/create table (\w+)/g)].map(
        ([, table]) => [table!, dirname(dirname(file))] as const,
      ),
    ),
);
/** The table of each entity. */
const TABLE_OF = new Map(
  files
    .filter((file) => file.endsWith('.entity.ts'))
    .flatMap((file) =>
      [...read(file).matchAll(/@Entity\('(\w+)'\)\s+export class (\w+)/g)].map(
        ([, table, entity]) => [entity!, table!] as const,
      ),
    ),
);

const SQL = /\b(insert into|update|delete from|truncate|from|join|using)\s+(\w+)/gi;
const READS = /^(from|join|using)$/i;
/** Functions of TypeORM that only read the entity that is their first argument. */
const FINDS = /^(find|count|exist|sum|average|query|createQueryBuilder|select)/;

interface Statement {
  file: string;
  table: string;
  writes: boolean;
}

/** The statements in the strings of a file, and the calls that name an entity. */
function statementsIn(file: string, text: string): Statement[] {
  const found: Statement[] = [];
  const visit = (node: ts.Node): void => {
    const sql = ts.isStringLiteralLike(node) || ts.isTemplateExpression(node) ? node.getText() : '';
    for (const [, verb, table] of sql.matchAll(SQL))
      if (FEATURE_OF.has(table!)) found.push({ file, table: table!, writes: !READS.test(verb!) });
    if (ts.isCallExpression(node) && node.arguments[0]) {
      const table = TABLE_OF.get(node.arguments[0].getText());
      const name = ts.isPropertyAccessExpression(node.expression) ? node.expression.name.text : '';
      if (table) found.push({ file, table, writes: !FINDS.test(name) });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return found;
}

const isMisplaced = ({ file }: Statement) => !file.endsWith('.repository.ts');
const isForeign = ({ file, table, writes }: Statement) =>
  writes && !file.startsWith(`${FEATURE_OF.get(table)}/`);
const show = (statements: Statement[]) =>
  [
    ...new Set(
      statements.map(({ file, table, writes }) => `${file} ${writes ? 'writes' : 'reads'} ${table}`),
    ),
  ].sort();

describe('the statements of a table', () => {
  const all = files.filter((file) => !OUTSIDE.test(file)).flatMap((file) => statementsIn(file, read(file)));

  it('stand in repositories', () => {
    expect(show(all.filter(isMisplaced))).toEqual([]);
  });

  it('write it only in the folder of the feature whose migration creates it', () => {
    expect(show(all.filter(isForeign))).toEqual([]);
  });

  it('exist: each table of the migrations is written', () => {
    const written = new Set(all.filter(({ writes }) => writes).map(({ table }) => table));
    expect([...FEATURE_OF.keys()].filter((table) => !written.has(table))).toEqual([]);
    expect(FEATURE_OF.size).toBeGreaterThan(15);
  });

  it.each([
    ["tx.query('delete from passkeys where id = $1', [id])", 'passkeys'],
    ['const RENAME = `update users set display_name = ${VALUE}`;', 'users'],
    ['tx.query(`with old as (delete from mails) insert into mails select $1`)', 'mails'],
    ['tx.update(User, { id }, { roles })', 'users'],
    ['tx.createQueryBuilder().insert().into(AuditEvent)', 'audit_events'],
    ['class A { constructor(@InjectRepository(User) users: Repository<User>) {} }', 'users'],
  ])('are found in another file and in another feature: %s', (text, table) => {
    const found = statementsIn('src/admin/bad.service.ts', text);
    expect(new Set(found.map((statement) => statement.table))).toEqual(new Set([table]));
    expect(found.filter(isMisplaced)).not.toEqual([]);
    expect(found.filter(isForeign)).not.toEqual([]);
  });

  it.each(["tx.query('select from users for update')", 'tx.findOneBy(User, { id })'])(
    'that only read it may stand in the repository of another feature: %s',
    (text) => {
      const found = statementsIn('src/admin/good.repository.ts', text);
      expect(found).toHaveLength(1);
      expect(found.filter((statement) => isMisplaced(statement) || isForeign(statement))).toEqual([]);
    },
  );
});
