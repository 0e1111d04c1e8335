import { texts } from '../texts.js';
import { Page } from '../ui/page.js';
import { ApiKeysSection } from './access/api-keys-section.js';
import { AppsSection } from './access/apps-section.js';

const t = texts.access;

/** The programs and apps that act for the user. */
export default function AccessPage() {
  return (
    <Page title={t.title} lead={t.lead}>
      <ApiKeysSection />
      <AppsSection />
    </Page>
  );
}
