import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { replaceQuery } from '../../router.js';
import { texts } from '../../texts.js';
import { Select } from '../../ui/choices.js';
import { Button, Field, Form } from '../../ui/controls.js';
import { instantOf, localOf } from '../../ui/dates.js';
import { Notice } from '../../ui/notices.js';
import { useAction } from '../../ui/use-action.js';
import { eventName } from './event-names.js';
import { useUserEmail } from './user-link.js';

const t = texts.events;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

interface EventFiltersProps {
  /** From the address. Instants are in RFC 3339. */
  filters: { userId?: string; type?: string; from?: string; to?: string };
}

/** Filters on submit and not while typing, because the server records each read of the events. */
export function EventFilters({ filters }: EventFiltersProps) {
  const [type, setType] = useState(filters.type ?? '');
  const [from, setFrom] = useState(localOf(filters.from));
  const [to, setTo] = useState(localOf(filters.to));
  const [user, setUser] = useState<string>();
  const [isUnknown, setUnknown] = useState(false);
  const email = useUserEmail(filters.userId);
  const shownUser = user ?? email ?? '';
  const filter = useAction(async () => {
    const userId = shownUser === email ? filters.userId : await idOf(shownUser.trim());
    setUnknown(userId === null);
    if (userId === null) return;
    replaceQuery({ userId: userId ?? '', type, from: instantOf(from) ?? '', to: instantOf(to) ?? '' });
  });
  return (
    <Form action={filter} submit={t.filter} beside={<ClearButton filters={filters} />}>
      <div class="filters">
        <Field label={t.user} hint={t.userHint} name="user" value={shownUser} onInput={into(setUser)} />
        <Select label={t.type} name="type" options={typeOptions(type)} value={type} onChange={setType} />
        <Field label={t.from} name="from" type="datetime-local" value={from} onInput={into(setFrom)} />
        <Field label={t.to} name="to" type="datetime-local" value={to} onInput={into(setTo)} />
      </div>
      {isUnknown && <Notice kind="bad">{t.unknownUser}</Notice>}
    </Form>
  );
}

function ClearButton({ filters }: EventFiltersProps) {
  if (Object.values(filters).every((value) => value === undefined)) return null;
  return <Button onClick={() => replaceQuery({})}>{t.clear}</Button>;
}

const into =
  (set: (value: string) => void) =>
  ({ currentTarget }: { currentTarget: HTMLInputElement }) =>
    set(currentTarget.value);

/** All types with a name, and the chosen one: a feature may have defined it without naming it here. */
function typeOptions(chosen: string): (readonly [string, string])[] {
  const types = new Set([...Object.keys(t.types), ...(chosen ? [chosen] : [])]);
  const named = [...types].map((type) => [type, eventName(type)] as const);
  return [['', t.allTypes], ...named.sort(([, a], [, b]) => a.localeCompare(b, texts.locale))];
}

/** @returns undefined for no user, null if none has the e-mail address */
async function idOf(user: string): Promise<string | null | undefined> {
  if (user === '') return undefined;
  if (UUID.test(user)) return user;
  const { items } = await request('GET /v1/admin/users', { query: { query: user } });
  return items.find(({ email }) => email.toLowerCase() === user.toLowerCase())?.id ?? null;
}
