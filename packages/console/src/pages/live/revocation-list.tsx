import { Link } from '../../router.js';
import { texts } from '../../texts.js';
import { progressOf, type Revocation } from './live-state.js';

const t = texts.live;

interface RevocationListProps {
  revocations: Revocation[];
  selected: number | undefined;
  onSelect: (seq: number) => void;
}

/** The last revocations as text. Selecting one shows its delay at each lane. */
export function RevocationList({ revocations, selected, onSelect }: RevocationListProps) {
  if (revocations.length === 0) return <NoRevocation />;
  return (
    <div class="table tall" tabIndex={0} role="region" aria-label={t.revocations}>
      <table>
        <thead>
          <tr>
            {[t.number, t.reached, t.slowest, t.kind, t.reason, t.when].map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {revocations.map((revocation) => (
            <Row
              key={revocation.seq}
              revocation={revocation}
              isSelected={revocation.seq === selected}
              onSelect={() => onSelect(revocation.seq)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  revocation: Revocation;
  isSelected: boolean;
  onSelect: () => void;
}

function Row({ revocation, isSelected, onSelect }: RowProps) {
  const { seq, at, kind, reason } = revocation;
  const { reached, lanes, slowest } = progressOf(revocation);
  return (
    <tr class={isSelected ? 'selected' : undefined}>
      <th scope="row">
        <button type="button" aria-pressed={isSelected} aria-label={t.select(seq)} onClick={onSelect}>
          {seq}
        </button>
      </th>
      <td>
        <span class={`badge ${reached === lanes ? 'good' : ''}`}>{t.progress(reached, lanes)}</span>
      </td>
      <td>{slowest && t.delay(slowest.delayMs, slowest.errorMs)}</td>
      <td>{t.kinds[kind]}</td>
      <td>
        <code>{reason}</code>
      </td>
      <td>
        <time dateTime={new Date(at).toISOString()}>
          {new Date(at).toLocaleTimeString(texts.locale, { timeStyle: 'medium' })}
        </time>
      </td>
    </tr>
  );
}

function NoRevocation() {
  return (
    <p class="empty">
      {t.noRevocation} <Link to="/console">{t.endOwn}</Link> {t.or}{' '}
      <Link to="/console/users">{t.endOfUser}</Link>
    </p>
  );
}
