/** The addresses of the users that development creates (`src/seeds.ts`). A test compares them. */
export const DEMO_EMAILS = ['admin@example.com', 'alice@example.com', 'bob@example.com'];
