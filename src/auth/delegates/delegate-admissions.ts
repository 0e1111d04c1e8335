import { Injectable } from '@nestjs/common';
import type { Caller } from '../../platform/http/request.js';
import type { Credentials } from '../guards/credentials.js';
import type { DelegateAdmission } from './delegate-admission.js';

/** The admissions of all kinds of credentials beside sessions. Each kind registers its own in a constructor. */
@Injectable()
export class DelegateAdmissions {
  private readonly byKind = new Map<Caller['kind'], DelegateAdmission>();
  /** The values of the map: every request looks through them. */
  private readonly admissions: DelegateAdmission[] = [];

  /** Registers the admission of a kind. A kind that is switched off registers none. */
  register(kind: Exclude<Caller['kind'], 'session'>, admission: DelegateAdmission): void {
    this.byKind.set(kind, admission);
    this.admissions.push(admission);
  }

  get all(): readonly DelegateAdmission[] {
    return this.admissions;
  }

  /** @returns null for the credentials of a session, and for none */
  concernedBy(credentials: Credentials): DelegateAdmission | null {
    for (const admission of this.admissions) if (admission.concerns(credentials)) return admission;
    return null;
  }

  /** The admission of a caller that it has admitted. */
  of({ kind }: Caller): DelegateAdmission {
    return this.byKind.get(kind)!;
  }
}
