import { useState } from 'preact/hooks';
import { request } from '../api.js';
import { Link } from '../router.js';
import { texts } from '../texts.js';
import { Field, Form } from '../ui/controls.js';
import { Notice } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { useAction } from '../ui/use-action.js';

const t = texts.forgotPassword;

/** Requests a link by mail. The page does not tell whether the address has an account. */
export default function ForgotPasswordPage() {
  const [accepted, setAccepted] = useState<string>();
  const forgot = useAction(async ({ email }: Record<string, string>) => {
    await request('POST /v1/auth/password/forgot', { body: { email: email! }, anonymous: true });
    setAccepted(email);
  });
  return (
    <div class="narrow">
      {accepted === undefined ? (
        <Page title={t.title} lead={t.lead}>
          <Form action={forgot} submit={t.submit}>
            <Field
              label={t.email}
              name="email"
              type="email"
              required
              maxLength={254}
              autocomplete="username"
            />
          </Form>
        </Page>
      ) : (
        <Page title={t.doneTitle}>
          <Notice kind="good">{t.done(accepted)}</Notice>
          <p>{t.noMail}</p>
        </Page>
      )}
      <p>
        <Link to="/console">{t.toSignIn}</Link>
      </p>
    </div>
  );
}
