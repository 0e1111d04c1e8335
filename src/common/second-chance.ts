interface Entry<Value> {
  value: Value;
  weight: number;
  isUsed: boolean;
}

/**
 * Remembers what is used, up to a weight. A hand goes round: what was used since it last came by is passed over, the rest has to
 * leave (F. J. Corbató, A Paging Experiment with the Multics System, 1968). To be asked costs one look-up, and no list to be
 * kept in the order of use.
 */
export class SecondChance<Value> {
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
    const weight = this.weigh(value);
    const known = this.entries.get(key);
    this.total += weight - (known?.weight ?? 0);
    if (known) Object.assign(known, { value, weight, isUsed: true });
    else this.entries.set(key, { value, weight, isUsed: true });
    while (this.total > this.most) this.moveHand();
  }

  delete(key: string): void {
    this.total -= this.entries.get(key)?.weight ?? 0;
    this.entries.delete(key);
    // A hand that rests would keep what the map was made of, each time that it is laid out anew.
    this.startOver();
  }

  private startOver(): void {
    this.hand = this.entries.entries();
  }

  private moveHand(): void {
    const next = this.hand.next();
    if (next.done) {
      this.startOver();
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
