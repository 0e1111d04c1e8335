/** The states that a changing record has had. Version 0 is the first. */
export class Versions<State> {
  /** The version of the latest change that has answered `applied`. */
  applied = 0;
  private readonly states: { state: State; committedAt: number }[] = [];

  get latest(): number {
    return this.states.length - 1;
  }

  commit(state: State, now: number): void {
    this.states.push({ state, committedAt: now });
  }

  answered(version: number): void {
    this.applied = Math.max(this.applied, version);
  }

  /** The latest version that had committed by then. Any earlier one was replaced at that time. */
  outlived(then: number): number {
    return this.states.findLastIndex(({ committedAt }) => committedAt <= then);
  }

  find(holds: (state: State) => boolean): number {
    return this.states.findIndex(({ state }) => holds(state));
  }

  /** Whether one of the versions from this one on has a property. */
  some(from: number, holds: (state: State, version: number) => boolean): boolean {
    return this.states.some(({ state }, version) => version >= from && holds(state, version));
  }
}
