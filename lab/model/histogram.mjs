const LEAST = 0.01;
const STEP = Math.log(1.01);

/** Any number of values in little memory, each within one per cent; the maximum exactly. */
export class Histogram {
  max = 0;
  #counts = [];
  #total = 0;

  add(value) {
    const place = value <= LEAST ? 0 : Math.ceil(Math.log(value / LEAST) / STEP);
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    this.#total += 1;
    this.max = Math.max(this.max, value);
  }

  /** @param {number} share from 0 to 1 */
  percentile(share) {
    let left = Math.ceil(share * this.#total);
    for (let place = 0; place < this.#counts.length; place++) {
      left -= this.#counts[place] ?? 0;
      if (left <= 0) return Math.min(this.max, LEAST * Math.exp(place * STEP));
    }
    return this.max;
  }
}
