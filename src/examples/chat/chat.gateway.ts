import {
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  type OnGatewayConnection,
} from '@nestjs/websockets';
import { DataSource } from 'typeorm';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import {
  Clock,
  CurrentSession,
  InstanceMessages,
  RequireSession,
  text,
  UserRepository,
  type SessionSnapshot,
} from '#core';

const TOPIC = 'chat';

const Saying = z.strictObject({ text: text({ max: 500 }) });
type Saying = z.infer<typeof Saying>;

/**
 * A WebSocket of the session tier: a chat of all users, on all instances. It ends with its session, and each message in
 * either direction is checked. Nothing is stored.
 *
 * A client sends `{"event":"say","data":{"text":"Hello"}}` and gets `{"event":"said","data":{…}}`.
 */
@WebSocketGateway({ path: '/v1/chat' })
@RequireSession()
export class ChatGateway implements OnGatewayConnection {
  private readonly sockets = new Set<WebSocket>();

  constructor(
    private readonly database: DataSource,
    private readonly users: UserRepository,
    private readonly messages: InstanceMessages,
    private readonly clock: Clock,
  ) {
    messages.subscribe(TOPIC, (data) => this.sendToAll(JSON.stringify({ event: 'said', data })));
  }

  handleConnection(socket: WebSocket): void {
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
  }

  @SubscribeMessage('say')
  async say(
    @MessageBody({ schema: Saying }) { text }: Saying,
    @CurrentSession() { userId }: SessionSnapshot,
  ) {
    const user = await this.users.find(userId);
    const at = new Date(this.clock.now()).toISOString();
    await this.messages.publish(this.database, TOPIC, { from: user?.displayName ?? null, text, at });
  }

  private sendToAll(message: string): void {
    for (const socket of this.sockets) socket.send(message);
  }
}
