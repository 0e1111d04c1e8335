import { StandardSchemaValidationPipe } from '@nestjs/common';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { invalidRequest, type FieldError } from './problem.js';

const FIELD_NAME = /^\w{1,40}$/;
/** Maximum number of reported errors. */
const MAX_ERRORS = 20;

/** Validates every `@Body({ schema })`, `@Query({ schema })` and `@Param(…)`. Unknown fields are errors. */
export function validationPipe(): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({
    exceptionFactory: (issues) => invalidRequest(issues.slice(0, MAX_ERRORS).flatMap(fieldErrors)),
  });
}

function fieldErrors(issue: StandardSchemaV1.Issue): FieldError[] {
  const path = (issue.path ?? []).map((segment) =>
    String(typeof segment === 'object' ? segment.key : segment),
  );
  const { code, keys } = issue as { code?: string; keys?: string[] };
  if (code === 'unrecognized_keys' && keys) {
    return keys.slice(0, MAX_ERRORS).map((key) => ({
      path: [...path, printable(key)].filter(Boolean).join('.'),
      message: 'is not a known field',
    }));
  }
  return [{ path: path.map(printable).join('.'), message: lowerFirst(issue.message) }];
}

/** Returns a field name only if it looks like one: no other input is echoed. */
function printable(name: string): string {
  return FIELD_NAME.test(name) ? name : '';
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
