/** The server tells the page this about itself. `src/console/console-files.ts` writes it. */
export interface Configuration {
  /** The name of the product, for people. */
  product: string;
  development: boolean;
  /** A new account cannot sign in before its address is confirmed. */
  verifiesEmail: boolean;
  /** The least number of characters of a new password. */
  passwordMinLength: number;
  /** The browser sent cookies of a session. They may be over. */
  hasCookies: boolean;
  /** The users that development creates. Empty in production. */
  demo: { emails: string[]; password: string };
}

export const configuration: Configuration = JSON.parse(
  document.querySelector<HTMLMetaElement>('meta[name=console]')!.content,
);
