import { askForProof } from '../step-up.js';
import { loadSession } from '../session.js';
import { texts } from '../texts.js';
import { Button } from '../ui/controls.js';
import { Loaded } from '../ui/notices.js';
import { Page, Section } from '../ui/page.js';
import { useResource } from '../ui/use-resource.js';
import { AuthenticatorApp } from './security/authenticator-app.js';
import { Passkeys } from './security/passkeys.js';

const t = texts.security;

async function verify(): Promise<void> {
  if (await askForProof({ needsSecondFactor: true })) await loadSession();
}

/** An admin without a verified second factor enrols one, or verifies the one that exists (`ADMIN_MFA`). */
export default function SecondFactorNeededPage() {
  const factors = useResource('GET /v1/auth/mfa');
  return (
    <Page title={t.secondFactorNeeded} lead={t.secondFactorNeededLead}>
      <Loaded resource={factors}>
        {({ totp, passkeys }) =>
          totp || passkeys > 0 ? (
            <>
              <p>{t.verifyFactor}</p>
              <Button kind="primary" onClick={verify}>
                {t.verifyNow}
              </Button>
            </>
          ) : (
            <div class="settings">
              <Section title={t.app}>
                <AuthenticatorApp onAdded={loadSession} />
              </Section>
              <Section title={t.passkeys}>
                <Passkeys onAdded={loadSession} />
              </Section>
            </div>
          )
        }
      </Loaded>
    </Page>
  );
}
