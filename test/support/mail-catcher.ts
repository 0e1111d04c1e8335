import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Certificate } from './services.mjs';

export interface Caught {
  to: string;
  /** Headers and body as they came. */
  source: string;
}

export interface MailCatcherOptions {
  /** The certificate for STARTTLS; without one the server has no TLS. */
  tls?: Certificate;
  /** An attacker between client and server removes STARTTLS from the offer, and refuses it. */
  strip?: boolean;
}

/** A mail server that stores mails, or refuses them: as much of SMTP (RFC 5321, 3207, 4954) as a client needs. */
export class MailCatcher {
  readonly mails: Caught[] = [];
  /** Every line of a client, and whether it was encrypted. */
  readonly lines: { line: string; encrypted: boolean }[] = [];
  /** Refuse the next so many with a temporary error. */
  refuse = 0;
  private readonly server = createServer((socket) => this.greet(socket));

  private constructor(private readonly options: MailCatcherOptions) {}

  static async start(options: MailCatcherOptions = {}): Promise<MailCatcher> {
    const catcher = new MailCatcher(options);
    catcher.server.listen(0, '127.0.0.1');
    await once(catcher.server, 'listening');
    return catcher;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.server.close();
    await once(this.server, 'close');
  }

  private greet(socket: Socket): void {
    this.serve(socket, false);
    socket.write('220 a test\r\n');
  }

  private extensions(encrypted: boolean): string {
    const { tls, strip } = this.options;
    const offers = [...(tls && !strip && !encrypted ? ['STARTTLS'] : []), 'AUTH PLAIN'];
    return ['a test', ...offers]
      .map((offer, index, { length }) => `250${index < length - 1 ? '-' : ' '}${offer}`)
      .join('\r\n');
  }

  private serve(socket: Socket, encrypted: boolean): void {
    const say = (line: string) => socket.write(`${line}\r\n`);
    let to = '';
    let body: string | null = null;
    let buffer = '';
    socket.on('error', () => undefined).setEncoding('utf8');
    const read = (chunk: string) => {
      buffer += chunk;
      for (let end = buffer.indexOf('\r\n'); end >= 0; end = buffer.indexOf('\r\n')) {
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        this.lines.push({ line, encrypted });
        if (body !== null && line === '.') {
          this.mails.push({ to, source: body });
          body = null;
          say('250 kept');
        } else if (body !== null) body += `${line.replace(/^\.\./, '.')}\n`;
        else if (/^EHLO/i.test(line)) say(this.extensions(encrypted));
        else if (/^STARTTLS/i.test(line)) {
          if (!this.options.tls || this.options.strip) say('502 not here');
          else {
            socket.off('data', read);
            socket.write('220 go on\r\n');
            const { key, certificate } = this.options.tls;
            this.serve(new TLSSocket(socket, { isServer: true, key, cert: certificate }), true);
          }
        } else if (/^AUTH/i.test(line)) say('235 welcome');
        else if (/^RCPT TO:<(.*)>/i.test(line)) {
          to = /<(.*)>/.exec(line)![1]!;
          say(this.refuse > 0 ? '451 not now' : '250 ok');
          this.refuse -= 1;
        } else if (/^DATA/i.test(line)) {
          body = '';
          say('354 go on');
        } else if (/^QUIT/i.test(line)) socket.end('221 bye\r\n');
        else say('250 ok');
      }
    };
    socket.on('data', read);
  }
}
