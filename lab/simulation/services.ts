import { pino } from 'pino';
import { ApiKeyRepository } from '../../src/auth/api-keys/api-key.repository.js';
import type { ApiKeyFormat } from '../../src/auth/api-keys/api-key-format.js';
import { ApiKeysService } from '../../src/auth/api-keys/api-keys.service.js';
import { LeakedKeysService } from '../../src/auth/api-keys/leaks/leaked-keys.service.js';
import type { AuditService } from '../../src/platform/audit/audit.service.js';
import type { Jobs } from '../../src/platform/jobs/jobs.js';
import type { MailOutbox } from '../../src/platform/mail/mail-outbox.js';
import { AccountDeletions } from '../../src/platform/persistence/account-deletions.js';
import type { Clock } from '../../src/platform/runtime/clock.js';
import type { Settings } from '../../src/platform/settings/settings.js';
import type { Role } from '../../src/roles.js';
import type { SessionCache } from '../../src/sessions/check/session-cache.js';
import { sessionEnded } from '../../src/sessions/check/session-check.js';
import { CredentialKinds } from '../../src/sessions/credential-kinds.js';
import type { DenialList } from '../../src/sessions/revocation/denial-list.js';
import { RevocationDispatcher } from '../../src/sessions/revocation/revocation-dispatcher.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { RevocationWriter } from '../../src/sessions/revocation/revocation-writer.js';
import { shareEpoch } from '../../src/sessions/revocation/session-epoch.repository.js';
import type { SessionFence } from '../../src/sessions/session-fence.js';
import type { UserRepository } from '../../src/users/user.repository.js';
import type { SimulatedDatabase, SimulatedTx } from './stores/simulated-database.js';
import type { SimulatedPostgres } from './stores/simulated-postgres.js';

export const SILENT = pino({ level: 'silent' });
export const NO_JOBS = { every: () => undefined } as unknown as Jobs;
export const NO_AUDIT = { record: async () => undefined } as unknown as AuditService;
export const NO_MAILS = { add: async () => undefined } as unknown as MailOutbox;

/** The parts of an instance on which its services depend. */
export interface Parts {
  database: SimulatedDatabase;
  postgres: SimulatedPostgres;
  denials: DenialList;
  sessionCache: SessionCache;
  clock: Clock;
  settings: Settings;
  format: ApiKeyFormat;
}

export type Services = ReturnType<typeof servicesOf>;

/** The shipped services that end credentials, over the simulated stores. Audit events and mails go nowhere. */
export function servicesOf(parts: Parts) {
  const { database, postgres, denials, sessionCache, clock, settings, format } = parts;
  const [source, transactions] = [database.source(), database.transactions()];
  const users = usersOf(postgres);
  const fence = fenceOf(postgres);
  const [kinds, deletions] = [new CredentialKinds(), new AccountDeletions()];
  const writer = new RevocationWriter(users, kinds, NO_AUDIT, clock);
  const dispatcher = new RevocationDispatcher(source, source, writer, sessionCache, clock, SILENT, NO_JOBS);
  // The pause is a real timer.
  (dispatcher as unknown as { pause(): Promise<void> }).pause = async () => undefined;
  const revocations = new RevocationService(
    ...([source, transactions, transactions, users, writer, dispatcher, denials] as const),
    ...([clock, settings, SILENT] as const),
  );
  const keyRepository = new ApiKeyRepository(source, deletions);
  const apiKeys = new ApiKeysService(
    ...([keyRepository, format, users, transactions, fence, revocations, writer] as const),
    ...([NO_MAILS, NO_AUDIT, clock, settings, kinds, NO_JOBS] as const),
  );
  const leaks = new LeakedKeysService(format, keyRepository, apiKeys, users, revocations, NO_MAILS, clock);
  const shared = { source, transactions, deletions, users, fence, kinds, writer, revocations };
  return { ...shared, dispatcher, apiKeys, leaks };
}

/** The transactions of the simulated database have the lock of their user from their beginning. */
function usersOf(postgres: SimulatedPostgres): UserRepository {
  const write = (tx: SimulatedTx, change: () => void) => void tx.transaction.writes.push(change);
  const users = {
    lock: async (_: SimulatedTx, id: string) => postgres.users.get(id)!,
    exists: async () => true,
    setNotBefore: async (tx: SimulatedTx, id: string, notBefore: Date, sessions: boolean) => {
      const user = postgres.users.get(id)!;
      if (sessions) write(tx, () => (user.notBefore = Math.max(user.notBefore, notBefore.getTime())));
    },
    setBan: async (tx: SimulatedTx, id: string, ban: { bannedAt: Date } | null) =>
      write(tx, () => (postgres.users.get(id)!.bannedAt = ban && ban.bannedAt.getTime())),
    setRoles: async (tx: SimulatedTx, id: string, roles: Role[]) =>
      write(tx, () => (postgres.users.get(id)!.roles = roles)),
  };
  return users as unknown as UserRepository;
}

/** Without the lock of the session's row: here each end of it needs the lock of its user, or of the epoch. */
function fenceOf(postgres: SimulatedPostgres): SessionFence {
  const lockLive = async (tx: SimulatedTx, sessionId: string) => {
    await shareEpoch(tx);
    const session = postgres.session(sessionId);
    if (session.ended) throw sessionEnded(session.ended);
    return session;
  };
  return { lockLive } as unknown as SessionFence;
}
