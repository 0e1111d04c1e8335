/* Generated from the OpenAPI document by `npm run client:types`; do not edit. */

export interface Profile {
  id: string;
  email: string;
  displayName: string | null;
  roles: ('user' | 'admin')[];
  createdAt: string;
}

export interface Device {
  id: string;
  name: string;
  browser?: string;
  os?: string;
  /** where its latest session was last renewed */
  ip?: string;
  country?: string;
  firstSeenAt: string;
  lastSeenAt: string;
  current: boolean;
  activeSessions: number;
}

export interface Receipt {
  /** `applied`: no session-checked request that starts from now on is let in, on any instance */
  status: 'applied' | 'pending';
  /** for `GET /v1/admin/revocations/:seq` and `X-Min-Revocation-Seq` */
  seq: number;
  /** of everyone: so far */
  endedSessions: number;
  /** of everyone: records still to be ended; their sessions are refused all the same. 10001: more than 10000 */
  remainingSessions?: number;
  /** from then on, at the latest, every session check refuses */
  sessionTierBy: string;
  /** from then on, at the latest, every access-tier route refuses */
  accessTierBy: string;
}

export interface Session {
  id: string;
  status: 'active' | 'ended';
  current?: boolean;
  endReason?:
    | 'logout'
    | 'logout_others'
    | 'admin'
    | 'admin_everyone'
    | 'ban'
    | 'password_change'
    | 'password_reset'
    | 'mfa_change'
    | 'account_deleted'
    | 'session_limit'
    | 'idle'
    | 'expired'
    | 'refresh_reuse'
    | 'suspicious';
  endedAt?: string;
  transport: 'cookie' | 'bearer';
  device: {
    id: string;
    name: string;
    browser?: string;
    os?: string;
    firstSeenAt: string;
  };
  ip: string | null;
  country?: string;
  createdAt: string;
  lastSeenAt: string;
  authenticatedAt: string;
  /** when a second factor was last proved in it */
  secondFactorAt?: string;
  idleExpiresAt: string;
  expiresAt: string;
}

export interface Grant {
  user: Profile;
  session: Session;
  /** seconds */
  accessTokenExpiresIn: number;
  /** bearer transport, as the four below */
  accessToken?: string;
  tokenType?: 'Bearer';
  /** seconds, as OAuth calls it */
  expiresIn?: number;
  refreshToken?: string;
  /** keep it, and send it as `X-Device-Token` with login and refresh */
  deviceToken?: string;
}

export interface MfaRequired {
  status: 'mfa_required';
  /** for `POST /v1/auth/login/mfa`, with a code */
  challengeToken: string;
  /** what a code may be of; `passkey`: log in with that instead, by `POST /v1/auth/login/passkey` */
  methods: ('totp' | 'recovery_code' | 'passkey')[];
  /** seconds */
  expiresIn: number;
}

export interface PasskeyLoginOptions {
  challenge: string;
  rpId: string;
  /** milliseconds */
  timeout: number;
  userVerification: 'required';
  allowCredentials: {
    id: string;
    type: 'public-key';
    transports: string[];
  }[];
  /** goes back with the answer, and nowhere else */
  challengeToken: string;
}

export interface PasskeyAssertion {
  /** base64url */
  id: string;
  /** base64url */
  rawId: string;
  type: 'public-key';
  response: {
    /** base64url */
    clientDataJSON: string;
    /** base64url */
    authenticatorData: string;
    /** base64url */
    signature: string;
    /** base64url */
    userHandle?: string | null;
  };
}

export interface PasskeyRequestOptions {
  challenge: string;
  rpId: string;
  /** milliseconds */
  timeout: number;
  userVerification: 'required';
  allowCredentials: {
    id: string;
    type: 'public-key';
    transports: string[];
  }[];
}

export interface Passkey {
  id: string;
  name: string;
  /** base64url, as the authenticator knows it */
  credentialId: string;
  /** the make of the authenticator, where it says so */
  aaguid?: string;
  transports: string[];
  /** made to be on several devices */
  synced: boolean;
  /** is by now, or was when it was last used */
  backedUp: boolean;
  createdAt: string;
  lastUsedAt?: string;
}

export interface PasskeyCreationOptions {
  challenge: string;
  rp: {
    id: string;
    name: string;
  };
  user: {
    id: string;
    name: string;
    displayName: string;
  };
  pubKeyCredParams: {
    type: 'public-key';
    alg: number;
  }[];
  /** milliseconds */
  timeout: number;
  attestation: 'none';
  authenticatorSelection: {
    residentKey: 'required';
    requireResidentKey: boolean;
    userVerification: 'required';
  };
  excludeCredentials: {
    id: string;
    type: 'public-key';
    transports: string[];
  }[];
}

export interface PasskeyAttestation {
  /** base64url */
  id: string;
  /** base64url */
  rawId: string;
  type: 'public-key';
  response: {
    /** base64url */
    clientDataJSON: string;
    /** base64url */
    attestationObject: string;
    transports?: string[];
  };
}

