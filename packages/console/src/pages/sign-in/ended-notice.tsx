import { texts } from '../../texts.js';
import { Button } from '../../ui/controls.js';
import { Notice } from '../../ui/notices.js';
import { Time } from '../../ui/time.js';

const t = texts.signIn;

/** Why the session of this page ended. */
export function EndedNotice({ reason, endedAt }: { reason: string; endedAt?: string }) {
  return (
    <Notice kind={reason === 'logout' ? 'info' : 'bad'}>
      <strong>{t.ended}</strong> {(texts.endReasons as Record<string, string>)[reason] ?? reason}{' '}
      {endedAt && <Time at={endedAt} />}
      {reason === 'replaced' && (
        <p>
          <Button onClick={() => location.reload()}>{t.continueAsOther}</Button>
        </p>
      )}
    </Notice>
  );
}
