import type { ComponentChildren } from 'preact';

type Entry = readonly [term: string, description: ComponentChildren] | false | '' | null | undefined;

/** A list of terms and what they are. Entries that are not there are left out. */
export function Definitions({ entries }: { entries: Entry[] }) {
  return (
    <dl>
      {entries.map(
        (entry) =>
          entry && (
            <>
              <dt>{entry[0]}</dt>
              <dd>{entry[1]}</dd>
            </>
          ),
      )}
    </dl>
  );
}

interface BadgeProps {
  kind?: 'good' | 'bad';
  children: ComponentChildren;
}

export function Badge({ kind, children }: BadgeProps) {
  return <span class={kind ? `badge ${kind}` : 'badge'}>{children}</span>;
}
