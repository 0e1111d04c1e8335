import { ApiProblem, AuthUnavailable, SessionEnded } from '@drawbridge/client';
import type { ComponentChildren } from 'preact';
import { texts } from '../texts.js';
import { Button } from './controls.js';
import type { Resource } from './use-resource.js';

interface NoticeProps {
  kind?: 'info' | 'good' | 'bad';
  children: ComponentChildren;
}

/** A message that screen readers announce. */
export function Notice({ kind = 'info', children }: NoticeProps) {
  return (
    <div class={`notice ${kind}`} role={kind === 'bad' ? 'alert' : 'status'}>
      {children}
    </div>
  );
}

interface ErrorNoticeProps {
  error: unknown;
  /** The names of the fields that show their own errors. */
  fields?: ReadonlySet<string>;
}

/** Explains an error in words. An ended session has its own page, so it is not shown here. */
export function ErrorNotice({ error, fields }: ErrorNoticeProps) {
  if (error === undefined || error instanceof SessionEnded) return null;
  const errors = error instanceof ApiProblem ? (error.problem.errors ?? []) : [];
  if (errors.length > 0 && errors.every(({ path }) => fields?.has(path))) return null;
  return <Notice kind="bad">{explain(error, fields)}</Notice>;
}

/** @param fields the names of fields whose errors are shown elsewhere */
export function explain(error: unknown, fields?: ReadonlySet<string>): string {
  if (error instanceof ApiProblem) {
    const { code, problem } = error;
    const known = (texts.problems as Record<string, string>)[code];
    const others = problem.errors?.filter(({ path }) => !fields?.has(path)) ?? [];
    const list = others.map(({ path, message }) => `${path}: ${message}`).join('; ');
    if (list) return `${known ?? problem.title} (${list})`;
    return known ?? problem.detail;
  }
  if (error instanceof AuthUnavailable) return explainUnavailable(error);
  if (error instanceof DOMException)
    return (texts.browserErrors as Record<string, string>)[error.name] ?? texts.common.unexpected;
  return error instanceof TypeError ? texts.common.unreachable : texts.common.unexpected;
}

function explainUnavailable({ cause, retryAfter = 60_000 }: AuthUnavailable): string {
  const { code } = (cause ?? {}) as { code?: string };
  if (code === 'request.rate_limited') return texts.common.rateLimited(Math.ceil(retryAfter / 1_000));
  return code === undefined ? texts.common.unreachable : texts.common.unavailable;
}

interface LoadedProps<Value> {
  resource: Resource<Value>;
  /** Shown when `isEmpty` says so. */
  empty?: ComponentChildren;
  isEmpty?: (value: Value) => boolean;
  children: (value: Value) => ComponentChildren;
}

/** Shows a resource, and what is shown instead while it is loading, when it has failed, and when it is empty. */
export function Loaded<Value>({ resource, empty, isEmpty, children }: LoadedProps<Value>) {
  const { value, error, isLoading, reload } = resource;
  if (value === undefined && isLoading) return <Loading />;
  return (
    <>
      {error !== undefined && !(error instanceof SessionEnded) && (
        <Notice kind="bad">
          {explain(error)} <Button onClick={reload}>{texts.common.tryAgain}</Button>
        </Notice>
      )}
      {value !== undefined && (isEmpty?.(value) ? <p class="empty">{empty}</p> : children(value))}
    </>
  );
}

/** Appears after a moment, so that a fast answer does not make the page flicker. */
export function Loading() {
  return (
    <p class="loading" role="status">
      {texts.common.loading}
    </p>
  );
}
