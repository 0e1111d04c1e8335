/** Old browsers, and pages that are not on HTTPS or localhost, have no passkeys. */
export const hasPasskeys =
  typeof PublicKeyCredential === 'function' && 'parseRequestOptionsFromJSON' in PublicKeyCredential;

/** Whether the browser offers passkeys in the autofill of a login form. */
export const offersPasskeysInAutofill = async (): Promise<boolean> =>
  hasPasskeys && (await PublicKeyCredential.isConditionalMediationAvailable?.()) === true;
