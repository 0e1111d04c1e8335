import type { Operations } from '@drawbridge/client';
import { request } from '../../api.js';
import { useFragment } from '../../fragment.js';
import { texts } from '../../texts.js';
import { Button } from '../../ui/controls.js';
import { ConfirmButton } from '../../ui/dialog.js';
import { ErrorNotice, Loaded, Notice } from '../../ui/notices.js';
import { Section } from '../../ui/page.js';
import { Time } from '../../ui/time.js';
import { useAction } from '../../ui/use-action.js';
import { useResource, type Resource } from '../../ui/use-resource.js';

type Accounts = Operations['GET /v1/auth/identities']['answer'];
type Provider = Operations['GET /v1/auth/social']['answer']['items'][number];

const t = texts.security;

/** The outside accounts of the user. Without a provider and an account, there is no such section. */
export function OutsideAccounts({ accounts }: { accounts: Resource<Accounts> }) {
  const providers = useResource('GET /v1/auth/social', { anonymous: true }).value?.items ?? [];
  const items = accounts.value?.items ?? [];
  if (providers.length === 0 && items.length === 0) return null;
  const nameOf = (id: string) => providers.find((provider) => provider.id === id)?.name ?? id;
  const unlinked = providers.filter(({ id }) => !items.some(({ provider }) => provider === id));
  return (
    <Section title={t.outside}>
      <p class="quiet">{t.outsideExplained}</p>
      <LinkResult />
      <Loaded resource={accounts} isEmpty={({ items }) => items.length === 0} empty={t.noOutside}>
        {({ items }) => (
          <ul class="cards">
            {items.map((account) => (
              <AccountCard
                key={account.id}
                account={account}
                provider={nameOf(account.provider)}
                onUnlinked={accounts.reload}
              />
            ))}
          </ul>
        )}
      </Loaded>
      {accounts.value && unlinked.map((provider) => <LinkButton key={provider.id} {...provider} />)}
    </Section>
  );
}

/** What came out of the last link. The provider has led the browser back to this page. */
function LinkResult() {
  const result = useFragment();
  if (result?.get('social') === 'linked') return <Notice kind="good">{t.linked}</Notice>;
  const refusal = result?.get('social_error');
  if (!refusal) return null;
  return (
    <Notice kind="bad">
      {(texts.outside.refusals as Record<string, string>)[refusal] ?? texts.common.unexpected}
    </Notice>
  );
}

interface AccountCardProps {
  account: Accounts['items'][number];
  provider: string;
  onUnlinked: () => Promise<void>;
}

function AccountCard({ account, provider, onUnlinked }: AccountCardProps) {
  const unlink = async () => {
    await request('DELETE /v1/auth/identities/{id}', { params: { id: account.id } });
    await onUnlinked();
  };
  return (
    <li class="card">
      <h3>{provider}</h3>
      <dl>
        {account.email && (
          <>
            <dt>{t.email}</dt>
            <dd>{account.email}</dd>
          </>
        )}
        <dt>{t.linkedAt}</dt>
        <dd>
          <Time at={account.createdAt} />
        </dd>
      </dl>
      <ConfirmButton title={t.unlink} label={t.unlinkLabel(provider)} act={unlink}>
        {t.unlinkExplained(provider)}
      </ConfirmButton>
    </li>
  );
}

function LinkButton({ id: provider, name }: Provider) {
  const link = useAction(async () => {
    const body = { provider, returnTo: location.pathname };
    const { redirectTo } = await request('POST /v1/auth/identities', { body });
    location.assign(redirectTo);
  });
  return (
    <>
      <Button isBusy={link.isRunning} onClick={link.run}>
        {t.link(name)}
      </Button>
      <ErrorNotice error={link.error} />
    </>
  );
}
