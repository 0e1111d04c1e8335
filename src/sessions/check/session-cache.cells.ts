/** One place of a cache entry, which is a JSON array. */
export type Cell = string | number | null;

/** When the session began, in milliseconds since the epoch. Other instants are packed as the time since then. */
export interface Begun {
  createdAt: number;
}

/** How one value is packed into one cell. */
export interface CellCodec<Value> {
  /** The type of the cell: n for a number, t for text; a capital letter if it may be null. */
  shape: 'n' | 'N' | 't' | 'T';
  pack(value: Value, session: Begun): Cell;
  unpack(cell: Cell, createdAt: number): Value;
}

/** A text as it is. */
export const TEXT_OR_NULL: CellCodec<string | null> = {
  shape: 'T',
  pack: (value) => value,
  unpack: (cell) => cell as string | null,
};

/** Words without spaces, such as roles. */
export const WORDS: CellCodec<readonly string[]> = {
  shape: 't',
  pack: (words) => words.join(' '),
  unpack: (cell) => (cell === '' ? [] : (cell as string).split(' ')),
};

/** 22 characters instead of 36: an entry should stay under 250 bytes. */
export const UUID: CellCodec<string> = {
  shape: 't',
  pack(uuid) {
    const digits = `${uuid.slice(0, 8)}${uuid.slice(9, 13)}${uuid.slice(14, 18)}${uuid.slice(19, 23)}${uuid.slice(24)}`;
    return Buffer.from(digits, 'hex').toString('base64url');
  },
  unpack(cell) {
    const hex = Buffer.from(cell as string, 'base64url').toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  },
};

/** An instant in milliseconds, packed as the time since the session began. */
export const INSTANT: CellCodec<number> = {
  shape: 'n',
  pack: (instant, { createdAt }) => instant - createdAt,
  unpack: (cell, createdAt) => createdAt + (cell as number),
};

/** An {@link INSTANT}, or null. */
export const INSTANT_OR_NULL: CellCodec<number | null> = {
  shape: 'N',
  pack: (instant, { createdAt }) => instant && instant - createdAt,
  unpack: (cell, createdAt) => (cell === null ? null : createdAt + (cell as number)),
};
