import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { DataSource } from 'typeorm';
import { InstanceMessages } from '#core';
import { ALICE, BOB, resetStores, startApp, type TestApp } from '../../../test/support/app.js';
import { describeWithRedis } from '../../../test/support/redis.js';
import {
  listening,
  openSocket,
  openStream,
  untilClosed,
  type OpenClient,
} from '../../../test/support/streams.js';
import { loggedIn } from '../../../test/support/test-users.js';
import { eventually } from '../../../test/support/waiting.js';

describeWithRedis('the examples of open connections, on two instances', () => {
  let a: TestApp;
  let b: TestApp;
  const open: OpenClient[] = [];

  beforeAll(async () => {
    await resetStores();
    a = await listening(await startApp({ features: [] }));
    b = await listening(await startApp({ features: [] }));
  });
  afterEach(() => {
    for (const client of open.splice(0)) client.close();
  });
  afterAll(() => Promise.all([a.close(), b.close()]));

  const pay = async (client: Awaited<ReturnType<typeof loggedIn>>, key: string) => {
    const payment = { amount: 100, currency: 'EUR', recipient: 'Bob' };
    const answer = await client.post('/v1/payments', payment, { headers: { 'idempotency-key': key } });
    expect(answer.status).toBe(201);
    return answer.body as { id: string };
  };

  describe('GET /v1/notifications', () => {
    it('sends each payment of the user once, whichever instance made it', async () => {
      const [alice, bob] = [await loggedIn(a, ALICE), await loggedIn(a, BOB)];
      await pay(alice, 'before');
      const stream = await openStream(b, '/v1/notifications', alice);
      open.push(stream);
      const first = await pay(alice, 'one');
      await pay(bob, 'of-bob');
      await pay(alice, 'one'); // the same key: the same payment
      const second = await pay(alice, 'two');
      await eventually(() => expect(stream.events).toHaveLength(2));
      expect(stream.events.map(({ id }) => id)).toEqual([first.id, second.id]);
      expect(stream.events[0]).toMatchObject({ event: 'payment' });
      expect(JSON.parse(stream.events[0]!.data)).toMatchObject({ id: first.id, amount: 100 });
    });

    it('continues after the last event that the client knows', async () => {
      const alice = await loggedIn(a, ALICE);
      const known = await pay(alice, 'known');
      const missed = [await pay(alice, 'missed-1'), await pay(alice, 'missed-2')];
      const stream = await openStream(b, '/v1/notifications', alice, {
        headers: { 'last-event-id': known.id },
      });
      open.push(stream);
      await eventually(() => expect(stream.events.map(({ id }) => id)).toEqual(missed.map(({ id }) => id)));
    });

    it('loses nothing while the connection between the instances is cut', async () => {
      const alice = await loggedIn(a, ALICE);
      const stream = await openStream(b, '/v1/notifications', alice);
      open.push(stream);
      const messages = b.get(InstanceMessages) as unknown as { client: { end(): Promise<void> } | null };
      await messages.client!.end();
      await eventually(() => expect(messages.client).toBeNull());
      const made = await pay(alice, 'unheard');
      await eventually(() => expect(stream.events.map(({ id }) => id)).toEqual([made.id]));
    });
  });

  describe('WebSocket /v1/chat', () => {
    it('brings a message to all users, on all instances', async () => {
      const [alice, bob] = [await loggedIn(a, ALICE), await loggedIn(b, BOB)];
      const sockets = [await openSocket(a, '/v1/chat', alice), await openSocket(b, '/v1/chat', bob)];
      open.push(...sockets);
      sockets[0]!.send('say', { text: 'Hello' });
      for (const { messages } of sockets)
        await eventually(() =>
          expect(messages).toEqual([
            { event: 'said', data: { from: 'Alice', text: 'Hello', at: expect.any(String) } },
          ]),
        );
    });

    it('closes with the session', async () => {
      const bob = await loggedIn(b, BOB);
      const socket = await openSocket(a, '/v1/chat', bob);
      open.push(socket);
      await bob.post('/v1/auth/logout');
      await untilClosed(socket);
      expect(socket.end).toEqual({ close: 4401, code: 'auth.session_ended', reason: 'logout' });
    });
  });

  it('a message between instances that is too large is refused, with its topic', async () => {
    const publish = a
      .get(InstanceMessages)
      .publish(a.get(DataSource).manager as EntityManager, 'large', 'x'.repeat(8_000));
    await expect(publish).rejects.toThrow('a message of the topic "large" has more than 7999 bytes');
  });
});
