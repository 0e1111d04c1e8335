import { Injectable } from '@nestjs/common';
import { DESCRIPTIONS } from './acts.js';
import { locate, type DecidingCode } from './deciding-code.js';
import { caughtSince, resultOf, type HeistRun } from './heist-run.js';
import { namesOf } from './request-recorder.js';
import { ThiefClient } from './thief-client.js';

/** A mail that the owner has got, as `/dev/mails` shows it. */
export interface OwnerMail {
  at: string;
  to: string;
  subject: string;
  text: string;
}

/** A mail has the time of the database. In development its clock is that of this machine, apart from rounding. */
const CLOCKS_DIFFER_MS = 20;

/** Reports what the server has recorded of a run. A report contains no token. */
@Injectable()
export class HeistReports {
  constructor(private readonly client: ThiefClient) {}

  async of(run: HeistRun) {
    const { id, act, victim, victimOrigin, thiefOrigin, contentSecurityPolicy, loot } = run;
    const { title, injects, limits, decidedBy } = DESCRIPTIONS[act];
    return {
      id,
      act,
      title,
      victim,
      victimOrigin,
      thiefOrigin,
      contentSecurityPolicy,
      /** The pages of this act. A browser opens them in any order, in frames or in tabs. */
      pages: [
        `${victimOrigin}/dev/heist/forum?run=${id}`,
        ...(injects ? [] : [`${thiefOrigin}/dev/heist/thief?run=${id}`]),
      ],
      result: resultOf(run),
      loot: loot && {
        session: loot.session && Object.keys(loot.session),
        storedKeys: loot.storedKeys,
        cookies: namesOf(loot.cookies),
      },
      uses: run.uses,
      attempts: run.attempts,
      requests: run.requests,
      violations: run.violations,
      mail: await this.mailAbout(run),
      decidedBy: await Promise.all(decidedBy.map((decision): Promise<DecidingCode> => locate(decision))),
      limits,
    };
  }

  /** The mail that tells the owner of the reuse. @returns null before it has been sent, or if it was sent by SMTP */
  private async mailAbout(run: HeistRun): Promise<OwnerMail | null> {
    const since = caughtSince(run);
    if (since === null) return null;
    const { status, body } = await this.client.send({ method: 'GET', path: '/dev/mails' });
    if (status !== 200) return null;
    const about = (body['items'] as OwnerMail[]).filter(
      ({ to, at }) => to === run.victim && Date.parse(at) >= since - CLOCKS_DIFFER_MS,
    );
    return about.at(-1) ?? null;
  }
}
