import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Real: the source. A statement consists of constants; input reaches PostgreSQL as a parameter. */

/** Functions with a piece of SQL as their first argument. */
const TAKES_SQL =
  /^(query|where|andWhere|orWhere|having|andHaving|orHaving|orderBy|addOrderBy|groupBy|addGroupBy|select|addSelect|innerJoin|leftJoin|from|set)$/;
/** Forbidden, because TypeORM inserts their arguments into the statement unescaped. */
const NEVER = /^(distinctOn|createQueryRunner)$/;
/** A constant, or an expression that is made of one; a name of the product. */
const CONSTANT =
  /^[A-Z][A-Z\d_]*(\.join\(\)|\.length|\.text)?$|^PRODUCT(\.\w+)+$|^[A-Z][A-Z\d_]* \/ 1_000$|^\d+$/;

/** Pieces that are no constants, and the reason why they contain no input of a client. */
const KNOWN: Record<string, string> = {
  'src/platform/persistence/app-role.ts: to': 'an identifier that was escaped, of an operator',
  'src/sessions/revocation/revocation-subscriber.ts: take': 'one of two names of functions',
};

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((file) => join('src', file).replaceAll('\\', '/'))
  // Migrations, their revert and the embedded server get no input of clients.
  .filter((file) => file.endsWith('.ts') && !/\.spec\.ts$|\/migrations\/|\/revert-|\/embedded-/.test(file));

/** Lists and objects hold values, which TypeORM makes parameters of. */
const isOfValues = (node: ts.Node) => ts.isArrayLiteralExpression(node) || ts.isObjectLiteralExpression(node);

interface Piece {
  where: string;
  text: string;
}

/** The non-constant pieces in the SQL of a file, and forbidden calls. */
function look(file: string, text: string): { pieces: Piece[]; calls: number; banned: string[] } {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found = { pieces: [] as Piece[], calls: 0, banned: [] as string[] };
  const add = (node: ts.Node) => {
    const piece = node.getText();
    if (!CONSTANT.test(piece)) found.pieces.push({ where: `${file}: ${piece}`, text: piece });
  };
  const visitSql = (node: ts.Expression): void => {
    if (ts.isTemplateExpression(node)) for (const { expression } of node.templateSpans) add(expression);
    else if (ts.isParenthesizedExpression(node)) visitSql(node.expression);
    else if (!ts.isStringLiteralLike(node) && !isOfValues(node)) add(node);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const name = node.expression.name.text;
      const on = node.expression.expression.getText();
      if (NEVER.test(name)) found.banned.push(`${file}: ${name}`);
      const isCollection = /^(new )?(Map|Set|URL|Object|Array|Buffer|Date)\b|cache|entries|store|names/i.test(
        on,
      );
      const isSql = name === 'query' || /createQueryBuilder|select$|^select|builder/i.test(on);
      const [first] = node.arguments;
      if (TAKES_SQL.test(name) && isSql && !isCollection && first) {
        found.calls += 1;
        visitSql(first);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe('a statement', () => {
  const all = files.map((file) => look(file, readFileSync(file, 'utf8')));

  it('contains no input [VAL-02]', () => {
    expect(all.reduce((sum, { calls }) => sum + calls, 0)).toBeGreaterThan(90);
    const pieces = [...new Set(all.flatMap(({ pieces }) => pieces.map(({ where }) => where)))];
    expect(pieces.sort()).toEqual(Object.keys(KNOWN).sort());
  });

  it('is built by no function that inserts names unescaped [VAL-02]', () => {
    expect(all.flatMap(({ banned }) => banned)).toEqual([]);
  });

  it('with input would be found, or the two tests above would prove nothing [VAL-02]', () => {
    const bad = [
      "tx.query(`select * from users where email = '${email}'`)",
      'this.database.query(sql, [])',
      "tx.query('select ' + column)",
      'select.orderBy(sort)',
      'select.andWhere(`${field} = :value`, { value })',
    ];
    for (const text of bad) expect(look('bad.ts', text).pieces).toHaveLength(1);
    expect(look('bad.ts', 'repository.createQueryBuilder().distinctOn([x])').banned).toHaveLength(1);
    const good =
      "tx.query('select 1'); tx.query(`select ${COLUMNS} from users where id = $1`, [id]); tx.query(LINK_EVENTS)";
    expect(look('good.ts', good).pieces).toEqual([]);
  });
});
