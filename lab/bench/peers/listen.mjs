import { createClient } from 'redis';

/** Every peer prints its address, and takes any free port. */
export const announce = (port) => console.log(`listening on http://127.0.0.1:${port}`);

export async function redis() {
  const client = createClient({ url: process.env.REDIS_URL });
  client.on('error', (error) => console.error(error.message));
  await client.connect();
  return client;
}

/** The answer to "who am I?" everywhere. */
export const answer = (userId, sessionId) => ({
  userId,
  sessionId,
  roles: ['user'],
  expiresAt: new Date(0).toISOString(),
});
