import { texts } from '../../texts.js';
import { problemCodesOf } from './activity.js';
import type { Totals } from './live-events.js';
import type { Sample } from './live-state.js';
import { Bars, Curve } from './sparkline.js';

const t = texts.live;
const MAX_CODES = 8;

interface ChartsProps {
  samples: Sample[];
  totals: Totals | null;
  now: number;
}

/** Numbers of all instances together, over the last minute. */
export function Charts({ samples, totals, now }: ChartsProps) {
  return (
    <div class="charts">
      <LiveSessions samples={samples} totals={totals} now={now} />
      <Logins samples={samples} now={now} />
      <Refusals samples={samples} now={now} />
    </div>
  );
}

function LiveSessions({ samples, totals, now }: ChartsProps) {
  const known = samples.flatMap(({ at, liveSessions }) =>
    liveSessions === undefined ? [] : [{ at, value: liveSessions }],
  );
  const values = known.map(({ value }) => value);
  return (
    <div class="card">
      <h3>{t.liveSessions}</h3>
      <p class="figure">
        {totals ? t.count(totals.liveSessions) : '–'}{' '}
        {totals?.isEstimate && <small class="quiet">{t.estimate}</small>}
      </p>
      <Curve points={known} now={now} />
      <p class="quiet">
        {values.length > 0 ? t.between(Math.min(...values), Math.max(...values)) : t.noNumber}
      </p>
    </div>
  );
}

function Logins({ samples, now }: Omit<ChartsProps, 'totals'>) {
  const points = samples.map(({ at, logins }) => ({ at, value: logins }));
  const sum = points.reduce((sum, { value }) => sum + value, 0);
  return (
    <div class="card">
      <h3>{t.logins}</h3>
      <p class="figure">
        {t.count(sum)} <small class="quiet">{t.inLastMinute}</small>
      </p>
      <Bars points={points} now={now} />
      <p class="quiet">{t.atMost(Math.max(0, ...points.map(({ value }) => value)))}</p>
    </div>
  );
}

function Refusals({ samples, now }: Omit<ChartsProps, 'totals'>) {
  const codes = problemCodesOf(samples);
  const shown = codes.slice(0, MAX_CODES);
  // One scale for all codes, so that their bars compare.
  const most = Math.max(1, ...samples.flatMap(({ problems }) => Object.values(problems)));
  return (
    <div class="card">
      <h3>{t.refusals}</h3>
      {shown.length === 0 ? (
        <p class="empty">{t.noRefusal}</p>
      ) : (
        <table class="refusals">
          <thead class="visually-hidden">
            <tr>
              <th scope="col">{t.problem}</th>
              <th scope="col">{t.countInLastMinute}</th>
              <td />
            </tr>
          </thead>
          <tbody>
            {shown.map(({ code, count }) => (
              <tr key={code}>
                <th scope="row">
                  <code>{code}</code>
                </th>
                <td>{t.count(count)}</td>
                <td>
                  <Bars
                    points={samples.map(({ at, problems }) => ({ at, value: problems[code] ?? 0 }))}
                    most={most}
                    now={now}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {codes.length > shown.length && <p class="quiet">{t.moreCodes(codes.length - shown.length)}</p>}
    </div>
  );
}
