import type { CDPSession, Page } from 'playwright-core';

type Credential = Awaited<ReturnType<VirtualAuthenticator['credentials']>>[number];

/** Chromium's virtual authenticator. */
export class VirtualAuthenticator {
  private constructor(
    private readonly cdp: CDPSession,
    private readonly authenticatorId: string,
  ) {}

  static async plugInto(page: Page): Promise<VirtualAuthenticator> {
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    return new VirtualAuthenticator(cdp, authenticatorId);
  }

  async credentials() {
    const { authenticatorId } = this;
    return (await this.cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials;
  }

  async put(credential: Credential): Promise<void> {
    const { authenticatorId } = this;
    await this.cdp.send('WebAuthn.addCredential', { authenticatorId, credential });
  }

  async set({ isUserVerified }: { isUserVerified: boolean }): Promise<void> {
    const { authenticatorId } = this;
    await this.cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
  }

  async unplug(): Promise<void> {
    const { authenticatorId } = this;
    await this.cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
  }
}
