import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api } from './api.js';
import { configuration } from './configuration.js';
import { Link, usePath } from './router.js';
import { loadSession, sessionState, type SessionState } from './session.js';
import { useStore } from './store.js';
import { texts } from './texts.js';
import { Button } from './ui/controls.js';
import { explain, Loading, Notice } from './ui/notices.js';
import { Refusal } from './ui/refusal.js';
import { StepUpDialog } from './ui/step-up-dialog.js';
import { useAction } from './ui/use-action.js';

interface Page {
  path: RegExp;
  /** `anyone`: works without a login. */
  for: 'anyone' | 'user' | 'admin';
  load: () => Promise<{ default: ComponentType<PageProps> }>;
  isDevelopmentOnly?: boolean;
}

/** What a page gets: the groups of its path. */
export interface PageProps {
  params: Record<string, string>;
}

const signIn = () => import('./pages/sign-in.js');
const secondFactorNeeded = () => import('./pages/second-factor-needed.js');

const PAGES: Page[] = [
  { path: /^\/console$/, for: 'user', load: () => import('./pages/devices.js') },
  { path: /^\/console\/security$/, for: 'user', load: () => import('./pages/security.js') },
  { path: /^\/console\/access$/, for: 'user', load: () => import('./pages/access.js') },
  { path: /^\/console\/users$/, for: 'admin', load: () => import('./pages/admin-users.js') },
  { path: /^\/console\/users\/(?<id>[\w-]+)$/, for: 'admin', load: () => import('./pages/admin-user.js') },
  { path: /^\/console\/events$/, for: 'admin', load: () => import('./pages/admin-events.js') },
  { path: /^\/console\/live$/, for: 'admin', load: () => import('./pages/live.js') },
  { path: /^\/console\/playground$/, for: 'anyone', load: () => import('./pages/playground.js') },
  {
    path: /^\/console\/heist$/,
    for: 'anyone',
    load: () => import('./pages/heist.js'),
    isDevelopmentOnly: true,
  },
  { path: /^\/console\/register$/, for: 'anyone', load: () => import('./pages/register.js') },
  { path: /^\/console\/forgot-password$/, for: 'anyone', load: () => import('./pages/forgot-password.js') },
  // The pages that mails link to.
  { path: /^\/verify-email$/, for: 'anyone', load: () => import('./pages/verify-email.js') },
  { path: /^\/reset-password$/, for: 'anyone', load: () => import('./pages/reset-password.js') },
];

export function App() {
  const state = useStore(sessionState);
  const path = usePath();
  useEffect(() => {
    if (state.kind === 'loading') void loadSession();
  }, []);
  return (
    <>
      <a class="skip" href="#content">
        {texts.common.skip}
      </a>
      <Header state={state} />
      <main id="content" tabIndex={-1}>
        <Outlet path={path} state={state} />
      </main>
      <StepUpDialog />
    </>
  );
}

function Header({ state }: { state: SessionState }) {
  const t = texts.navigation;
  const signOut = useAction(() => api.logout());
  const user = state.kind === 'signed-in' ? state.user : null;
  return (
    <header>
      <Link to="/console" class="brand">
        {configuration.product}
      </Link>
      <nav aria-label={t.label}>
        {user && (
          <>
            <Link to="/console">{t.devices}</Link>
            <Link to="/console/security">{t.security}</Link>
            <Link to="/console/access">{t.access}</Link>
          </>
        )}
        {user?.roles.includes('admin') && (
          <>
            <Link to="/console/users">{t.users}</Link>
            <Link to="/console/events">{t.events}</Link>
            <Link to="/console/live">{t.live}</Link>
          </>
        )}
        {user && <Link to="/console/playground">{t.playground}</Link>}
        {configuration.development && <Link to="/console/heist">{t.heist}</Link>}
      </nav>
      {user && (
        <div class="account">
          <span class="email" title={t.signedInAs(user.email)}>
            {user.email}
          </span>
          <Button isBusy={signOut.isRunning} onClick={signOut.run}>
            {t.signOut}
          </Button>
        </div>
      )}
    </header>
  );
}

function Outlet({ path, state }: { path: string; state: SessionState }) {
  const page = PAGES.find(
    (page) => page.path.test(path) && (configuration.development || !page.isDevelopmentOnly),
  );
  if (!page) return <Refusal title={texts.common.notFoundTitle}>{texts.common.notFound}</Refusal>;
  if (page.for !== 'anyone') {
    if (state.kind === 'loading') return <Loading />;
    if (state.kind === 'unreachable') return <Unreachable error={state.error} />;
    if (state.kind === 'signed-out') return <Lazy load={signIn} params={{}} />;
    if (state.kind === 'needs-second-factor') return <Lazy load={secondFactorNeeded} params={{}} />;
    if (page.for === 'admin' && !state.user.roles.includes('admin'))
      return <Refusal title={texts.common.forbiddenTitle}>{texts.problems['auth.forbidden']}</Refusal>;
  }
  return <Lazy load={page.load} params={page.path.exec(path)!.groups ?? {}} />;
}

function Unreachable({ error }: { error: unknown }) {
  return (
    <Notice kind="bad">
      {explain(error)} <Button onClick={loadSession}>{texts.common.tryAgain}</Button>
    </Notice>
  );
}

/** Loads a page on first use. */
function Lazy({ load, params }: Pick<Page, 'load'> & PageProps) {
  const [loaded, setLoaded] = useState<{ load: Page['load']; Content: ComponentType<PageProps> }>();
  const [error, setError] = useState<unknown>();
  const read = () =>
    load().then(
      ({ default: Content }) => setLoaded({ load, Content }),
      (error: unknown) => setError(error),
    );
  useEffect(() => void read(), [load]);
  if (loaded?.load === load) return <loaded.Content params={params} />;
  if (error === undefined) return <Loading />;
  return (
    <Notice kind="bad">
      {texts.common.unreachable} <Button onClick={() => location.reload()}>{texts.common.tryAgain}</Button>
    </Notice>
  );
}
