/** A queue of events in the order of time; simultaneous events run in the order in which they were planned. */
export class Events {
  now = 0;
  #heap = [];
  #planned = 0;

  at(time, work) {
    const heap = this.#heap;
    const event = { time, order: this.#planned++, work };
    let place = heap.push(event) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[place] = heap[parent];
      place = parent;
    }
    heap[place] = event;
  }

  /** Runs until a time, or until `done` returns true. */
  run(until, done) {
    for (;;) {
      const event = this.#next();
      if (!event || event.time > until) return;
      this.now = event.time;
      event.work(event.time);
      if (done()) return;
    }
  }

  #next() {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child += 1;
      if (!isBefore(heap[child], last)) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

const isBefore = (a, b) => a.time < b.time || (a.time === b.time && a.order < b.order);
