import { Global, Module } from '@nestjs/common';
import { join } from 'node:path';
import { LOGGER, type Logger } from '../common/logger.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { MailOutbox } from './mail-outbox.js';
import { FolderTransport, MailTransport, SmtpTransport } from './mail-transport.js';

@Global()
@Module({
  providers: [
    MailOutbox,
    {
      provide: MailTransport,
      inject: [SETTINGS_TOKEN, LOGGER],
      useFactory: (settings: Settings, logger: Logger) => {
        if (settings.smtpUrl) return new SmtpTransport(settings.smtpUrl, settings.mailFrom);
        if (settings.nodeEnv === 'production')
          logger.warn('SMTP_URL is not set: mails are kept as files, and reach nobody');
        return new FolderTransport(join(settings.dataDir, 'mails'), logger);
      },
    },
  ],
  exports: [MailOutbox],
})
export class MailModule {}
