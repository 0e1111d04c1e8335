import type { ApiKey } from '@drawbridge/client';
import type { ComponentChildren } from 'preact';
import { texts } from '../../texts.js';
import { Badge, Definitions } from '../../ui/definitions.js';
import { Time } from '../../ui/time.js';

const t = texts.access;

interface ApiKeyCardProps {
  apiKey: ApiKey;
  /** The buttons. They are shown while the key is active. */
  children: ComponentChildren;
}

/** An API key, as its owner and admins see it. */
export function ApiKeyCard({ apiKey, children }: ApiKeyCardProps) {
  const { name, prefix, scopes, networks, status, endReason, endedAt } = apiKey;
  const isActive = status === 'active';
  return (
    <li class="card">
      <h3>
        {name} {!isActive && <Badge kind="bad">{t.keyStates[status]}</Badge>}
      </h3>
      <Definitions
        entries={[
          [t.prefix, <code>{prefix}…</code>],
          [t.scopes, scopes.join(', ')],
          [t.networks, networks.length === 0 ? t.anywhere : networks.join(', ')],
          [t.created, <Time at={apiKey.createdAt} />],
          [t.lastUsed, <Time at={apiKey.lastUsedAt} />],
          isActive && [t.expires, <Time at={apiKey.expiresAt} />],
          apiKey.rotatedAt && [t.rotated, <Time at={apiKey.rotatedAt} />],
          endedAt && [t.ended, <Time at={endedAt} />],
          endReason && [t.endReason, t.keyEndReasons[endReason]],
        ]}
      />
      <Overlap apiKey={apiKey} />
      {isActive && <div class="actions">{children}</div>}
    </li>
  );
}

/** After a rotation: how long the former secret is accepted, and which programs still use it. */
function Overlap({ apiKey: { overlapEndsAt, formerKeyUses = [] } }: { apiKey: ApiKey }) {
  if (!overlapEndsAt) return null;
  return (
    <div class="overlap">
      <p>
        {t.overlap} <Time at={overlapEndsAt} />.
      </p>
      {formerKeyUses.length === 0 ? (
        <p>{t.formerUnused}</p>
      ) : (
        <>
          <p>{t.formerUsed}</p>
          <ul>
            {formerKeyUses.map(({ address, lastUsedAt }) => (
              <li key={address}>
                <code>{address}</code>, <Time at={lastUsedAt} />
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
