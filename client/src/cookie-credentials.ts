import type { Grant } from './api-types.js';
import { renewAtOf, type AuthRequest, type Credentials, type Held, type Person } from './credentials.js';
import type { EndReason } from './errors.js';
import type { Time } from './time.js';

/** What we use of a `BroadcastChannel`: whatever is posted reaches all others of one name, and not who posts it. */
export interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  close(): void;
}

/** What tabs tell each other about the cookies that they share: whose session has begun, was renewed or has ended. Never a token. */
type Note =
  | ({ kind: 'begun' | 'renewed'; expiresIn?: number } & Person)
  | { kind: 'ended'; sessionId?: string; reason: EndReason; endedAt?: string };

/** What another tab's note means for this one. */
export interface Elsewhere {
  ended(reason: EndReason, endedAt?: string): void;
  /** The person of this tab has logged in again, or the first person has. */
  begun(): void;
}

/** Asks the server whose access token the browser sends: null for no one logged in, undefined if the server does not answer. */
export type WhoAmI = () => Promise<Person | null | undefined>;

/** The browser holds the tokens and no script sees them. A tab knows of them what the server and the other tabs say. */
export class CookieCredentials implements Credentials {
  /** The server lets no other origin in by cookie. */
  readonly mode = 'same-origin';
  readonly transport = 'cookie';
  private mark = 0;
  /** The person for whom this tab has made calls. null: none. undefined: unknown, because the server has not answered yet. */
  private person: Person | null | undefined = null;
  /** Settled where the server has said who it is. */
  private asking: Promise<void> | null = null;
  private heard: Promise<void> = Promise.resolve();
  private renewAt: number | undefined;

  constructor(
    private readonly channel: Channel | null,
    private readonly time: Time,
    private readonly elsewhere: Elsewhere,
    private readonly whoAmI: WhoAmI,
  ) {
    channel?.addEventListener('message', ({ data }) => this.hear(data as Note | null));
  }

  /** The first call of a tab asks `whoami` as well, beside it: only a tab that knows its person can judge the notes of others. */
  async held(): Promise<Held> {
    if (this.channel && !this.person) this.asking ??= this.identify();
    return this.now();
  }

  async look(): Promise<Held> {
    return this.now();
  }

  /** Only a note can say so. */
  async isBack(): Promise<boolean> {
    return false;
  }

  async loginRequest(login: object): Promise<AuthRequest> {
    return { body: { ...login, transport: 'cookie' } };
  }

  async secondStepRequest(step: object): Promise<AuthRequest> {
    return { body: step };
  }

  reauthenticationRequest(_held: Held, proof: object): AuthRequest {
    return { body: proof };
  }

  refreshRequest(): AuthRequest {
    return {};
  }

  logoutRequest(): AuthRequest {
    return {};
  }

  async begin(grant: Grant): Promise<Held> {
    return this.keep('begun', grant);
  }

  async renew(grant: Grant): Promise<Held> {
    return this.keep('renewed', grant);
  }

  async drop(_held: Held, reason: EndReason, endedAt?: string): Promise<void> {
    this.tell({ kind: 'ended', sessionId: this.person?.sessionId, reason, endedAt });
    this.forgetUnknown();
  }

  close(): void {
    this.channel?.close();
  }

  moved(person: Person): Held {
    this.person = person;
    this.mark++;
    return this.now();
  }

  private keep(kind: 'begun' | 'renewed', { user, session, accessTokenExpiresIn }: Grant): Held {
    const note = { kind, userId: user.id, sessionId: session.id, expiresIn: accessTokenExpiresIn };
    this.tell(note);
    return this.take(note);
  }

  private take({ userId, sessionId, expiresIn }: Person & { expiresIn?: number }): Held {
    this.renewAt = renewAtOf(expiresIn, this.time.now());
    return this.moved({ userId, sessionId });
  }

  /** What a login or a refresh has said meanwhile is newer than the answer. */
  private async identify(): Promise<void> {
    const { mark } = this;
    this.person = undefined;
    const person = await this.whoAmI();
    if (mark !== this.mark) return;
    this.person = person;
    if (person === undefined) this.asking = null;
  }

  /** One note after the other, and none before the tab knows for whom it has been used. */
  private hear(note: Note | null): void {
    this.heard = this.heard.then(() => this.asking).then(() => this.judge(note));
  }

  private judge(note: Note | null): void {
    const { person } = this;
    switch (note?.kind) {
      case 'ended': {
        const isOfAnotherSession =
          person && note.sessionId !== undefined && note.sessionId !== person.sessionId;
        return isOfAnotherSession ? undefined : this.over(note.reason, note.endedAt);
      }
      case 'renewed':
        // A late note about a session that was here before means nothing.
        if (!person || person.sessionId === note.sessionId) this.take(note);
        return;
      case 'begun':
        if (person === undefined || (person && person.userId !== note.userId)) return this.over('replaced');
        this.take(note);
        return this.elsewhere.begun();
    }
  }

  private over(reason: EndReason, endedAt?: string): void {
    this.elsewhere.ended(reason, endedAt);
    this.forgetUnknown();
  }

  /** After an end that the app has been told of, a tab that never knew its person is a login page like any other. */
  private forgetUnknown(): void {
    this.person ??= null;
  }

  private tell(note: Note): void {
    this.channel?.postMessage(note);
  }

  private now(): Held {
    return { mark: this.mark, usable: true, headers: {}, userId: this.person?.userId, renewAt: this.renewAt };
  }
}
