/** Where a sign-in with an outside account begins. The provider leads the browser back to the page that it is on now. */
export const outsideSignInUrl = (provider: string): string =>
  `/v1/auth/social/${provider}/start?${new URLSearchParams({ returnTo: location.pathname })}`;
