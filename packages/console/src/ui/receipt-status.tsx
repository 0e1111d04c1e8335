import type { Receipt } from '@drawbridge/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { request } from '../api.js';
import { sessionState } from '../session.js';
import { texts } from '../texts.js';
import { useNow } from './use-now.js';

const t = texts.receipts;
const POLL_MS = 1_000;

interface ReceiptStatusProps {
  receipt: Receipt | null;
  /** Says what was done: "The session has ended." */
  done: string;
  /** The receipt is of ended sessions, whose access tokens have a bound of their own. */
  endsSessions?: boolean;
}

/**
 * Says whether a revocation is in force on all instances, or counts down to the time at which it will be. It gets the
 * focus, because the button for the action may have disappeared.
 */
export function ReceiptStatus({ receipt, done, endsSessions = false }: ReceiptStatusProps) {
  const ref = useRef<HTMLDivElement>(null);
  const current = useFollowed(receipt);
  useEffect(() => {
    if (receipt) ref.current?.focus();
  }, [receipt]);
  const kind = current?.status === 'applied' ? 'notice good' : 'notice';
  return (
    <div class={current ? kind : undefined} role="status" tabIndex={-1} ref={ref}>
      {current && (
        <>
          <strong>{done}</strong> <Progress receipt={current} />
          {endsSessions && <AccessTier receipt={current} />}
        </>
      )}
    </div>
  );
}

function Progress({ receipt }: { receipt: Receipt }) {
  const { status, sessionTierBy, endedSessions, remainingSessions } = receipt;
  const isCounting = status === 'pending' && remainingSessions === undefined;
  const now = useNow(isCounting);
  if (status === 'applied') return <>{t.applied}</>;
  if (remainingSessions !== undefined) return <>{t.remaining(endedSessions, remainingSessions)}</>;
  const seconds = Math.max(0, Math.ceil((Date.parse(sessionTierBy) - now) / 1_000));
  return (
    <>
      {t.pending(clockTime(sessionTierBy))}{' '}
      {/* Hidden from screen readers, which would announce each second. The text before has the exact time. */}
      <span aria-hidden="true" class="countdown">
        {t.countdown(seconds)}
      </span>
    </>
  );
}

function AccessTier({ receipt: { accessTierBy } }: { receipt: Receipt }) {
  return <p class="small">{t.accessTier(clockTime(accessTierBy))}</p>;
}

/** The receipt as it stands now. Admins may ask for it; for others the bound decides, which is a hard one. */
function useFollowed(receipt: Receipt | null): Receipt | null {
  const [current, setCurrent] = useState(receipt);
  useEffect(() => {
    setCurrent(receipt);
    if (receipt?.status !== 'pending') return;
    let timer: ReturnType<typeof setTimeout>;
    let isOver = false;
    const follow = async () => {
      const latest = await lookUp(receipt);
      if (isOver) return;
      if (latest) setCurrent(latest);
      if (latest?.status !== 'applied') timer = setTimeout(follow, POLL_MS);
    };
    timer = setTimeout(follow, POLL_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [receipt]);
  return current;
}

/** @returns null if the server cannot tell at present: the next poll may */
async function lookUp(receipt: Receipt): Promise<Receipt | null> {
  const { value } = sessionState;
  if (value.kind === 'signed-in' && value.user.roles.includes('admin'))
    return request('GET /v1/admin/revocations/{seq}', { params: { seq: receipt.seq } }).catch(() => null);
  return Date.now() >= Date.parse(receipt.sessionTierBy) ? { ...receipt, status: 'applied' } : null;
}

const clockTime = (instant: string): string =>
  new Date(instant).toLocaleTimeString(texts.locale, { timeStyle: 'medium' });
