/**
 * Joins the look-ups that arrive in one turn of the event loop into one: `load` is called once with
 * every key that was asked for, and never with one that was asked for after it began. Equal keys
 * of a turn share their answer.
 */
export class TurnBatch<Value> {
  private waiting = new Map<string, Waiter<Value | undefined>>();

  constructor(private readonly load: (keys: string[]) => Promise<Map<string, Value>>) {}

  get(key: string): Promise<Value | undefined> {
    const known = this.waiting.get(key);
    if (known) return known.promise;
    if (this.waiting.size === 0) setImmediate(() => void this.flush());
    const waiter = new Waiter<Value | undefined>();
    this.waiting.set(key, waiter);
    return waiter.promise;
  }

  private async flush(): Promise<void> {
    const batch = this.waiting;
    this.waiting = new Map();
    try {
      const values = await this.load([...batch.keys()]);
      for (const [key, waiter] of batch) waiter.resolve(values.get(key));
    } catch (error) {
      for (const waiter of batch.values()) waiter.reject(error);
    }
  }
}

class Waiter<Value> {
  resolve!: (value: Value) => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<Value>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}
