/** Stops the boot for an error that the operator can fix. The message is shown without a stack. */
export class BootError extends Error {}
