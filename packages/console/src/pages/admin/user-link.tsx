import { useEffect, useState } from 'preact/hooks';
import { request } from '../../api.js';
import { Link } from '../../router.js';

/** The addresses that were asked for. A reload of the page empties it. */
const emails = new Map<string, Promise<string | null>>();

/** The e-mail address of a user: undefined until it is known. A deleted user has none, so the id takes its place. */
export function useUserEmail(id: string | undefined): string | undefined {
  const [known, setKnown] = useState<{ id: string; email: string | null }>();
  useEffect(() => {
    if (id) void emailOf(id).then((email) => setKnown({ id, email }));
  }, [id]);
  return known && known.id === id ? (known.email ?? id) : undefined;
}

function emailOf(id: string): Promise<string | null> {
  const asked = emails.get(id);
  if (asked) return asked;
  const answer = request('GET /v1/admin/users/{id}', { params: { id } }).then(
    ({ email }) => email,
    () => null,
  );
  emails.set(id, answer);
  return answer;
}

export function UserLink({ id }: { id: string }) {
  return <Link to={`/console/users/${id}`}>{useUserEmail(id) ?? id}</Link>;
}
