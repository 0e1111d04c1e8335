import { sessionState } from '../session.js';
import { useStore } from '../store.js';
import { texts } from '../texts.js';
import { Loaded } from '../ui/notices.js';
import { Page, Section } from '../ui/page.js';
import { useResource } from '../ui/use-resource.js';
import { AuthenticatorApp } from './security/authenticator-app.js';
import { DeleteAccount } from './security/delete-account.js';
import { EmailAddress } from './security/email-address.js';
import { OutsideAccounts } from './security/outside-accounts.js';
import { Passkeys } from './security/passkeys.js';
import { Password } from './security/password.js';
import { ProfileForm } from './security/profile-form.js';

const t = texts.security;

/** How the user signs in, and what belongs to the account. */
export default function SecurityPage() {
  const state = useStore(sessionState);
  const accounts = useResource('GET /v1/auth/identities');
  if (state.kind !== 'signed-in') return null;
  const { user } = state;
  return (
    <Page title={t.title} lead={t.lead}>
      <div class="settings">
        <Section title={t.profile}>
          <ProfileForm user={user} />
        </Section>
        <Section title={t.email}>
          <EmailAddress email={user.email} />
        </Section>
        <Section title={t.password}>
          <Loaded resource={accounts}>
            {({ hasPassword }) => <Password hasPassword={hasPassword} email={user.email} />}
          </Loaded>
        </Section>
        <Section title={t.passkeys}>
          <Passkeys />
        </Section>
        <Section title={t.app}>
          <AuthenticatorApp />
        </Section>
        <OutsideAccounts accounts={accounts} />
        <Section title={t.remove}>
          <DeleteAccount email={user.email} />
        </Section>
      </div>
    </Page>
  );
}
