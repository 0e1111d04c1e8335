export const BLOCKS: Record<string, () => string>;
export function readPage(): string;
