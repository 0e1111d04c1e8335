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
  /** the IP address at the last refresh of its latest session */
  ip?: string;
  country?: string;
  firstSeenAt: string;
  lastSeenAt: string;
  current: boolean;
  activeSessions: number;
}

export interface Receipt {
  /** `applied`: every instance refuses session-checked requests that start from now on */
  status: 'applied' | 'pending';
  /** the number for `GET /v1/admin/revocations/:seq` and `X-Min-Revocation-Seq` */
  seq: number;
  /** for `everyone`: the number so far */
  endedSessions: number;
  /** for `everyone`: session records that are not ended yet; the sessions are already refused. 10001: more than 10000 */
  remainingSessions?: number;
  /** every session check refuses at the latest from this time on */
  sessionTierBy: string;
  /** every access-tier route refuses at the latest from this time on */
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
  /** when a second factor was last verified in this session */
  secondFactorAt?: string;
  /** the session is bound to a key of its device, so copies of its cookies and tokens are refused */
  binding?: {
    carrier: 'dbsc' | 'dpop';
    boundAt: string;
  };
  idleExpiresAt: string;
  expiresAt: string;
}

export interface Grant {
  user: Profile;
  session: Session;
  /** seconds */
  accessTokenExpiresIn: number;
  /** bearer transport only, like the four fields below */
  accessToken?: string;
  tokenType?: 'Bearer';
  /** seconds (the name is from OAuth) */
  expiresIn?: number;
  refreshToken?: string;
  /** store it, and send it as `X-Device-Token` with login and refresh */
  deviceToken?: string;
}

