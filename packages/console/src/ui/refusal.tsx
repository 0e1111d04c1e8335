import { Notice } from './notices.js';
import { Page } from './page.js';

/** The page in place of one that does not exist, or that the user may not see. */
export function Refusal({ title, children }: { title: string; children: string }) {
  return (
    <Page title={title}>
      <Notice kind="bad">{children}</Notice>
    </Page>
  );
}
