/**
 * The name of the product. `docs/guides/make-it-yours.md` says what else a rename concerns.
 *
 * - The name is for people: mails, authenticator apps, the API document, messages.
 * - The slug is for machines: lower-case letters and digits, a letter first, because metrics and names in PostgreSQL
 *   allow little else.
 * - The key prefix begins every API key: short, and not that of another product.
 */
export const PRODUCT = productOf('Drawbridge', 'drawbridge', 'dbk');

/** Everything that contains the name of a product. No other file of the source contains it. */
export function productOf(name: string, slug: string, keyPrefix: string) {
  return {
    name,
    slug,
    /** Followed by the code: the `type` of a problem (RFC 9457). */
    problemUrn: `urn:${slug}:problem:`,
    metricPrefix: `${slug}_`,
    redisPrefix: `${slug}:`,
    /** The channels of LISTEN and NOTIFY. */
    revocationsChannel: `${slug}_revocations`,
    messagesChannel: `${slug}_messages`,
    /** The variable that a transaction sets to `on` before it may delete from the audit log. */
    auditRetention: `${slug}.audit_retention`,
    /** The default sender of mails. */
    mailFrom: `${name} <no-reply@localhost>`,
    /** The default of `API_KEY_PREFIX`. */
    apiKeyPrefix: keyPrefix,
    demoPassword: `${slug} demo password`,
    /** The `application_name` of connections to PostgreSQL. */
    applicationName: {
      main: slug,
      check: `${slug}-check`,
      feed: `${slug}-feed`,
      messages: `${slug}-messages`,
      revocations: `${slug}-revocations`,
      boot: `${slug}-boot`,
      migrate: `${slug}-migrate`,
    },
    /**
     * The purpose of a derived key: the info of HKDF, or the first part of a digest. A change voids the tokens of the
     * key.
     */
    keyPurpose: {
      refreshToken: `${slug} refresh token v1`,
      refreshSecretId: `${slug} refresh secret`,
      mailedToken: `${slug} mailed token v1`,
      passkeyChallenge: `${slug} passkey challenge v1`,
      cachedApiKey: `${slug} cached API key v1`,
      socialState: `${slug} outside sign-in v1`,
      boundCookie: `${slug} bound cookie v1`,
      bindingOffer: `${slug} binding offer v1`,
      bindingChallenge: `${slug} binding challenge v1`,
      dpopNonce: `${slug} DPoP nonce v1`,
    },
    embeddedPostgres: {
      role: slug,
      database: slug,
      passwordFile: `${slug}.password`,
      /** Followed by the process id of a watcher. */
      appFile: `${slug}.app.`,
      watcher: `${slug}-watcher`,
      /** The copies of programs and the links to data folders in the shared temporary folder. */
      sharedFolderPrefix: `${slug}-`,
    },
  };
}

/** The passwords in `docker-compose.yml`, which are public. They do not follow the name of the product. */
export const SAMPLE_PASSWORDS: readonly string[] = ['drawbridge', 'drawbridge_app'];
