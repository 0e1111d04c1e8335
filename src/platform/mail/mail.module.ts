import { Global, Module, type DynamicModule } from '@nestjs/common';
import { LOGGER, type Logger } from '../logging/logger.js';
import { Settings } from '../settings/settings.js';
import { DevMailsController } from './dev-mails.controller.js';
import { mailsWithout } from './content/translate-mail.js';
import { MailLinks } from './mail-links.js';
import { MailLocales } from './mail-locales.js';
import { MailOutbox } from './mail-outbox.js';
import { FolderTransport, mailsFolder, MailTransport, SmtpTransport } from './mail-transport.js';
import { MailedTokenRepository } from './mailed-token.repository.js';
import { MailRepository } from './mail.repository.js';
import { MailedTokens } from './mailed-tokens.js';

@Global()
@Module({
  providers: [
    MailedTokenRepository,
    MailedTokens,
    MailLinks,
    MailLocales,
    MailOutbox,
    MailRepository,
    {
      provide: MailTransport,
      inject: [Settings, LOGGER],
      useFactory: (settings: Settings, logger: Logger) => {
        if (settings.nodeEnv === 'production' && !settings.appUrl)
          logger.warn('APP_URL is not set: links in mails lead to localhost');
        warnOfUntranslated(settings, logger);
        if (settings.smtpUrl) return new SmtpTransport(settings.smtpUrl, settings);
        if (settings.nodeEnv === 'production')
          logger.warn('SMTP_URL is not set: mails are written to files and not sent');
        const print = settings.nodeEnv === 'development' ? console.log : undefined;
        return new FolderTransport(mailsFolder(settings), logger, print);
      },
    },
  ],
  exports: [MailedTokens, MailLinks, MailLocales, MailOutbox],
})
export class MailModule {
  /** The page that shows mails also shows their links, so it exists only in development. */
  static forRoot({ nodeEnv }: Settings): DynamicModule {
    return { module: MailModule, controllers: nodeEnv === 'development' ? [DevMailsController] : [] };
  }
}

function warnOfUntranslated({ mailLocale }: Settings, logger: Logger): void {
  const mails = mailsWithout(mailLocale);
  if (mails.length > 0) logger.warn({ mailLocale, mails }, 'mails without a translation are sent in English');
}
