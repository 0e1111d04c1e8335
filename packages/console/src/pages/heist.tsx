import { sessionState } from '../session.js';
import { useStore } from '../store.js';
import { texts } from '../texts.js';
import { Notice } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { ActSection } from './heist/act.js';
import { ACTS } from './heist/heist-api.js';
import { VICTIM } from './heist/perform.js';
import { useHeist } from './heist/use-heist.js';

const t = texts.heist;
/** A browser takes these names for two sites, and the server has both. */
const NAMES = ['localhost', '127.0.0.1'];

/** Four attacks on this server: what runs, what came of it, and the code that decides it. */
export default function HeistPage() {
  const heist = useHeist();
  const session = useStore(sessionState);
  const thief = NAMES.find((name) => name !== location.hostname)!;
  if (!NAMES.includes(location.hostname))
    return (
      <Page title={t.title} lead={t.lead}>
        <Notice kind="bad">{t.wrongName}</Notice>
      </Page>
    );
  return (
    <Page title={t.title} lead={t.lead}>
      <p>{t.sites(location.hostname, thief)}</p>
      <Notice>
        {session.kind === 'signed-in' ? t.ownSession(session.user.email) : t.newSession(VICTIM)}
      </Notice>
      {ACTS.map((act) => (
        <ActSection key={act} act={act} heist={heist} />
      ))}
    </Page>
  );
}
