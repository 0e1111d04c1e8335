import type { SessionSnapshot } from '../../../src/sessions/check/session-snapshot.js';
import { mayHave, type Scope } from '../../../src/scopes.js';
import { FORMAT, type SimulatedInstance } from '../instance.js';
import type { Choice, Schedule } from '../schedule.js';
import { OPERATE, READ } from '../scopes.js';
import { newKeyRow } from '../stores/records.js';
import { random } from '../../../src/platform/runtime/random.js';
import { CAUSE } from './session-actors.js';

const MAX_KEYS = 5;
const OVERLAP_MS = 20_000;
const CONTEXT = { ip: null } as never;

/** Machines with API keys: their checks, and the creation, rotation and end of keys. */
export class KeyActors {
  /** The texts of each key that its owner has got. */
  private readonly texts = new Map<string, string[]>();
  private focus: string;

  constructor(private readonly schedule: Schedule) {
    const { clock, postgres } = schedule.world;
    for (const userId of postgres.users.keys()) {
      const id = random.uuidAt(clock.time);
      const { text, digest } = FORMAT.mint(id);
      postgres.keys.set(id, newKeyRow({ id, userId, digest }, [READ, OPERATE], clock.time));
      this.texts.set(id, [text]);
    }
    this.focus = [...this.texts.keys()][0]!;
  }

  choices(): Choice[] {
    const { schedule } = this;
    return [
      [14, () => schedule.onSome((at) => this.check(at))],
      [3, () => schedule.onSome((at) => this.access(at))],
      [1.2, () => schedule.onSome((at) => this.end(at))],
      [2.5, () => schedule.onSome((at) => this.rotate(at))],
      [1, () => schedule.onSome((at) => this.create(at))],
    ];
  }

  private check(at: SimulatedInstance): void {
    const { schedule } = this;
    const id = this.someKey();
    const key = FORMAT.parse(this.someText(id))!;
    const scope = schedule.pick(schedule.world.postgres.keys.get(id)!.scopes);
    const isStrict = schedule.random() < 0.2;
    const use = { digest: key.digest, needsRole: scope === OPERATE };
    const beginning = schedule.oracle.begin(id, isStrict);
    const where = `${schedule.named(id)} for ${scope} at ${schedule.nameOf(at)}`;
    schedule.note(`check ${where}`, 'checks of keys');
    schedule.task(at, async () => {
      try {
        const { caller } = await at.keys.require(
          key,
          { scope, consistency: isStrict ? 'strict' : 'cached' },
          null,
        );
        schedule.note(`${where} is accepted, secret ${caller.rotation}`, 'accepted keys');
        schedule.oracle.acceptedKey(beginning, use);
      } catch (error) {
        schedule.oracle.refusedKey(beginning, use, error);
      }
    });
  }

  private access(at: SimulatedInstance): void {
    const { schedule } = this;
    const id = this.someKey();
    let denied = false;
    try {
      at.keys.recognise(this.someText(id));
    } catch {
      denied = true;
    }
    const outcome = denied ? 'refused' : 'recognised';
    schedule.note(`${schedule.named(id)} is ${outcome} at ${schedule.nameOf(at)}`, 'recognitions of keys');
    schedule.oracle.access(at, id, denied);
  }

  /** By its owner, or by a secret scanner. */
  private end(at: SimulatedInstance): void {
    const { schedule } = this;
    const id = this.someKey();
    const token = this.someText(id);
    const isLeak = schedule.random() < 0.3;
    schedule.note(
      `${isLeak ? 'report' : 'end'} ${schedule.named(id)} at ${schedule.nameOf(at)}`,
      'ends of keys',
    );
    const { apiKeys, leaks } = at.services;
    schedule.end(at, [id], async () => {
      if (isLeak) await leaks.end([{ token, type: 'key' }], CONTEXT);
      // The scanner gets no receipt, so its report is followed by a request of the owner.
      return apiKeys.end(id, { reason: 'revoked', ...CAUSE });
    });
  }

  private rotate(at: SimulatedInstance): void {
    const { schedule } = this;
    const id = this.someKey();
    const overlap = schedule.random() < 0.5 ? 0 : OVERLAP_MS;
    const session = this.sessionFor(id);
    if (!session) return;
    schedule.note(`rotate ${schedule.named(id)} with ${overlap} ms at ${schedule.nameOf(at)}`, 'rotations');
    schedule.task(at, async () => {
      const { key, receipt } = await at.services.apiKeys.rotate(session, id, overlap, CAUSE);
      schedule.note(`the rotation of ${schedule.named(id)} is ${receipt.status}`, 'answered rotations');
      this.texts.get(id)!.push(key);
      const { secrets } = schedule.oracle.lives.of(id);
      const { digest } = FORMAT.parse(key)!;
      if (receipt.status === 'applied') secrets.answered(secrets.find((secret) => secret.digest === digest));
    });
  }

  private create(at: SimulatedInstance): void {
    const { schedule } = this;
    const { postgres } = schedule.world;
    if (postgres.keys.size >= MAX_KEYS) return;
    const userId = schedule.pick([...postgres.users.keys()]);
    const session = schedule.pick(postgres.liveSessionsOf(userId));
    if (!session) return;
    const scopes = [READ, OPERATE].filter((scope) => mayHave(scope, session.roles)) as Scope[];
    const wanted = { name: 'a key', scopes, networks: [] };
    schedule.note(`a new key of ${schedule.named(userId)} at ${schedule.nameOf(at)}`, 'new keys');
    schedule.task(at, async () => {
      const { key, stored } = await at.services.apiKeys.create(session, wanted, CONTEXT);
      this.texts.set(stored.id, [key]);
    });
  }

  private sessionFor(id: string): SessionSnapshot | undefined {
    const { postgres } = this.schedule.world;
    return this.schedule.pick(postgres.liveSessionsOf(postgres.keys.get(id)!.userId));
  }

  /** Mostly the latest one. */
  private someText(id: string): string {
    const texts = this.texts.get(id)!;
    return this.schedule.random() < 0.6 ? texts.at(-1)! : this.schedule.pick(texts);
  }

  private someKey(): string {
    if (this.schedule.random() < 0.3) this.focus = this.schedule.pick([...this.texts.keys()]);
    return this.focus;
  }
}
