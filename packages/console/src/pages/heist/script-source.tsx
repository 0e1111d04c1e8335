import { useState } from 'preact/hooks';
import { texts } from '../../texts.js';
import { ErrorNotice, Loading } from '../../ui/notices.js';
import { useAction } from '../../ui/use-action.js';
import { readComment, readSource, type Act } from './heist-api.js';

const t = texts.heist;

/** The attacking script as the server sends it. The first act shows it, and the others offer it. */
export function ScriptSource({ act }: { act: Act }) {
  const name = act === 3 ? 'thief.js' : 'injected.js';
  return (
    <Source title={t.script(name)} label={t.scriptOf(act)} read={() => readSource(name)} isOpen={act === 1} />
  );
}

/** The comment that brings the script into the forum. */
export function Comment({ act, id }: { act: Act; id: string }) {
  return <Source title={t.comment} label={t.commentOf(act)} read={() => readComment(id)} />;
}

interface SourceProps {
  title: string;
  /** Unlike the title, it is unique in the page. */
  label: string;
  read: () => Promise<string>;
  /** Shown at once. */
  isOpen?: boolean;
}

/** Source code that is read when it is opened first. */
function Source({ title, label, read, isOpen }: SourceProps) {
  const [source, setSource] = useState<string>();
  const load = useAction(async () => setSource((await read()).trimEnd()));
  const onToggle = (event: Event) => {
    const { open } = event.currentTarget as HTMLDetailsElement;
    if (open && source === undefined) void load.run();
  };
  return (
    <details open={isOpen} onToggle={onToggle}>
      <summary>{title}</summary>
      {load.isRunning && <Loading />}
      <ErrorNotice error={load.error} />
      {source !== undefined && (
        <pre tabIndex={0} role="region" aria-label={label}>
          {source}
        </pre>
      )}
    </details>
  );
}
