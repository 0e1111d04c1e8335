/**
 * The minimal cost of a check in Redis: Node's own server, the same client, one look-up before the answer. Or none.
 */
import { createServer } from 'node:http';
import { createClient } from 'redis';
import { PRODUCT } from '../../../dist/product.js';

const client = createClient({ url: process.env.REDIS_URL });
await client.connect();
const server = createServer(async ({ url }, response) => {
  if (url === '/redis') await client.mGet([`${PRODUCT.redisPrefix}nothing`]);
  response.end('{}');
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