export interface AdminUser {
  id: string;
  email: string;
  displayName: string | null;
  roles: ('user' | 'admin')[];
  createdAt: string;
  banned: boolean;
  banReason?: string;
  bannedAt?: string;
  bannedUntil?: string | null;
}

export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code:
    | 'request.invalid'
    | 'auth.ambiguous_credentials'
    | 'auth.unauthenticated'
    | 'auth.invalid_token'
    | 'auth.token_expired'
    | 'auth.session_ended'
    | 'auth.invalid_credentials'
    | 'auth.reauthentication_required'
    | 'auth.forbidden'
    | 'auth.second_factor_required'
    | 'request.cross_site'
    | 'request.insecure'
    | 'resource.not_found'
    | 'request.method'
    | 'resource.conflict'
    | 'request.too_large'
    | 'request.media_type'
    | 'request.rate_limited'
    | 'internal.error'
    | 'auth.unavailable';
  requestId: string;
  /** `request.invalid` */
  errors?: {
    path: string;
    message: string;
  }[];
  /** `auth.session_ended`, as is `endedAt` */
  reason?:
    | 'logout'
    | 'logout_others'
    | 'admin'
    | 'admin_everyone'
    | 'ban'
    | 'password_change'
    | 'password_reset'
    | 'mfa_change'
    | 'account_deleted'
    | 'session_limit'
    | 'idle'
    | 'expired'
    | 'refresh_reuse'
    | 'suspicious';
  endedAt?: string;
  /** `auth.reauthentication_required`: seconds */
  maxAuthAge?: number;
  /** of the same: a password will not do, ask for a code */
  bySecondFactor?: boolean;
} & Record<string, unknown>;

