import { ApiProblem } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { api } from '../../api.js';
import { configuration } from '../../configuration.js';
import { hasPasskeys } from '../../passkeys.js';
import { outsideSignInUrl } from '../../outside-sign-in.js';
import { Link } from '../../router.js';
import { signedIn } from '../../session.js';
import { texts } from '../../texts.js';
import { Button, Field, Form } from '../../ui/controls.js';
import { ErrorNotice, Notice } from '../../ui/notices.js';
import { PasswordField } from '../../ui/password-field.js';
import { useAction } from '../../ui/use-action.js';
import { useResource } from '../../ui/use-resource.js';
import type { Challenge } from '../sign-in.js';
import { usePasskeySignIn } from './use-passkey-sign-in.js';

const t = texts.signIn;

/** The first step: a password, a passkey, or an account of another service. */
export function PasswordStep({ onChallenge }: { onChallenge: (challenge: Challenge) => void }) {
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const login = useAction(async ({ email, password }: Record<string, string>) => {
    const answer = await api.login({ email: email!, password: password! });
    if ('challengeToken' in answer) onChallenge(answer);
    else await signedIn();
  });
  return (
    <>
      <Form action={isRefused(login.error) ? { ...login, error: undefined } : login} submit={t.submit}>
        <Field
          label={t.email}
          name="email"
          type="email"
          required
          autocomplete="username webauthn"
          value={email}
          onInput={(event) => setEmail(event.currentTarget.value)}
        />
        <PasswordField
          label={t.password}
          name="password"
          autocomplete="current-password"
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
        {isRefused(login.error) && <Notice kind="bad">{t.refused}</Notice>}
      </Form>
      <OtherWays />
      <p>
        <Link to="/console/forgot-password">{t.forgot}</Link> ·{' '}
        <Link to="/console/register">{t.register}</Link>
      </p>
      <DemoUsers
        choose={(email) => {
          setEmail(email);
          setPassword(configuration.demo.password);
        }}
      />
    </>
  );
}

/** A passkey, and the accounts of other services. */
function OtherWays() {
  const passkey = usePasskeySignIn();
  const { value: outside } = useResource('GET /v1/auth/social', { anonymous: true });
  if (!hasPasskeys && !outside?.items.length) return null;
  return (
    <div class="ways">
      <p class="or">{t.or}</p>
      {hasPasskeys && (
        <Button isBusy={passkey.isRunning} onClick={passkey.run}>
          {t.usePasskey}
        </Button>
      )}
      {isRefused(passkey.error) ? (
        <Notice kind="bad">{t.passkeyRefused}</Notice>
      ) : (
        <ErrorNotice error={passkey.error} />
      )}
      {outside?.items.map(({ id, name }) => (
        <Button key={id} onClick={() => location.assign(outsideSignInUrl(id))}>
          {texts.outside.signInWith(name)}
        </Button>
      ))}
    </div>
  );
}

const isRefused = (error: unknown): boolean =>
  error instanceof ApiProblem && error.code === 'auth.invalid_credentials';

/** Development has users whose password everyone knows. */
function DemoUsers({ choose }: { choose: (email: string) => void }) {
  if (configuration.demo.emails.length === 0) return null;
  return (
    <aside class="demo">
      <p>{t.demo}</p>
      <div class="actions">
        {configuration.demo.emails.map((email) => (
          <Button key={email} onClick={() => choose(email)}>
            {email}
          </Button>
        ))}
      </div>
    </aside>
  );
}
