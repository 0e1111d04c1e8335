/** The tasks that wait in a queue, of which at most {@link MAX_COUNTED} are counted. */
export interface Backlog {
  count: number;
  /** The age of the oldest, in ms; 0 if none waits. */
  age: number;
}

/** An index finds so many in less than a millisecond, and they are worth an alert. */
export const MAX_COUNTED = 1_000;