export interface MfaRequired {
  status: 'mfa_required';
  /** send it with a code to `POST /v1/auth/login/mfa` */
  challengeToken: string;
  /** the kinds of codes that are accepted; `passkey`: log in with a passkey at `POST /v1/auth/login/passkey` instead */
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
  /** send it back with the answer, and to no other endpoint */
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
  /** the id that the authenticator uses, in base64url */
  credentialId: string;
  /** the model of the authenticator, if it tells it */
  aaguid?: string;
  transports: string[];
  /** the passkey can be synchronised between devices (backup eligible) */
  synced: boolean;
  /** the passkey was synchronised (backed up) when it was last used */
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

export interface FeedSnapshot {
  /** for `Last-Event-ID` */
  cursor: string;
  /** a compact JWS: the position, and the SHA-256 of the bytes of `entries` */
  statement: string;
  entries: FeedEntry[];
}

export interface FeedEntry {
  /** the number of the revocation, as in its receipt */
  seq: number;
  kind: 'token' | 'session' | 'user' | 'everyone';
  /** ids of sessions, of users, or of access tokens (`jti`) */
  subjects: string[];
  /** why they ended: logout, logout_others, admin, admin_everyone, ban, password_change, password_reset, mfa_change, account_deleted, session_limit, idle, expired, refresh_reuse, suspicious, or that of another credential */
  reason: string;
  /** sessions that were created up to then are denied, in milliseconds since the epoch */
  notBefore: number | null;
  /** when they ended, in milliseconds since the epoch */
  createdAt: number;
  /** when the last access token that it concerns has expired, in milliseconds since the epoch */
  expiresAt: number;
}

export interface Identity {
  id: string;
  provider: string;
  /** as the provider has told it last */
  email?: string;
  createdAt: string;
  lastUsedAt: string;
}

export interface LinkBegun {
  redirectTo: string;
}

export interface SessionInstructions {
  session_identifier: string;
  refresh_url: string;
  scope: {
    origin?: string;
    include_site: false;
    scope_specification: {
      type: 'include' | 'exclude';
      domain: string;
      path: string;
    }[];
  };
  credentials: {
    type: 'cookie';
    name: string;
    attributes: string;
  }[];
  allowed_refresh_initiators: string[];
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

export interface ApiKey {
  id: string;
  name: string;
  /** everything before the secret: it tells which key a program has */
  prefix: string;
  scopes: string[];
  networks: string[];
  requestsPerMinute?: number;
  createdAt: string;
  expiresAt?: string;
  /** some seconds behind */
  lastUsedAt?: string;
  rotatedAt?: string;
  /** until then the secret before the last rotation is accepted */
  overlapEndsAt?: string;
  /** who has used the secret before the last rotation and not yet the new one */
  formerKeyUses?: {
    address: string;
    lastUsedAt: string;
  }[];
  status: 'active' | 'expired' | 'ended';
  endReason?: 'revoked' | 'admin' | 'leaked' | 'ban' | 'account_deleted';
  endedAt?: string;
}

export interface AppGrant {
  id: string;
  app: {
    /** the `client_id` */
    id: string;
    name: string;
  };
  scopes: string[];
  /** the session in which it was given; without it, the grant outlives a logout */
  endsWithSession?: string;
  createdAt: string;
  expiresAt: string;
  /** when the app got its last token */
  lastUsedAt?: string;
  status: 'active' | 'ended';
  endReason?:
    | 'revoked'
    | 'app'
    | 'admin'
    | 'admin_everyone'
    | 'ban'
    | 'password_change'
    | 'password_reset'
    | 'account_deleted'
    | 'token_reuse'
    | 'session_ended'
    | 'expired';
  endedAt?: string;
}

export interface ConsentRequest {
  /** the e-mail address of the caller */
  account: string;
  app: {
    id: string;
    /** as the app has given it to itself */
    name: string;
    uri?: string;
    /** the host to which the browser goes on */
    redirectsTo: string;
  };
  access: {
    service: string;
    scopes: {
      scope: string;
      description: string;
    }[];
  }[];
  outlivesSession: boolean;
}

export interface ConsentDecision {
  redirectTo: string;
}

export interface ApiKeyWithSecret {
  id: string;
  name: string;
  /** everything before the secret: it tells which key a program has */
  prefix: string;
  scopes: string[];
  networks: string[];
  requestsPerMinute?: number;
  createdAt: string;
  expiresAt?: string;
  /** some seconds behind */
  lastUsedAt?: string;
  rotatedAt?: string;
  /** until then the secret before the last rotation is accepted */
  overlapEndsAt?: string;
  /** who has used the secret before the last rotation and not yet the new one */
  formerKeyUses?: {
    address: string;
    lastUsedAt: string;
  }[];
  status: 'active' | 'expired' | 'ended';
  endReason?: 'revoked' | 'admin' | 'leaked' | 'ban' | 'account_deleted';
  endedAt?: string;
  /** the key itself, for `X-API-Key`. It is shown only in this answer */
  key: string;
}

export interface RotatedApiKey {
  id: string;
  name: string;
  /** everything before the secret: it tells which key a program has */
  prefix: string;
  scopes: string[];
  networks: string[];
  requestsPerMinute?: number;
  createdAt: string;
  expiresAt?: string;
  /** some seconds behind */
  lastUsedAt?: string;
  rotatedAt?: string;
  /** until then the secret before the last rotation is accepted */
  overlapEndsAt?: string;
  /** who has used the secret before the last rotation and not yet the new one */
  formerKeyUses?: {
    address: string;
    lastUsedAt: string;
  }[];
  status: 'active' | 'expired' | 'ended';
  endReason?: 'revoked' | 'admin' | 'leaked' | 'ban' | 'account_deleted';
  endedAt?: string;
  /** the key itself, for `X-API-Key`. It is shown only in this answer */
  key: string;
  receipt: Receipt;
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
    | 'auth.invalid_key'
    | 'auth.invalid_credentials'
    | 'auth.reauthentication_required'
    | 'auth.invalid_dpop_proof'
    | 'auth.dpop_nonce_required'
    | 'auth.forbidden'
    | 'auth.insufficient_scope'
    | 'auth.second_factor_required'
    | 'auth.device_key_required'
    | 'auth.device_proof_required'
    | 'request.cross_site'
    | 'request.insecure'
    | 'resource.not_found'
    | 'request.method'
    | 'resource.conflict'
    | 'request.too_large'
    | 'request.media_type'
    | 'request.upgrade_required'
    | 'request.rate_limited'
    | 'internal.error'
    | 'auth.unavailable';
  requestId: string;
  /** `request.invalid` */
  errors?: {
    path: string;
    message: string;
  }[];
  /** `auth.session_ended`; so is `endedAt` */
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
  /** `auth.reauthentication_required`: a password is not accepted, ask for a code */
  bySecondFactor?: boolean;
  /** `auth.reauthentication_required`: the session is bound to a device key, whose proof is missing */
  deviceKey?: string;
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
  'GET /v1/sessions/current/events': { body: undefined; answer: string };
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
      /** whether `ADMIN_MFA` requires a second factor of this user */
      required: boolean;
      totp: {
        addedAt: string;
      } | null;
      recoveryCodesLeft: number;
      /** the number of passkeys; `GET /v1/auth/passkeys` lists them */
      passkeys: number;
    };
  };
  'POST /v1/auth/mfa/totp': {
    body: undefined;
    answer: {
      /** base 32, for users that cannot scan the QR code */
      secret: string;
      /** the content of the QR code */
      otpauthUrl: string;
      /** the enrolment must be confirmed before this time */
      expiresAt: string;
    };
  };
  'DELETE /v1/auth/mfa/totp': { body: undefined; answer: undefined };
  'POST /v1/auth/mfa/totp/confirm': {
    body: {
      code: string;
    };
    answer: {
      /** each can be used once instead of a code; they are not shown again */
      recoveryCodes: string[];
    };
  };
  'POST /v1/auth/mfa/recovery-codes': {
    body: undefined;
    answer: {
      /** each can be used once instead of a code; they are not shown again */
      recoveryCodes: string[];
    };
  };
  'POST /v1/auth/login/passkey/options': { body: undefined; answer: PasskeyLoginOptions };
  'POST /v1/auth/login/passkey': {
    body: {
      /** the `challengeToken` of the options */
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
  'GET /v1/revocations/snapshot': { body: undefined; answer: FeedSnapshot };
  'GET /v1/revocations/stream': { body: undefined; answer: string };
  'GET /v1/auth/social': {
    body: undefined;
    answer: {
      items: {
        /** as in `SOCIAL_PROVIDERS` */
        id: string;
        /** for people */
        name: string;
      }[];
    };
  };
  'GET /v1/auth/identities': {
    body: undefined;
    answer: {
      items: Identity[];
      /** whether the caller can also log in with a password */
      hasPassword: boolean;
    };
  };
  'POST /v1/auth/identities': {
    body: {
      /** as in `SOCIAL_PROVIDERS` */
      provider: string;
      /** the path to which the browser returns */
      returnTo?: string;
    };
    answer: LinkBegun;
  };
  'DELETE /v1/auth/identities/{id}': { body: undefined; answer: undefined };
  'POST /v1/auth/social/{provider}/global-token-revocation': {
    body: {
      sub_id:
        | {
            format: 'iss_sub';
            /** the issuer of the provider, as in its ID tokens */
            iss: string;
            /** the user at the provider */
            sub: string;
          }
        | {
            format: 'email';
            email: string;
          };
    };
    answer: undefined;
  };
  'POST /v1/auth/binding/register': { body: undefined; answer: SessionInstructions };
  'POST /v1/auth/binding/refresh': {
    body: undefined;
    answer:
      | SessionInstructions
      | {
          session_identifier?: string;
          continue: false;
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
  'DELETE /v1/admin/sessions': { body: undefined; answer: Receipt };
  'POST /v1/admin/sessions/end-all': {
    body: {
      confirm: 'everyone';
    };
    answer: Receipt;
  };
  'DELETE /v1/admin/tokens/{jti}': { body: undefined; answer: Receipt };
  'GET /v1/admin/revocations/{seq}': { body: undefined; answer: Receipt };
  'GET /v1/admin/users/{id}/api-keys': {
    body: undefined;
    answer: {
      items: ApiKey[];
    };
  };
  'DELETE /v1/admin/api-keys/{id}': { body: undefined; answer: Receipt };
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
  'GET /v1/admin/live': { body: undefined; answer: string };
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
      /** `failing`: the clocks of the instance and PostgreSQL differ by more than 5 s */
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
  'GET /v1/notifications': { body: undefined; answer: string };
  'GET /v1/payments': {
    body: undefined;
    answer: {
      items: {
        id: string;
        /** in minor units */
        amount: number;
        currency: string;
        recipient: string;
        createdAt: string;
      }[];
    };
  };
  'POST /v1/payments': {
    body: {
      /** in minor units: 1250 are 12.50 EUR */
      amount: number;
      currency: string;
      recipient: string;
    };
    answer: {
      id: string;
      /** in minor units */
      amount: number;
      currency: string;
      recipient: string;
      createdAt: string;
    };
  };
  'GET /v1/payments/recipients': {
    body: undefined;
    answer: {
      recipients: string[];
    };
  };
  'GET /v1/admin/users/{id}/grants': {
    body: undefined;
    answer: {
      items: AppGrant[];
    };
  };
  'DELETE /v1/admin/grants/{id}': { body: undefined; answer: Receipt };
  'GET /v1/grants': {
    body: undefined;
    answer: {
      items: AppGrant[];
    };
  };
  'DELETE /v1/grants/{id}': { body: undefined; answer: Receipt };
  'GET /oauth/interaction/{uid}/request': { body: undefined; answer: ConsentRequest };
  'POST /oauth/interaction/{uid}/allow': { body: undefined; answer: ConsentDecision };
  'POST /oauth/interaction/{uid}/deny': { body: undefined; answer: ConsentDecision };
  'GET /.well-known/oauth-protected-resource': {
    body: undefined;
    answer: {
      resource: string;
      authorization_servers: string[];
      scopes_supported: string[];
      bearer_methods_supported: string[];
    };
  };
  'GET /v1/api-keys': {
    body: undefined;
    answer: {
      items: ApiKey[];
    };
  };
  'POST /v1/api-keys': {
    body: {
      /** for people, such as the program that uses the key */
      name: string;
      /** what the key may do: `GET /v1/api-keys/scopes` lists them */
      scopes: string[];
      /** the key is refused from then on; without it the key expires as `API_KEY_MAX_LIFETIME` says */
      expiresAt?: string;
      /** only clients of these addresses may use the key; any may if there are none */
      networks?: string[];
      /** on each instance; at most as `API_KEY_REQUESTS_PER_MINUTE` says */
      requestsPerMinute?: number;
    };
    answer: ApiKeyWithSecret;
  };
  'GET /v1/api-keys/scopes': {
    body: undefined;
    answer: {
      items: {
        scope: string;
        description: string;
      }[];
    };
  };
  'POST /v1/api-keys/{id}/rotate': {
    body: {
      /** for this long the former secret is accepted as well; 0 for a leaked secret */
      overlapSeconds: number;
    };
    answer: RotatedApiKey;
  };
  'DELETE /v1/api-keys/{id}': { body: undefined; answer: Receipt };
  'POST /v1/api-keys/leaked': {
    body: ({
      token: string;
      type: string;
      url?: string | null;
    } & Record<string, unknown>)[];
    answer: {
      token_raw: string;
      token_type: string;
      label: 'true_positive' | 'false_positive';
    }[];
  };
}
