/** Items that wait to be sent. It keeps the first ones, and counts those beyond the limit. */
export class BoundedBatch<Item> {
  private items: Item[] = [];
  private dropped = 0;

  constructor(private readonly limit: number) {}

  get isEmpty(): boolean {
    return this.items.length === 0 && this.dropped === 0;
  }

  /** @param dropped how many more there were that the caller does not have */
  add(items: readonly Item[], dropped = 0): void {
    const kept = items.slice(0, this.limit - this.items.length);
    this.items.push(...kept);
    this.dropped += items.length - kept.length + dropped;
  }

  /** Takes the first items out. The count of dropped ones goes with them. */
  take(most = this.limit): { items: Item[]; dropped: number } {
    const taken = { items: this.items.splice(0, most), dropped: this.dropped };
    this.dropped = 0;
    return taken;
  }
}
