interface Entry<Value> {
  value: Value;
  weight: number;
  isUsed: boolean;
}

/** A cache with a weight limit, by the second-chance (CLOCK) algorithm: one look-up for each read, and no list of uses. */
export class ClockCache<Value> {
  private readonly entries = new Map<string, Entry<Value>>();
  private hand = this.entries.entries();
  private total = 0;

  constructor(
    private readonly most: number,
    private readonly weigh: (value: Value) => number,
  ) {}

  get weight(): number {
    return this.total;
  }

  get size(): number {
    return this.entries.size;
  }

  get(key: string): Value | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    entry.isUsed = true;
    return entry.value;
  }

  set(key: string, value: Value): void {
    this.delete(key);
    const weight = this.weigh(value);
    this.entries.set(key, { value, weight, isUsed: true });
    this.total += weight;
    while (this.total > this.most) this.moveHand();
  }

  delete(key: string): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.total -= entry.weight;
    this.entries.delete(key);
    // Starts over, because an old iterator would keep the map's former hash tables in memory after each resize.
    this.hand = this.entries.entries();
  }

  private moveHand(): void {
    const next = this.hand.next();
    if (next.done) {
      this.hand = this.entries.entries();
      return;
    }
    const [key, entry] = next.value;
    if (!entry.isUsed) {
      this.entries.delete(key);
      this.total -= entry.weight;
    }
    entry.isUsed = false;
  }
}
