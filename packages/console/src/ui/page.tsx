import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { configuration } from '../configuration.js';

interface PageProps {
  title: string;
  /** What the page is for, in a sentence. */
  lead?: ComponentChildren;
  children?: ComponentChildren;
}

/** The heading of a page, which is also the title of the document. */
export function Page({ title, lead, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · ${configuration.product}`;
  }, [title]);
  return (
    <>
      <h1>{title}</h1>
      {lead && <p class="lead">{lead}</p>}
      {children}
    </>
  );
}

interface SectionProps {
  title: string;
  children: ComponentChildren;
}

export function Section({ title, children }: SectionProps) {
  return (
    <section>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
