export const TYPES_FILE: string;
export function generateTypes(document: unknown): Promise<string>;
