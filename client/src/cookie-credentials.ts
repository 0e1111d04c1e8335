import type { Grant } from './api-types.js';
import { renewAtOf, type AuthRequest, type Credentials, type Held } from './credentials.js';
import type { EndReason } from './errors.js';
import type { Time } from './time.js';

/** What we use of a `BroadcastChannel`: whatever is posted reaches all others of one name, and not who posts it. */
export interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  close(): void;
}

/** What tabs tell each other: never a token, only what has become of the jar that they share. */
type Note =
  | { kind: 'begun' | 'renewed'; userId: string; expiresIn?: number }
  | { kind: 'ended'; reason: EndReason; endedAt?: string };

/** What another tab's note means for this one. */
export interface Elsewhere {
  ended(reason: EndReason, endedAt?: string): void;
  /** The same person has logged in again. */
  begun(): void;
}

/** The browser holds the tokens and no script sees them; what is known of them is by hearsay. */
export class CookieCredentials implements Credentials {
  /** The server lets no other origin in by cookie. */
  readonly mode = 'same-origin';
  readonly transport = 'cookie';
  private mark = 0;
  private used = false;
  private userId: string | undefined;
  private renewAt: number | undefined;

  constructor(
    private readonly channel: Channel | null,
    private readonly time: Time,
    private readonly elsewhere: Elsewhere,
  ) {
    channel?.addEventListener('message', ({ data }) => this.hear(data as Note));
  }

  async held(): Promise<Held> {
    this.used = true;
    return this.now();
  }

  async look(): Promise<Held> {
    return this.now();
  }

  /** A note says so, or nobody does. */
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
    this.tell({ kind: 'ended', reason, endedAt });
  }

  close(): void {
    this.channel?.close();
  }

  moved(userId: string): Held {
    this.userId = userId;
    this.mark++;
    return this.now();
  }

  private keep(kind: 'begun' | 'renewed', { user, accessTokenExpiresIn: expiresIn }: Grant): Held {
    const note = { kind, userId: user.id, expiresIn };
    this.tell(note);
    return this.take(note);
  }

  private take({ userId, expiresIn }: { userId: string; expiresIn?: number }): Held {
    this.renewAt = renewAtOf(expiresIn, this.time.now());
    return this.moved(userId);
  }

  private hear(note: Note | null): void {
    const ours = note && 'userId' in note && note.userId === this.userId;
    switch (note?.kind) {
      case 'ended':
        return this.elsewhere.ended(note.reason, note.endedAt);
      case 'renewed':
        // A late note about somebody who was here before means nothing.
        if (ours || this.userId === undefined) this.take(note);
        return;
      case 'begun':
        // Who does not know for whom it has been used cannot go on when somebody logs in.
        if (!ours && (this.used || this.userId !== undefined)) return this.elsewhere.ended('replaced');
        this.take(note);
        return this.elsewhere.begun();
    }
  }

  private tell(note: Note): void {
    this.channel?.postMessage(note);
  }

  private now(): Held {
    return { mark: this.mark, usable: true, headers: {}, userId: this.userId, renewAt: this.renewAt };
  }
}
