import { ApiProblem, type Problem } from '@drawbridge/client';

export const ACTS = [1, 2, 3, 4] as const;
export type Act = (typeof ACTS)[number];

/** `stolen`, `accepted` and `missed`: the thief has won. */
export type Result = 'stolen' | 'nothing' | 'blocked' | 'refused' | 'accepted' | 'caught' | 'missed';

/** A request of the run, as the server has seen and answered it. */
export interface RecordedRequest {
  at: string;
  /** The sender: `owner`, `script`, `thief`, or an attempt of the other site. */
  as: string;
  method: string;
  path: string;
  status: number;
  code: string | null;
  reason: string | null;
  secFetchSite: string | null;
  cookies: string[];
}

/** A request that the thief has sent with the loot. */
export interface ThiefUse {
  method: string;
  path: string;
  presented: 'access token' | 'refresh token' | 'cookies';
  status: number;
  code: string | null;
  reason: string | null;
  body?: { email?: string };
}

/** A line of the source that decides an act. */
export interface DecidingCode {
  file: string;
  /** Null if the line is no longer found. */
  line: number | null;
  text: string | null;
  says: string;
}

/** The report of the server about a run (`src/console/heist/heist-report.service.ts`). It contains no token. */
export interface Report {
  id: string;
  act: Act;
  victim: string;
  pages: string[];
  /** Null while the act goes on. */
  result: Result | null;
  loot: { session: string[] | null; storedKeys: string[]; cookies: string[] } | null;
  uses: ThiefUse[];
  requests: RecordedRequest[];
  violations: { directive: string; blocked: string }[];
  mail: { to: string; subject: string; text: string } | null;
  decidedBy: DecidingCode[];
  limits: string[];
}

/** These routes exist only in development, so the document of the API does not have them. */
export const startAct = (act: Act, contentSecurityPolicy: boolean, signal: AbortSignal): Promise<Report> =>
  call('POST', `acts/${act}`, signal, { contentSecurityPolicy });

export const readReport = (id: string, signal: AbortSignal): Promise<Report> =>
  call('GET', `runs/${id}`, signal);

/** The thief uses the loot once more. */
export const tryLootAgain = (id: string): Promise<Report> => call('POST', `runs/${id}/thief`);

/** The comment of this run that brings the script into the page. */
export const readComment = async (id: string): Promise<string> =>
  (await call<{ comment: string }>('GET', `runs/${id}/script`)).comment;

/** The source of a script of the attack pages. */
export async function readSource(name: string): Promise<string> {
  const response = await fetch(`/dev/heist/pages/${name}`);
  if (!response.ok) throw new ApiProblem((await response.json()) as Problem);
  return response.text();
}

async function call<Answer>(
  method: string,
  path: string,
  signal?: AbortSignal,
  body?: object,
): Promise<Answer> {
  const response = await fetch(`/dev/heist/${path}`, {
    method,
    signal,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new ApiProblem(answer as Problem);
  return answer as Answer;
}