/** What each operation takes as its body, and what it answers when it succeeds. */
export interface Operations {
  'GET /v1/users/me': { body: undefined; answer: Profile };
  'PATCH /v1/users/me': {
    body: {
      displayName?: string | null;
    };
    answer: Profile;
  };
  'DELETE /v1/users/me': { body: undefined; answer: undefined };
  'GET /v1/devices': {
    body: undefined;
    answer: {
      items: Device[];
    };
  };
  'PATCH /v1/devices/{id}': {
    body: {
      name: string;
    };
    answer: Device;
  };
  'DELETE /v1/devices/{id}/sessions': { body: undefined; answer: Receipt };
  'GET /v1/sessions': {
    body: undefined;
    answer: {
      items: Session[];
    };
  };
  'DELETE /v1/sessions': { body: undefined; answer: Receipt };
  'GET /v1/sessions/current': { body: undefined; answer: Session };
  'DELETE /v1/sessions/{id}': { body: undefined; answer: Receipt };
  'POST /v1/auth/register': {
    body: {
      email: string;
      password: string;
      displayName?: string;
    };
    answer: {
      status: 'accepted';
    };
  };
  'POST /v1/auth/login': {
    body: {
      email: string;
      password: string;
      transport?: 'cookie' | 'bearer';
      deviceName?: string;
    };
    answer: Grant | MfaRequired;
  };
  'POST /v1/auth/login/mfa': {
    body: {
      challengeToken: string;
      code: string;
    };
    answer: Grant;
  };
  'POST /v1/auth/refresh': {
    body:
      | {
          refreshToken?: string;
        }
      | undefined;
    answer: Grant;
  };
  'POST /v1/auth/logout': {
    body:
      | {
          refreshToken?: string;
        }
      | undefined;
    answer: undefined;
  };
  'POST /v1/auth/reauthenticate': {
    body: {
      password?: string;
      code?: string;
    };
    answer: Grant;
  };
  'GET /v1/auth/whoami': {
    body: undefined;
    answer: {
      userId: string;
      sessionId: string;
      roles: ('user' | 'admin')[];
      expiresAt: string;
    };
  };
  'GET /v1/auth/mfa': {
    body: undefined;
    answer: {
      /** of this person, by `ADMIN_MFA` */
      required: boolean;
      totp: {
        addedAt: string;
      } | null;
      recoveryCodesLeft: number;
      /** how many; see `GET /v1/auth/passkeys` */
      passkeys: number;
    };
  };
  'POST /v1/auth/mfa/totp': {
    body: undefined;
    answer: {
      /** base 32, for who cannot scan */
      secret: string;
      /** for a QR code */
      otpauthUrl: string;
      /** it has to be confirmed until then */
      expiresAt: string;
    };
  };
  'DELETE /v1/auth/mfa/totp': { body: undefined; answer: undefined };
  'POST /v1/auth/mfa/totp/confirm': {
    body: {
      code: string;
    };
    answer: {
      /** each lets in once, in the place of a code; they are not shown again */
      recoveryCodes: string[];
    };
  };
  'POST /v1/auth/mfa/recovery-codes': {
    body: undefined;
    answer: {
      /** each lets in once, in the place of a code; they are not shown again */
      recoveryCodes: string[];
    };
  };
  'POST /v1/auth/login/passkey/options': { body: undefined; answer: PasskeyLoginOptions };
  'POST /v1/auth/login/passkey': {
    body: {
      /** of the options */
      challengeToken: string;
      response: PasskeyAssertion;
      transport?: 'cookie' | 'bearer';
      deviceName?: string;
    };
    answer: Grant;
  };
  'POST /v1/auth/reauthenticate/passkey/options': { body: undefined; answer: PasskeyRequestOptions };
  'POST /v1/auth/reauthenticate/passkey': {
    body: {
      response: PasskeyAssertion;
    };
    answer: Grant;
  };
  'GET /v1/auth/passkeys': {
    body: undefined;
    answer: {
      items: Passkey[];
    };
  };
  'POST /v1/auth/passkeys': {
    body: {
      response: PasskeyAttestation;
      name?: string;
    };
    answer: Passkey;
  };
  'POST /v1/auth/passkeys/options': { body: undefined; answer: PasskeyCreationOptions };
  'PATCH /v1/auth/passkeys/{id}': {
    body: {
      name: string;
    };
    answer: Passkey;
  };
  'DELETE /v1/auth/passkeys/{id}': { body: undefined; answer: undefined };
  'POST /v1/auth/password/change': {
    body: {
      currentPassword: string;
      newPassword: string;
    };
    answer: undefined;
  };
  'POST /v1/auth/password/forgot': {
    body: {
      email: string;
    };
    answer: {
      status: 'accepted';
    };
  };
  'POST /v1/auth/password/reset': {
    body: {
      token: string;
      newPassword: string;
    };
    answer: undefined;
  };
  'POST /v1/auth/email/verify': {
    body: {
      token: string;
    };
    answer: undefined;
  };
  'POST /v1/auth/email/change': {
    body: {
      email: string;
    };
    answer: {
      status: 'accepted';
    };
  };
  'GET /.well-known/jwks.json': {
    body: undefined;
    answer: {
      keys: {
        kty: string;
        crv: string;
        x: string;
        y: string;
        kid: string;
        alg: string;
        use: string;
      }[];
    };
  };
  'GET /v1/admin/users': {
    body: undefined;
    answer: {
      items: AdminUser[];
      nextCursor: string | null;
    };
  };
  'GET /v1/admin/users/{id}': { body: undefined; answer: AdminUser };
  'POST /v1/admin/users/{id}/ban': {
    body: {
      reason: string;
      until?: string;
    };
    answer: Receipt;
  };
  'DELETE /v1/admin/users/{id}/ban': { body: undefined; answer: Receipt };
  'DELETE /v1/admin/users/{id}/mfa': { body: undefined; answer: Receipt };
  'PUT /v1/admin/users/{id}/roles': {
    body: {
      roles: ('user' | 'admin')[];
    };
    answer: AdminUser;
  };
  'GET /v1/admin/users/{id}/sessions': {
    body: undefined;
    answer: {
      items: Session[];
    };
  };
  'DELETE /v1/admin/users/{id}/sessions': { body: undefined; answer: Receipt };
  'DELETE /v1/admin/sessions/{id}': { body: undefined; answer: Receipt };
  'DELETE /v1/admin/sessions': {
    body: {
      confirm: 'everyone';
    };
    answer: Receipt;
  };
  'POST /v1/admin/sessions/end-all': {
    body: {
      confirm: 'everyone';
    };
    answer: Receipt;
  };
  'DELETE /v1/admin/tokens/{jti}': { body: undefined; answer: Receipt };
  'GET /v1/admin/revocations/{seq}': { body: undefined; answer: Receipt };
  'GET /v1/admin/audit-events': {
    body: undefined;
    answer: {
      items: {
        id: string;
        at: string;
        type: string;
        actorId: string | null;
        userId: string | null;
        sessionId: string | null;
        ip: string | null;
        userAgent: string | null;
        requestId: string | null;
        details: Record<string, unknown>;
      }[];
      nextCursor: string | null;
    };
  };
  'GET /health/live': {
    body: undefined;
    answer: {
      status: 'ok';
    };
  };
  'GET /health/ready': {
    body: undefined;
    answer: {
      status: 'ok' | 'failing';
      postgres: 'ok' | 'failing';
      cache: 'ok' | 'failing';
      revocationFeed: 'ok' | 'failing';
      /** `failing`: it differs from PostgreSQL's by more than 5 s */
      clock: 'ok' | 'failing';
    };
  };
  'GET /metrics': { body: undefined; answer: string };
  'GET /v1/feature-flags': {
    body: undefined;
    answer: {
      flags: Record<string, boolean>;
    };
  };
  'GET /v1/payments': {
    body: undefined;
    answer: {
      items: {
        id: string;
        amount: number;
        currency: string;
        recipient: string;
        createdAt: string;
      }[];
    };
  };
  'POST /v1/payments': {
    body: {
      amount: number;
      currency: string;
      recipient: string;
    };
    answer: {
      id: string;
      amount: number;
      currency: string;
      recipient: string;
      createdAt: string;
    };
  };
}
