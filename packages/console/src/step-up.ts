import { Store } from './store.js';

/** A request waits until the user has proved who they are. */
export interface PendingProof {
  /** A password does not count. */
  needsSecondFactor: boolean;
  /** @param isProved false if the user has cancelled */
  settle(isProved: boolean): void;
}

export const pendingProof = new Store<PendingProof | null>(null);
let asking: Promise<boolean> | null = null;

/** Opens the dialog of `ui/step-up-dialog.tsx`. Requests at the same time share it. */
export function askForProof({
  needsSecondFactor,
}: Pick<PendingProof, 'needsSecondFactor'>): Promise<boolean> {
  asking ??= new Promise<boolean>((resolve) => {
    pendingProof.set({ needsSecondFactor, settle: resolve });
  }).finally(() => {
    asking = null;
    pendingProof.set(null);
  });
  return asking;
}
