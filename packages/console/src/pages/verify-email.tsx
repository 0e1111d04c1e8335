import { useState } from 'preact/hooks';
import { request } from '../api.js';
import { useFragment } from '../fragment.js';
import { isTokenRefused } from '../mailed-token.js';
import { Link } from '../router.js';
import { loadSession, sessionState } from '../session.js';
import { useStore } from '../store.js';
import { texts } from '../texts.js';
import { Form } from '../ui/controls.js';
import { Notice } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { useAction } from '../ui/use-action.js';

const t = texts.mailPages;

/**
 * Confirms the address of a new account, or a changed one. It needs a click: programs that scan mails open links, and
 * would otherwise use the token up.
 */
export default function VerifyEmailPage() {
  const token = useFragment()?.get('token');
  return (
    <div class="narrow">
      {!token ? (
        <Page title={t.verifyTitle}>
          <Notice kind="bad">{t.noToken}</Notice>
        </Page>
      ) : (
        <Verification key={token} token={token} />
      )}
    </div>
  );
}

function Verification({ token }: { token: string }) {
  const [isDone, setDone] = useState(false);
  const isSignedIn = useStore(sessionState).kind === 'signed-in';
  const verify = useAction(async () => {
    await request('POST /v1/auth/email/verify', { body: { token }, anonymous: true });
    setDone(true);
    if (isSignedIn) void loadSession(); // the header shows the address
  });
  if (isDone)
    return (
      <Page title={t.verifyTitle}>
        <Notice kind="good">{t.verified}</Notice>
        <Link to="/console">{isSignedIn ? t.toConsole : t.toSignIn}</Link>
      </Page>
    );
  if (isTokenRefused(verify.error))
    return (
      <Page title={t.verifyTitle}>
        <Notice kind="bad">{t.verifyRefused}</Notice>
        <p>{t.verifyAgain}</p>
        <p>
          <Link to="/console/register">{t.register}</Link> ·{' '}
          <Link to="/console/security">{texts.security.title}</Link>
        </p>
      </Page>
    );
  return (
    <Page title={t.verifyTitle} lead={t.verifyLead}>
      <Form action={verify} submit={t.verify} />
    </Page>
  );
}
