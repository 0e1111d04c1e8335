import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module, Req, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AccessGuard } from '../src/adapters/nest.js';
import { requireAccess as forExpress, type VerifiedRequest } from '../src/adapters/express.js';
import { requireAccess as forFastify } from '../src/adapters/fastify.js';
import { requireAccess as forHono } from '../src/adapters/hono.js';
import { settle } from './scripted-time.js';
import { startScene, type Scene } from './support.js';

type Answer = { status: number; headers: Headers; body: Record<string, unknown> };
type Ask = (headers: Record<string, string>) => Promise<Answer>;

const answerOf = async (response: Response): Promise<Answer> => ({
  status: response.status,
  headers: response.headers,
  body: (await response.json()) as Record<string, unknown>,
});
const askAt =
  (port: number): Ask =>
  async (headers) =>
    answerOf(await fetch(`http://127.0.0.1:${port}/`, { headers }));

/** Each framework has one route, which answers with the user's id. Real: the frameworks. Scripted: the application. */
describe('an adapter', () => {
  let scene: Scene;
  const asks: Record<string, Ask> = {};
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    scene = await startScene();
    const { verifier } = scene;
    asks['express'] = await serveExpress();
    asks['fastify'] = await serveFastify();
    asks['nest'] = await serveNest();
    asks['hono'] = await serveHono();
    closing.push(() => verifier.close());
  });
  afterAll(async () => {
    for (const close of closing) await close();
  });

  async function serveExpress(): Promise<Ask> {
    // Its types are no dependency of ours.
    const { default: express } = (await import('express' as string)) as {
      default: () => { use(middleware: unknown): void; get(path: string, handler: unknown): void };
    };
    const app = express();
    app.use(forExpress(scene.verifier));
    app.get('/', (request: VerifiedRequest, response: { json(body: object): void }) =>
      response.json({ userId: request.user!.userId }),
    );
    const server = createServer(app as never).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    return askAt((server.address() as AddressInfo).port);
  }

  async function serveFastify(): Promise<Ask> {
    const { default: fastify } = await import('fastify');
    const app = fastify();
    app.decorateRequest('user', undefined);
    app.addHook('onRequest', forFastify(scene.verifier));
    app.get('/', async (request) => ({ userId: (request.user as { userId: string }).userId }));
    await app.listen({ port: 0, host: '127.0.0.1' });
    closing.push(() => app.close());
    return askAt((app.server.address() as AddressInfo).port);
  }

  async function serveNest(): Promise<Ask> {
    @Controller()
    class RootController {
      @Get()
      read(@Req() { user }: { user: { userId: string } }) {
        return { userId: user.userId };
      }
    }
    @Module({ controllers: [RootController] })
    class RootModule {}
    const app: INestApplication = await NestFactory.create(RootModule, new FastifyAdapter(), {
      logger: false,
    });
    app.useGlobalGuards(new AccessGuard(scene.verifier));
    await app.listen(0, '127.0.0.1');
    closing.push(() => app.close());
    return askAt(((app.getHttpServer() as { address(): unknown }).address() as AddressInfo).port);
  }

  async function serveHono(): Promise<Ask> {
    const { Hono } = (await import('hono' as string)) as { Hono: new () => HonoApp };
    const app = new Hono();
    app.use('*', forHono(scene.verifier) as never);
    app.get('/', (c) => c.json({ userId: c.get('user').userId }));
    return async (headers) => answerOf(await app.request('/', { headers }));
  }

  interface HonoApp {
    use(path: string, middleware: never): void;
    get(
      path: string,
      handler: (c: { json(body: object): Response; get(name: string): { userId: string } }) => Response,
    ): void;
    request(path: string, init: { headers: Record<string, string> }): Promise<Response>;
  }

  const NAMES = ['express', 'fastify', 'nest', 'hono'];

  it.each(NAMES)('for %s gives the route the caller of an authentic token', async (name) => {
    const sub = randomUUID();
    const { status, body } = await asks[name]!({
      authorization: `Bearer ${scene.application.token({ sub })}`,
    });
    expect({ status, body }).toEqual({ status: 200, body: { userId: sub } });
  });

  it.each(NAMES)('for %s answers a refusal as the application does', async (name) => {
    const token = scene.application.token();
    const { sid } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sid: string };
    const { createdAt } = scene.application.revoke({ subjects: [sid] });
    await settle();
    const { status, headers, body } = await asks[name]!({ authorization: `Bearer ${token}` });
    expect({ status, type: headers.get('content-type'), store: headers.get('cache-control') }).toEqual({
      status: 401,
      type: 'application/problem+json; charset=utf-8',
      store: 'no-store',
    });
    expect(headers.get('www-authenticate')).toContain('error_description="session ended"');
    expect(body).toEqual({
      type: 'urn:drawbridge:problem:auth.session_ended',
      title: 'The session has ended',
      status: 401,
      detail: 'Log in again.',
      instance: `urn:uuid:${body['requestId'] as string}`,
      code: 'auth.session_ended',
      requestId: expect.any(String),
      reason: 'admin',
      endedAt: new Date(createdAt).toISOString(),
    });
  });

  it.each(NAMES)('for %s refuses a request without a token, and one that waits in vain', async (name) => {
    expect(await asks[name]!({})).toMatchObject({ status: 401, body: { code: 'auth.unauthenticated' } });
    const waiting = asks[name]!({
      authorization: `Bearer ${scene.application.token()}`,
      'x-min-revocation-seq': '999',
    });
    const done = waiting.then(() => true);
    while (!(await Promise.race([done, settle().then(() => false)]))) await scene.beat(1);
    const answer = await waiting;
    expect(answer).toMatchObject({ status: 503, body: { code: 'auth.unavailable' } });
    expect(answer.headers.get('retry-after')).toBe('1');
  });
});
