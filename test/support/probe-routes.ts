import { Body, Controller, Get, Module, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiHeader, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { DataSource, type EntityManager } from 'typeorm';
import { z } from 'zod';
import {
  AllowApiKey,
  AllowScope,
  ApiProblems,
  Clock,
  CurrentCaller,
  CurrentSession,
  databaseNow,
  defineScope,
  IdempotencyKey,
  instant,
  Problem,
  random,
  RateLimit,
  RequireSession,
  SessionFence,
  text,
  uuid,
  type Caller,
  type SessionSnapshot,
} from '#core';

const Flags = z.object({ flags: z.record(z.string(), z.boolean()) });
const NewPayment = z.strictObject({
  amount: z.int().positive(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .meta({ examples: ['EUR'] }),
  recipient: text({ max: 200 }),
});
type NewPayment = z.infer<typeof NewPayment>;
const PaymentView = z.object({
  id: uuid,
  amount: z.int(),
  currency: z.string(),
  recipient: z.string(),
  createdAt: instant,
});
const PaymentList = z.object({ items: z.array(PaymentView) });

interface PaymentRow {
  id: string;
  /** PostgreSQL's driver returns a bigint as text. */
  amount: string;
  currency: string;
  recipient: string;
  created_at: Date;
}

/** The scopes of the probe routes. */
export const PROBE_READ = defineScope('probe:read', { description: 'Read the flags of the tests' });
export const PROBE_WRITE = defineScope('probe:write', { description: 'Make payments of the tests' });
/** A scope that only admins may have. */
export const PROBE_ADMIN = defineScope('probe:admin', { description: 'Watch the tests', role: 'admin' });

/**
 * The routes that tests call where they need one of a tier and do not care which: of the access tier, without I/O and
 * with a rate limit, and a write that its session fences. They are the tests' own, so that the product's features may
 * come and go. `migrate.mjs` creates the table.
 */
@Controller('probe')
class ProbeController {
  constructor(
    private readonly fence: SessionFence,
    private readonly database: DataSource,
    private readonly clock: Clock,
  ) {}

  @Get('flags')
  @ApiOperation({ summary: 'Read the flags of the tests' })
  @AllowScope(PROBE_READ)
  @RateLimit({ limit: 600, per: '1m' })
  @ApiOkResponse({ standardSchema: Flags })
  flags(@CurrentCaller() { roles }: Caller) {
    return { flags: { bulkExport: roles.includes('admin') } };
  }

  /** The caller, as the check names it. */
  @Get('caller')
  @ApiOperation({ summary: 'Read the caller' })
  @RequireSession({ consistency: 'strict' })
  @AllowScope(PROBE_ADMIN)
  @ApiOkResponse({ standardSchema: z.object({ kind: z.string(), id: uuid, userId: uuid }) })
  caller(@CurrentCaller() { kind, id, userId }: Caller) {
    return { kind, id, userId };
  }

  /** For machines, and not for apps. */
  @Get('machines')
  @ApiOperation({ summary: 'Read the kind of the machine' })
  @AllowApiKey(PROBE_READ)
  @ApiOkResponse({ standardSchema: z.object({ kind: z.string() }) })
  machines(@CurrentCaller() { kind }: Caller) {
    return { kind };
  }

  @Get('payments')
  @ApiOperation({ summary: 'List the payments of the tests' })
  @RequireSession()
  @ApiOkResponse({ standardSchema: PaymentList })
  async list(@CurrentSession() { userId }: SessionSnapshot) {
    const rows = await this.database.query<PaymentRow[]>(
      'select * from probe_payments where user_id = $1 order by created_at desc, id desc limit 100',
      [userId],
    );
    return { items: rows.map(view) };
  }

  /** The same key makes the payment once, for each user. */
  @Post('payments')
  @ApiOperation({ summary: 'Make a payment of the tests' })
  @RequireSession()
  @AllowScope(PROBE_WRITE)
  @ApiHeader({ name: 'Idempotency-Key', required: true, example: 'payment-1' })
  @ApiCreatedResponse({ standardSchema: PaymentView })
  @ApiProblems('request.invalid', 'resource.conflict')
  async pay(
    @IdempotencyKey() key: string,
    @Body({ schema: NewPayment }) payment: NewPayment,
    @CurrentCaller() caller: Caller,
  ) {
    return view(await this.fence.write(caller, (tx) => this.insert(tx, caller, key, payment)));
  }

  private async insert(
    tx: EntityManager,
    { id, userId }: Caller,
    key: string,
    { amount, currency, recipient }: NewPayment,
  ): Promise<PaymentRow> {
    const now = await databaseNow(tx, this.clock);
    await tx.query(
      'insert into probe_payments values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing',
      [random.uuid(), userId, id, key, amount, currency, recipient, now],
    );
    const [made] = await tx.query<PaymentRow[]>(
      'select * from probe_payments where user_id = $1 and idempotency_key = $2',
      [userId, key],
    );
    const isSame =
      view(made!).amount === amount && made!.currency === currency && made!.recipient === recipient;
    if (!isSame) throw new Problem('resource.conflict');
    return made!;
  }
}

const view = ({ id, amount, currency, recipient, created_at: createdAt }: PaymentRow) => ({
  id,
  amount: Number(amount),
  currency,
  recipient,
  createdAt: createdAt.toISOString(),
});

@Module({ controllers: [ProbeController] })
export class ProbeModule {}
