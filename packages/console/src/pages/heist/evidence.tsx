import type { ComponentChildren } from 'preact';
import { texts } from '../../texts.js';
import type { RecordedRequest, Report, ThiefUse } from './heist-api.js';

const t = texts.heist;

/** Everything that the server has recorded of a run. */
export function Evidence({ report }: { report: Report }) {
  const { act, loot, uses, violations, mail, requests } = report;
  return (
    <>
      {loot && <Loot loot={loot} />}
      {uses.length > 0 && (
        <Part title={t.uses}>
          <ol>
            {uses.map((use, index) => (
              <Use key={index} use={use} />
            ))}
          </ol>
        </Part>
      )}
      {violations.length > 0 && (
        <Part title={t.blockedByBrowser}>
          <ul>
            {violations.map(({ directive, blocked }, index) => (
              <li key={index}>
                <code>{directive}</code>: {blocked}
              </li>
            ))}
          </ul>
        </Part>
      )}
      <Part title={t.requests}>
        <Requests requests={requests} label={t.requestsOf(act)} />
      </Part>
      {mail && (
        <Part title={t.mail(mail.to)}>
          <details>
            <summary>{mail.subject}</summary>
            <p class="mail">{mail.text}</p>
          </details>
        </Part>
      )}
    </>
  );
}

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <>
      <h3>{title}</h3>
      {children}
    </>
  );
}

function Loot({ loot: { session, storedKeys, cookies } }: { loot: NonNullable<Report['loot']> }) {
  return (
    <Part title={t.loot}>
      <dl>
        <dt>localStorage</dt>
        <dd>{list(storedKeys)}</dd>
        <dt>{t.tokens}</dt>
        <dd>{list(session ?? [])}</dd>
        <dt>document.cookie</dt>
        <dd>{list(cookies)}</dd>
      </dl>
    </Part>
  );
}

const list = (names: string[]): string => names.join(', ') || t.none;

function Use({ use: { method, path, presented, status, code, reason, body } }: { use: ThiefUse }) {
  return (
    <li>
      <code>
        {method} {path}
      </code>{' '}
      {t.presented[presented]}: <Answer status={status} code={code} reason={reason} />
      {status === 200 && body?.email && t.hasRead(body.email)}
    </li>
  );
}

function Answer({ status, code, reason }: Pick<ThiefUse, 'status' | 'code' | 'reason'>) {
  return (
    <>
      <span class="badge">{status}</span> {[code, reason].filter(Boolean).join(' · ')}
    </>
  );
}

function Requests({ requests, label }: { requests: RecordedRequest[]; label: string }) {
  if (requests.length === 0) return <p class="empty">{t.none}</p>;
  return (
    <div class="table" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t.sender}</th>
            <th scope="col">{t.request}</th>
            <th scope="col">{t.answer}</th>
            <th scope="col">{t.sentFrom}</th>
            <th scope="col">{t.cookies}</th>
          </tr>
        </thead>
        <tbody>
          {requests.map(({ as, method, path, status, code, reason, secFetchSite, cookies }, index) => (
            <tr key={index}>
              <td>{t.senders[as] ?? as}</td>
              <td>
                <code>
                  {method} {path}
                </code>
              </td>
              <td>
                <Answer status={status} code={code} reason={reason} />
              </td>
              <td>{secFetchSite ?? t.noBrowser}</td>
              <td>{cookies.join(', ') || t.noCookies}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
