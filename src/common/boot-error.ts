/** Stops the boot for something that whoever started the process can mend: shown as it is, without a stack. */
export class BootError extends Error {}
