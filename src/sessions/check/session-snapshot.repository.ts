import { CLAIMS_SQL, NO_CLAIMS, parseClaims, type Claims } from '../../platform/claims/declared-claims.js';
import { compileFunction } from '../../platform/performance/compile-function.js';
import type { Role } from '../../roles.js';
import type { SessionBinding } from '../binding/session-binding.js';
import type { Ended } from '../revocation/end-reason.js';
import type { Transport } from '../session.entity.js';
import {
  INSTANT,
  INSTANT_OR_NULL,
  TEXT_OR_NULL,
  UUID,
  WORDS,
  type Cell,
  type CellCodec,
} from './session-cache.cells.js';
import {
  bindingOf,
  DEVICE,
  endedOf,
  epochMs,
  locationOf,
  PLACES,
  TRANSPORT_AND_BINDING,
  type Location,
} from './session-parts.repository.js';

/** One property of a session: its columns, and its cells in a cache entry. */
interface Field<Value> {
  /** For `select`: the name of each column in the row, and its expression. */
  columns: Record<string, string>;
  /** Absent if the property is the value of its only column. */
  read?(row: never): Value;
  /** The cells that this property adds to a cache entry, or the property whose cell it is read from. */
  cells: { shape: string; pack(value: never, session: never): Cell }[] | string;
  unpack(...cellsAndCreatedAt: never[]): Value;
}

/** A property with one column and one cell. */
function column<Value>(alias: string, sql: string, codec: CellCodec<Value>): Field<Value> {
  return { columns: { [alias]: sql }, cells: [codec], unpack: codec.unpack };
}

/** A property with a value that a session has before anything sets another one. */
interface Initialised<Value> extends Field<Value> {
  initial: Value;
}

function initially<Value>(initial: Value, field: Field<Value>): Initialised<Value> {
  return { initial, ...field };
}

const DENIED_TOKENS = `
  array(select token_id from revocations r
        where r.kind = 'token' and r.subjects[1] = s.id and r.expires_at > clock_timestamp())`;

/**
 * The one description of a session as checks read it. The type `SessionSnapshot`, the list of columns, the conversion
 * of rows and the layout of cache entries follow from it. A new column is one entry, such as
 * `label: initially(null, column('label', 's.label', TEXT_OR_NULL))`.
 */
const FIELDS = {
  userId: column('user_id', 's.user_id', UUID),
  roles: column('roles', 'u.roles', WORDS as CellCodec<readonly Role[]>),
  transport: {
    columns: { transport: 's.transport' },
    cells: [TRANSPORT_AND_BINDING],
    unpack: TRANSPORT_AND_BINDING.transport,
  } as Field<Transport>,
  /** The IP address of the last refresh. */
  ip: initially(null, column('ip', 'host(s.ip)', TEXT_OR_NULL)),
  /** The country of the login. */
  originCountry: initially<string | null>(null, {
    columns: { origin_country: 's.origin_country' },
    cells: [PLACES],
    unpack: PLACES.originCountry,
  }),
  /** The country of the last refresh. */
  country: initially<string | null>(null, {
    columns: { country: 's.country' },
    cells: 'originCountry',
    unpack: PLACES.country,
  }),
  /** The last position that a city database gave for the session. */
  location: initially<Location | null>(null, {
    columns: {
      latitude: 's.latitude',
      longitude: 's.longitude',
      located_at: epochMs('s.located_at'),
    },
    read: locationOf,
    cells: 'originCountry',
    unpack: PLACES.location,
  }),
  /** The risk signals that are already known for this session, see `session-risk.ts`. */
  deviations: initially([], column('deviations', 's.deviations', WORDS)),
  createdAt: column('created_at', epochMs('s.created_at'), {
    shape: 'n',
    pack: (createdAt: number) => createdAt,
    unpack: (cell) => cell as number,
  }),
  lastSeenAt: column('last_seen_at', epochMs('s.last_seen_at'), INSTANT),
  authenticatedAt: column('authenticated_at', epochMs('s.authenticated_at'), INSTANT),
  /** When the session last proved a second factor; null for never. */
  secondFactorAt: initially(null, column('second_factor_at', epochMs('s.second_factor_at'), INSTANT_OR_NULL)),
  /** Incremented when the session's keys change. Access tokens of another key version were issued before that. */
  keyVersion: initially<number>(0, {
    columns: { key_version: 's.key_version' },
    cells: [
      {
        shape: 'n',
        /** Negative if no request has presented a token of this key version yet. That is rare and lasts only briefly. */
        pack: (keyVersion: number, { undelivered }: { undelivered: boolean }) =>
          undelivered ? -1 - keyVersion : keyVersion,
      },
    ],
    unpack: (cell: number) => (cell < 0 ? -1 - cell : cell),
  }),
  /** Whether no request has presented an access token of this key version, see `superseded-keys.ts`. */
  undelivered: initially<boolean>(false, {
    columns: { undelivered: `coalesce(s.superseded_keys @> '{"delivered": false}', false)` },
    cells: 'keyVersion',
    unpack: (cell: number) => cell < 0,
  }),
  /** The `jti` of each denied access token of this session. The session itself goes on. */
  deniedTokens: initially([], column('denied_tokens', DENIED_TOKENS, WORDS)),
  /** The key of the device that the session is bound to; null for none. */
  binding: initially<SessionBinding | null>(null, {
    columns: { binding_version: 's.binding_version', bound_at: epochMs('s.bound_at') },
    read: bindingOf,
    cells: 'transport',
    unpack: TRANSPORT_AND_BINDING.binding,
  }),
  device: DEVICE as Field<ReturnType<typeof DEVICE.read>>,
  /** The current values of the claims that `src/claims.ts` declares. The token may still have earlier ones. */
  claims: initially<Claims>(NO_CLAIMS, {
    columns: CLAIMS_SQL ? { claims: CLAIMS_SQL } : {},
    read: ({ claims }: { claims?: Claims }) => claims ?? NO_CLAIMS,
    cells: CLAIMS_SQL ? [{ shape: 't', pack: (claims: Claims) => JSON.stringify(claims) }] : [],
    unpack: unpackClaims,
  }),
  /** The end that Postgres has recorded. The age is judged separately, see `judge`. */
  ended: initially<Ended | null>(null, {
    columns: {
      status: 's.status',
      end_reason: 's.end_reason',
      ended_at: epochMs('s.ended_at'),
      deleted_at: epochMs('u.deleted_at'),
      banned_at: `case when u.banned_until is null or u.banned_until > clock_timestamp() then ${epochMs('u.banned_at')} end`,
      not_before: `(select ${epochMs('not_before')} from session_epoch)`,
    },
    read: endedOf,
    // A cache entry of an ended session is a tombstone.
    cells: [],
    unpack: () => null,
  }),
};

