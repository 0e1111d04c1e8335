import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface Caught {
  to: string;
  /** Headers and body as they came. */
  source: string;
}

/** A mail server that keeps what it is given, or refuses it: as much of SMTP (RFC 5321) as a client needs. */
export class MailCatcher {
  readonly mails: Caught[] = [];
  /** Refuse the next so many with a temporary error. */
  refuse = 0;
  private readonly server = createServer((socket) => this.serve(socket));

  static async start(): Promise<MailCatcher> {
    const catcher = new MailCatcher();
    catcher.server.listen(0, '127.0.0.1');
    await once(catcher.server, 'listening');
    return catcher;
  }

  get url(): string {
    return `smtp://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.close();
    await once(this.server, 'close');
  }

  private serve(socket: Socket): void {
    const say = (line: string) => socket.write(`${line}\r\n`);
    let to = '';
    let body: string | null = null;
    let buffer = '';
    socket.on('error', () => undefined).setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      buffer += chunk;
      for (let end = buffer.indexOf('\r\n'); end >= 0; end = buffer.indexOf('\r\n')) {
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        if (body !== null && line === '.') {
          this.mails.push({ to, source: body });
          body = null;
          say('250 kept');
        } else if (body !== null) body += `${line.replace(/^\.\./, '.')}\n`;
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
    });
    say('220 a test');
  }
}
