import { api } from '../../api.js';
import { configuration } from '../../configuration.js';
import { loadSession, sessionState } from '../../session.js';
import { readReport, startAct, type Act, type Report } from './heist-api.js';

const INTERVAL_MS = 500;
/** About a minute: a page in a tab waits until the user has opened it. */
const MAX_REPORTS = 120;

/** The demo user who is attacked. */
export const VICTIM = 'alice@example.com';

/** Acts 2 and 3 attack the session of this browser. The others log in without cookies. */
export const attacksThisBrowser = (act: Act): boolean => act === 2 || act === 3;

/** The server has reported no result in time. */
export class Overdue extends Error {}

/**
 * Starts an act, and yields what the server reports of it until the report is complete.
 * @throws Overdue | ApiProblem | TypeError (no network)
 */
export async function* perform(
  act: Act,
  contentSecurityPolicy: boolean,
  signal: AbortSignal,
): AsyncGenerator<Report> {
  if (attacksThisBrowser(act)) await ensureSession();
  let report = await startAct(act, contentSecurityPolicy, signal);
  yield report;
  for (let reports = 0; reports < MAX_REPORTS && !isComplete(report); reports++) {
    await new Promise((wake) => setTimeout(wake, INTERVAL_MS));
    report = await readReport(report.id, signal);
    yield report;
  }
  if (report.result === null) throw new Overdue();
}

/**
 * The client of this page would not notice a login of the forum, so the login happens here. Loading the session also
 * refreshes it: the forum would take an expired access token for no session, and log in as another user.
 */
async function ensureSession(): Promise<void> {
  if (sessionState.value.kind !== 'signed-out') await loadSession();
  if (sessionState.value.kind !== 'signed-out') return;
  await api.login({ email: VICTIM, password: configuration.demo.password });
  await loadSession();
}

/** Some evidence arrives after the result: a mail, a request of the script, the last request of the owner. */
function isComplete({ result, mail, requests }: Report): boolean {
  const countOf = (sender: string) =>
    requests.filter(({ as, status }) => as === sender && status === 200).length;
  switch (result) {
    case null:
      return false;
    case 'caught':
      return mail !== null;
    case 'nothing':
      return countOf('script') > 0;
    case 'refused':
      return countOf('owner') > 1;
    default:
      return true;
  }
}
