import { useState } from 'preact/hooks';
import { request } from '../api.js';
import { useFragment } from '../fragment.js';
import { isTokenRefused } from '../mailed-token.js';
import { Link } from '../router.js';
import { texts } from '../texts.js';
import { Form } from '../ui/controls.js';
import { Notice } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { PasswordField } from '../ui/password-field.js';
import { useAction } from '../ui/use-action.js';

const t = texts.mailPages;

/** Sets a new password with the token of a mail. */
export default function ResetPasswordPage() {
  const token = useFragment()?.get('token');
  return (
    <div class="narrow">
      {!token ? (
        <Page title={t.resetTitle}>
          <Notice kind="bad">{t.noToken}</Notice>
          <Link to="/console/forgot-password">{t.resetAgain}</Link>
        </Page>
      ) : (
        <Reset key={token} token={token} />
      )}
    </div>
  );
}

function Reset({ token }: { token: string }) {
  const [isDone, setDone] = useState(false);
  const reset = useAction(async ({ newPassword }: Record<string, string>) => {
    const body = { token, newPassword: newPassword! };
    await request('POST /v1/auth/password/reset', { body, anonymous: true });
    setDone(true);
  });
  if (isDone)
    return (
      <Page title={t.resetTitle}>
        <Notice kind="good">{t.resetDone}</Notice>
        <Link to="/console">{t.toSignIn}</Link>
      </Page>
    );
  if (isTokenRefused(reset.error))
    return (
      <Page title={t.resetTitle}>
        <Notice kind="bad">{t.resetRefused}</Notice>
        <Link to="/console/forgot-password">{t.resetAgain}</Link>
      </Page>
    );
  return (
    <Page title={t.resetTitle} lead={t.resetLead}>
      <Form action={reset} submit={t.reset}>
        <PasswordField label={t.newPassword} name="newPassword" autocomplete="new-password" autofocus />
      </Form>
    </Page>
  );
}
