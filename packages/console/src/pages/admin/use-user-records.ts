import type { AdminUser, ApiKey, Session } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { useResource, type Resource } from '../../ui/use-resource.js';

export type SessionFilter = 'active' | 'ended' | 'all';

export interface UserRecords {
  user: Resource<AdminUser>;
  sessions: Resource<{ items: Session[] }>;
  /** Which sessions are listed. */
  filter: SessionFilter;
  setFilter: (filter: SessionFilter) => void;
  apiKeys: Resource<{ items: ApiKey[] }>;
  /** Reads everything again: most actions of an admin change more than one list. */
  reload: () => Promise<void>;
  /** The number of calls of `reload`, for parts of the page that have lists of their own. */
  reloads: number;
}

/** The user of an admin's page, with the sessions and API keys. */
export function useUserRecords(id: string): UserRecords {
  const [filter, setFilter] = useState<SessionFilter>('active');
  const [reloads, setReloads] = useState(0);
  const params = { id };
  const user = useResource('GET /v1/admin/users/{id}', { params });
  const sessions = useResource('GET /v1/admin/users/{id}/sessions', { params, query: { status: filter } });
  const apiKeys = useResource('GET /v1/admin/users/{id}/api-keys', { params });
  const reload = async () => {
    await Promise.all([user.reload(), sessions.reload(), apiKeys.reload()]);
    setReloads((reloads) => reloads + 1);
  };
  return { user, sessions, filter, setFilter, apiKeys, reload, reloads };
}
