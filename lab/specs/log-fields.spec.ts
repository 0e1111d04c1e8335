import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { LOG_FIELDS } from '../../test/support/log-fields.js';

/** Real: the source, as the compiler parses it, and docs/reference/logs.md. */

/** The commands log in their own words, and no instance runs them. */
const files = (readdirSync('src', { recursive: true }) as string[]).filter((file) =>
  /(?<!\.spec|\.recipes|\.cli)\.ts$/.test(file),
);

/** The fields that the source gives to `logger.info({ … }, …)`, or to another level. */
const logged = new Map<string, string>();
for (const file of files) {
  const source = ts.createSourceFile(
    file,
    readFileSync(join('src', file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isLogger(node.expression)) {
      const [fields] = node.arguments;
      if (fields && ts.isObjectLiteralExpression(fields))
        for (const { name } of fields.properties) if (name) logged.set(name.getText(), file);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}

/** `logger.warn`, `this.logger.warn`, `logger[level]`. */
function isLogger(call: ts.Expression): boolean {
  if (!ts.isPropertyAccessExpression(call) && !ts.isElementAccessExpression(call)) return false;
  return /(^|\.)logger$/.test(call.expression.getText());
}

/** pino adds them, or they are in the object of a security event or of a trace. */
const ADDED = new Set([
  'level',
  'time',
  'service',
  'version',
  'msg',
  'trace_id',
  'span_id',
  'outcome',
  'reason',
  'actorType',
  'actorId',
  'apiKey',
  'grant',
  'ip',
  'userAgent',
]);

describe('the fields of log lines', () => {
  it('are those of docs/reference/logs.md, wherever the source logs', () => {
    expect(logged.size).toBeGreaterThan(15);
    expect([...logged].filter(([name]) => !LOG_FIELDS.has(name))).toEqual([]);
  });

  it('that docs/reference/logs.md has are in use', () => {
    expect([...LOG_FIELDS.keys()].filter((name) => !logged.has(name) && !ADDED.has(name))).toEqual([]);
  });
});