type Fields = typeof FIELDS;
type Snapshot = { readonly id: string } & {
  readonly [Name in keyof Fields]: Fields[Name] extends Field<infer Value> ? Value : never;
};

/**
 * A session with everything that decides whether it is live, as one read found it. It is frozen, because checks share
 * it. Instants are milliseconds since the epoch.
 */
export interface SessionSnapshot extends Snapshot {}

/** @throws Error if this release has other declarations: then the entry counts as a miss */
function unpackClaims(...[text]: unknown[]): Claims {
  const claims = CLAIMS_SQL ? parseClaims(JSON.parse(text as string)) : NO_CLAIMS;
  if (!claims) throw new Error('claims of another release');
  return claims;
}

// --- What follows from the description

const LIST = Object.entries<Field<unknown> & { initial?: unknown }>(FIELDS);

/** The properties that a new session need not set. */
export const INITIAL_SNAPSHOT = Object.fromEntries(
  LIST.flatMap(([name, { initial }]) => (initial === undefined ? [] : [[name, initial]])),
) as {
  readonly [Name in keyof Fields as Fields[Name] extends Initialised<unknown> ? Name : never]: Snapshot[Name];
};

/** For `select … from`, in every statement whose rows go to {@link snapshotOf}. */
export const SNAPSHOT_COLUMNS = [
  's.id',
  ...LIST.flatMap(([, { columns }]) => Object.entries(columns).map(([alias, sql]) => `${sql} as ${alias}`)),
].join(',\n  ');

export const SNAPSHOT_TABLES = `
  sessions s
  join users u on u.id = s.user_id
  join devices d on d.id = s.device_id`;

/** A row of {@link SNAPSHOT_COLUMNS}, from the driver or from the JSON of PostgreSQL's `row_to_json`. */
export type SnapshotRow = Readonly<Record<string, unknown>>;

const functions = (kind: 'read' | 'unpack') =>
  Object.fromEntries(LIST.map(([name, field]) => [`${kind}_${name}`, field[kind]]));

/** Converts a row to a snapshot. */
export const snapshotOf = compileFunction<(row: SnapshotRow) => SessionSnapshot>(
  'row',
  `{ id: row.id, ${LIST.map(([name, { read, columns }]) =>
    read ? `${name}: read_${name}(row)` : `${name}: row.${Object.keys(columns)[0]}`,
  ).join()} }`,
  functions('read'),
);

const CELLS = LIST.flatMap(([name, { cells }]) =>
  typeof cells === 'string' ? [] : cells.map((cell) => ({ name, ...cell })),
);

/** The type of each cell of {@link packSnapshot}, as in `session-cache.cells.ts`. */
export const SNAPSHOT_SHAPE = CELLS.map(({ shape }) => shape).join('');

/** The cache entry of a live session: two cells of the codec, then those of the session. */
export const packSnapshot = compileFunction<
  (session: SessionSnapshot, tag: number, believeUntil: number) => Cell[]
>(
  'session, tag, believeUntil',
  `[tag, believeUntil, ${CELLS.map(({ name }, at) => `pack_${at}(session.${name}, session)`).join()}]`,
  Object.fromEntries(CELLS.map(({ pack }, at) => [`pack_${at}`, pack])),
);

/** Where the cells of a field are in an entry of {@link packSnapshot}. */
function placesOf(name: string): string[] {
  const { cells } = FIELDS[name as keyof Fields];
  if (typeof cells === 'string') return placesOf(cells);
  return CELLS.flatMap((cell, at) => (cell.name === name ? [`cells[${at + 2}]`] : []));
}

/**
 * Converts an entry of {@link packSnapshot} back.
 *
 * @throws Error for claims of another release
 */
export const unpackSnapshot = compileFunction<(id: string, cells: Cell[]) => SessionSnapshot>(
  'id, cells',
  `{ id, ${LIST.map(
    ([name]) => `${name}: unpack_${name}(${[...placesOf(name), ...placesOf('createdAt')].join()})`,
  ).join()} }`,
  functions('unpack'),
);
