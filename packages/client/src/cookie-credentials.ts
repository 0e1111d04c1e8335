import type { Grant } from './api-types.js';
import { renewAtOf, type AuthRequest, type Credentials, type Held, type Person } from './credentials.js';
import type { EndReason } from './errors.js';
import type { Time } from './time.js';

/**
 * The subset of `BroadcastChannel` that the client uses. A message reaches all other channels of the same name, but
 * not its sender.
 */
export interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  close(): void;
}

/**
 * A message between tabs that share cookies: a session has begun, was renewed or has ended. It never contains a
 * token.
 */
type Note =
  | ({ kind: 'begun' | 'renewed'; expiresIn?: number } & Person)
  | { kind: 'ended'; sessionId?: string; reason: EndReason; endedAt?: string };

/** Callbacks for messages of another tab that affect this one. */
export interface Elsewhere {
  ended(reason: EndReason, endedAt?: string): void;
  /** The user of this tab has logged in again, or a first user has logged in. */
  begun(person: Person): void;
}

/**
 * Asks the server whose access token the browser sends. Null if no user is logged in, undefined if the server does
 * not answer.
 */
export type WhoAmI = () => Promise<Person | null | undefined>;

/**
 * The browser keeps the tokens, and no script can read them. A tab knows only the state that the server and the other
 * tabs report.
 */
export class CookieCredentials implements Credentials {
  /** The server accepts cookies from no other origin. */
  readonly mode = 'same-origin';
  readonly transport = 'cookie';
  private mark = 0;
  /**
   * This tab has made calls as this user. Null: as no user. Undefined: unknown, because the server has not answered
   * yet.
   */
  private person: Person | null | undefined = null;
  /** Resolves when the server has answered `whoami`. */
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

  /**
   * The first call of a tab also requests `whoami`, in parallel: only a tab that knows its user can judge messages
   * from other tabs.
   */
  async held(): Promise<Held> {
    if (this.channel && !this.person) this.asking ??= this.identify();
    return this.now();
  }

  async look(): Promise<Held> {
    return this.now();
  }

  /** Always false: only a message from another tab can report a new session. */
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

  async restrict(): Promise<Held> {
    this.renewAt = undefined;
    this.mark++;
    return this.now();
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

  /** If a login or a refresh has set the user meanwhile, that is newer than this answer. */
  private async identify(): Promise<void> {
    const { mark } = this;
    this.person = undefined;
    const person = await this.whoAmI();
    if (mark !== this.mark) return;
    this.person = person;
    if (person === undefined) this.asking = null;
  }

  /** Handles messages one at a time, and none before the tab knows its user. */
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
        // A late message about an earlier session is ignored.
        if (!person || person.sessionId === note.sessionId) this.take(note);
        return;
      case 'begun':
        if (person === undefined || (person && person.userId !== note.userId)) return this.over('replaced');
        this.take(note);
        return this.elsewhere.begun({ userId: note.userId, sessionId: note.sessionId });
    }
  }

  private over(reason: EndReason, endedAt?: string): void {
    this.elsewhere.ended(reason, endedAt);
    this.forgetUnknown();
  }

  /**
   * After the app has received the end of the session, a tab that never knew its user behaves like a new login page.
   */
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
