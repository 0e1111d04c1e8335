import { BootError } from '../settings/boot-error.js';

declare const kind: unique symbol;

/** A name that a define call has returned. Other text does not have this type, so a typing error does not compile. */
export type Defined<Kind extends string> = string & { readonly [kind]: Kind };

/** How a registry names and checks its entries. */
export interface RegistryRules {
  /** The function that features call, for messages. */
  call: string;
  /** The names that it accepts. */
  names: RegExp;
}

const faults: string[] = [];

/** Adds the fault of a define call. It stops the boot, see {@link requireFaultless}. */
export function addFault(fault: string): void {
  faults.push(fault);
}

/**
 * The entries of the core, and those that features define in their own files. Features load after the core, so read a
 * registry when an entry is used, not when a module loads.
 */
export class Registry<Entry> {
  private readonly entries: Map<string, Entry>;

  constructor(
    private readonly rules: RegistryRules,
    core: Readonly<Record<string, Entry>> = {},
  ) {
    this.entries = new Map(Object.entries(core));
  }

  /**
   * Adds an entry. A wrong or duplicate name stops the boot, see {@link requireFaultless}.
   *
   * @returns the name, for the define call to brand
   */
  define(name: string, entry: Entry): string {
    const { call, names } = this.rules;
    if (!names.test(name)) addFault(`${call}('${name}'): the name must match ${names.source}`);
    else if (this.entries.has(name))
      addFault(`${call}('${name}'): this name exists already; choose another one`);
    else this.entries.set(name, entry);
    return name;
  }

  /** @throws Error for a name that no define call has returned, such as one that a former release has stored */
  get(name: string): Entry {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new Error(`no ${this.rules.call}() call has defined "${name}"`);
    return entry;
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  names(): string[] {
    return [...this.entries.keys()];
  }
}

/**
 * Checks all define calls that have run. The application calls it at boot, because an error while a module loads would
 * reach the operator with a stack and not as a sentence.
 *
 * @throws BootError with all faults
 */
export function requireFaultless(): void {
  if (faults.length > 0) throw new BootError(`wrong definitions:\n  ${faults.join('\n  ')}`);
}
