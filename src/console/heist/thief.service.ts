import { Injectable } from '@nestjs/common';
import { Clock } from '#core';
import type { HeistRun, Loot, ThiefUse } from './heist-run.js';
import { ThiefClient, type ThiefRequest } from './thief-client.js';

const MAX_USES = 20;

/** The thief's own server: it receives loot and uses it. */
@Injectable()
export class ThiefService {
  constructor(
    private readonly client: ThiefClient,
    private readonly clock: Clock,
  ) {}

  /** Keeps the first loot of a run. In act 4 the thief waits until the owner has refreshed. */
  async receive(run: HeistRun, loot: Loot): Promise<void> {
    if (run.loot) return;
    run.loot = loot;
    if (run.act !== 4) await this.use(run);
  }

  /** Uses the loot once more. Without loot the thief does nothing. */
  async use(run: HeistRun): Promise<void> {
    if (!run.loot || run.uses.length >= MAX_USES) return;
    const { presented, ...request } = requestWith(run.loot, run.act === 4);
    const at = new Date(this.clock.now()).toISOString();
    const { status, body } = await this.client.send({
      ...request,
      path: `${request.path}?heist=${run.id}&as=thief`,
    });
    run.uses.push({
      at,
      method: request.method,
      path: request.path,
      presented,
      status,
      code: textIn(body, 'code'),
      reason: textIn(body, 'reason'),
      endedAt: textIn(body, 'endedAt'),
      ...(request.method === 'GET' && { body }),
    });
  }
}

/** The best request that this loot allows. */
function requestWith(
  { session, cookies }: Loot,
  byRefresh: boolean,
): ThiefRequest & Pick<ThiefUse, 'presented'> {
  const profile = { method: 'GET', path: '/v1/users/me' } as const;
  if (!session) return { ...profile, presented: 'cookies', headers: cookies ? { cookie: cookies } : {} };
  if (!byRefresh)
    return {
      ...profile,
      presented: 'access token',
      headers: { authorization: `Bearer ${session.accessToken}` },
    };
  const body = { refreshToken: session.refreshToken };
  return { method: 'POST', path: '/v1/auth/refresh', presented: 'refresh token', body };
}

function textIn(body: Record<string, unknown>, name: string): string | null {
  const value = body[name];
  return typeof value === 'string' ? value : null;
}
