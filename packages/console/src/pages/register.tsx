import { useState } from 'preact/hooks';
import { request } from '../api.js';
import { configuration } from '../configuration.js';
import { Link } from '../router.js';
import { texts } from '../texts.js';
import { Field, Form } from '../ui/controls.js';
import { Notice } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { PasswordField } from '../ui/password-field.js';
import { useAction } from '../ui/use-action.js';

const t = texts.register;

/** Creates an account. The page does not tell whether the address has one already: only a mail does. */
export default function RegisterPage() {
  const [accepted, setAccepted] = useState<string>();
  const register = useAction(async ({ email, password, displayName }: Record<string, string>) => {
    const body = { email: email!, password: password!, ...(displayName && { displayName }) };
    await request('POST /v1/auth/register', { body, anonymous: true });
    setAccepted(email);
  });
  if (accepted !== undefined) return <Accepted email={accepted} />;
  return (
    <div class="narrow">
      <Page title={t.title}>
        <Form action={register} submit={t.submit}>
          <Field label={t.email} name="email" type="email" required maxLength={254} autocomplete="username" />
          <Field label={t.name} name="displayName" maxLength={100} autocomplete="name" />
          <PasswordField label={t.password} name="password" autocomplete="new-password" />
        </Form>
        <p>
          <Link to="/console">{t.signIn}</Link>
        </p>
      </Page>
    </div>
  );
}

function Accepted({ email }: { email: string }) {
  return (
    <div class="narrow">
      <Page title={t.doneTitle}>
        {configuration.verifiesEmail ? (
          <>
            <Notice kind="good">{t.doneByMail(email)}</Notice>
            <p>{t.doneTaken}</p>
            <p>{t.noMail}</p>
          </>
        ) : (
          <Notice kind="good">{t.doneWithoutMail(email)}</Notice>
        )}
        <p>
          <Link to="/console">{t.toSignIn}</Link>
        </p>
      </Page>
    </div>
  );
}
