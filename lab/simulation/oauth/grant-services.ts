import { AppAdmission } from '../../../src/auth/oauth/check/app.admission.js';
import { GrantCheck } from '../../../src/auth/oauth/check/grant-check.js';
import { GrantRepository } from '../../../src/auth/oauth/grant.repository.js';
import { GrantsService } from '../../../src/auth/oauth/grants.service.js';
import type { OAuthRecordRepository } from '../../../src/auth/oauth/provider/oauth-record.repository.js';
import { SETTINGS, type SimulatedInstance } from '../instance.js';
import { NO_AUDIT, NO_JOBS, NO_MAILS } from '../services.js';

const NO_RECORDS = {} as OAuthRecordRepository;

const installed = new WeakMap<SimulatedInstance, GrantServices>();

/** The services of an instance that {@link installGrants} has added. */
export const grantsAt = (at: SimulatedInstance): GrantServices => installed.get(at)!;

export function installGrants(at: SimulatedInstance): void {
  installed.set(at, new GrantServices(at));
}

/** The shipped check, service and denial of grants, over the simulated stores of an instance. */
class GrantServices {
  readonly check: GrantCheck;
  readonly service: GrantsService;

  constructor(private readonly at: SimulatedInstance) {
    const { reader, database, services } = at;
    const { clock } = at.world;
    const { source, transactions, deletions, users, fence, revocations, writer, kinds } = services;
    this.check = new GrantCheck(database.pool(), reader, clock, SETTINGS);
    this.service = new GrantsService(
      ...([new GrantRepository(source, deletions), NO_RECORDS, reader, users, transactions, fence] as const),
      ...([revocations, writer, NO_MAILS, NO_AUDIT, clock, SETTINGS, kinds, NO_JOBS] as const),
    );
  }

  /** Whether the access tier refuses a token of a grant. */
  denies(claims: { grant_id: string; sid: string | undefined; sub: string }): boolean {
    const { isDenied } = AppAdmission.prototype as unknown as { isDenied(given: typeof claims): boolean };
    return isDenied.call({ denials: this.at.denials }, claims);
  }
}
