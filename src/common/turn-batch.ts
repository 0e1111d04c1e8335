type Answers<Value> = ReadonlyMap<string, Value>;

/**
 * Joins the look-ups that arrive in one turn of the event loop into one: `load` is called once with
 * every key that was asked for, and never with one that was asked for after it began.
 */
export class TurnBatch<Value> {
  private readonly keys = new Set<string>();
  private answers?: Promise<Answers<Value>>;

  constructor(private readonly load: (keys: string[]) => Promise<Answers<Value>>) {}

  /** The answers to all that was asked for in this turn, which are one object: a promise for each would cost more than the look-up. */
  ask(key: string): Promise<Answers<Value>> {
    this.keys.add(key);
    return (this.answers ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.begin()));
  }

  private begin(): Promise<Answers<Value>> {
    const keys = [...this.keys];
    this.keys.clear();
    this.answers = undefined;
    return this.load(keys);
  }
}
