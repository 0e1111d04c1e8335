export function migrateDatabase(url: string): Promise<string[]>;
