import { texts } from '../../texts.js';
import type { Run } from './use-heist.js';

const t = texts.heist;

/** The forum, and in act 3 the site of the thief: in frames, or as links to tabs. */
export function AttackPages({ run: { report, inTabs } }: { run: Run }) {
  if (inTabs) return <Links pages={report.pages} />;
  // A frame shows no answer of the API, and browsers show an error of their own instead.
  const hasNavigated = report.requests.some(({ as }) => as === 'form-navigation');
  return (
    <div class="attack-pages">
      {report.pages.map((url, index) => (
        <figure key={url}>
          <figcaption>
            {t.pages[index]} <code>{new URL(url).origin}</code>
          </figcaption>
          {index === 1 && hasNavigated ? <p>{t.navigated}</p> : <iframe src={url} title={t.pages[index]} />}
        </figure>
      ))}
    </div>
  );
}

function Links({ pages }: { pages: string[] }) {
  return (
    <ol>
      {pages.map((url, index) => (
        <li key={url}>
          <a href={url} target="_blank" rel="noopener">
            {t.openPage(t.pages[index]!)}
          </a>
        </li>
      ))}
    </ol>
  );
}
