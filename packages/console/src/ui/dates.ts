import { texts } from '../texts.js';

/** @param local the value of an `<input type="datetime-local">`, or empty */
export function instantOf(local: string): string | undefined {
  return local === '' ? undefined : new Date(local).toISOString();
}

/** The value of an `<input type="datetime-local">`: the instant in the time zone of the browser. */
export function localOf(instant: string | undefined): string {
  const time = Date.parse(instant ?? '');
  if (Number.isNaN(time)) return '';
  return new Date(time - new Date(time).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function exactTime(instant: string): string {
  return new Date(instant).toLocaleString(texts.locale, { dateStyle: 'medium', timeStyle: 'short' });
}
