import type { SimulatedInstance } from './instance.js';
import type { Choice, Schedule } from './schedule.js';
import type { Statement } from './stores/statement.js';

/** The part of the simulation for an optional module of the product. Its folder is deleted with the module. */
export interface SimulatedPart {
  /** The statements that only the module sends. */
  statements: readonly Statement[];
  /** Adds the services of the module to an instance that boots. */
  install(at: SimulatedInstance): void;
  /** The share of schedules in which clients use the module. */
  share: number;
  actors(schedule: Schedule): { choices(): Choice[] };
  /** More moves of the network, and more events, in schedules with these clients. */
  moves: number;
  steps: number;
}
