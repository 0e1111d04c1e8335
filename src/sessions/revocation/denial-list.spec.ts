import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { random } from '../../platform/runtime/random.js';
import { DenialList, type RevocationNotice } from './denial-list.js';

// Real: denial-list.ts. The tests pass the time as an argument.

const NOW = 1_750_000_000_000;
const USERS = [random.uuid(), random.uuid()];
const TOKENS = [random.secret(), random.secret()];
/** The sessions begin ten milliseconds apart. */
const SESSIONS = Array.from({ length: 5 }, (_, index) => random.uuidAt(NOW + index * 10));

const caller = (sessionId = SESSIONS[0]!, userId = USERS[0]!) => ({ sessionId, userId });

function notice(kind: RevocationNotice['kind'], rest: Partial<RevocationNotice> = {}): RevocationNotice {
  const createdAt = rest.notBefore ?? NOW;
  return {
    seq: 1,
    kind,
    subjects: [],
    tokenId: null,
    reason: 'admin',
    notBefore: null,
    createdAt,
    expiresAt: createdAt + 960_000,
    ...rest,
  };
}

/**
 * Random lists of notices, as revocations create them. A notice with a not-before instant is created at that instant.
 */
const notices = fc.array(
  fc.oneof(
    fc.subarray(SESSIONS).map((subjects) => notice('session', { subjects, reason: 'logout' })),
    fc.constantFrom(...TOKENS).map((tokenId) => notice('token', { subjects: [SESSIONS[0]!], tokenId })),
    fc.constant(notice('stale', { subjects: SESSIONS })),
    fc
      .tuple(fc.constantFrom(...USERS), fc.integer({ min: -5, max: 45 }))
      .map(([user, at]) => notice('user', { subjects: [user], notBefore: NOW + at, reason: 'ban' })),
    fc
      .integer({ min: -5, max: 45 })
      .map((at) => notice('everyone', { notBefore: NOW + at, reason: 'admin_everyone' })),
  ),
  { maxLength: 12 },
);

/** Every result that the list can give for these sessions and tokens. */
function answersOf(list: DenialList) {
  return {
    ends: USERS.flatMap((userId) =>
      SESSIONS.map((sessionId) => {
        const ended = list.endOf({ sessionId, userId });
        return ended && { reason: ended.reason, at: ended.at };
      }),
    ),
    tokens: TOKENS.map((tokenId) => list.deniesToken({ tokenId })),
    size: list.size,
  };
}

function listOf(all: RevocationNotice[]): DenialList {
  const list = new DenialList();
  for (const one of all) list.apply(one);
  return list;
}

describe('the denial list', () => {
  test('an empty denial list denies no session and no token', () => {
    expect(new DenialList().endOf(caller())).toBeNull();
    expect(new DenialList().deniesToken({ tokenId: TOKENS[0]! })).toBe(false);
  });

  test('the denial list denies exactly the sessions of a notice, with the reason and the time', () => {
    const list = listOf([notice('session', { subjects: SESSIONS.slice(0, 2), reason: 'logout' })]);
    expect(list.endOf(caller(SESSIONS[0]))).toMatchObject({ reason: 'logout', at: NOW });
    expect(list.endOf(caller(SESSIONS[1], USERS[1]))).toMatchObject({ reason: 'logout' });
    expect(list.endOf(caller(SESSIONS[2]))).toBeNull();
  });

  test("a user notice denies the user's sessions up to its instant, and none that began a millisecond later", () => {
    const list = listOf([notice('user', { subjects: [USERS[0]!], notBefore: NOW + 10 })]);
    expect(list.endOf(caller(random.uuidAt(NOW + 10)))).toMatchObject({ reason: 'admin', at: NOW + 10 });
    expect(list.endOf(caller(random.uuidAt(NOW + 11)))).toBeNull();
    expect(list.endOf(caller(random.uuidAt(NOW), USERS[1]))).toBeNull();
  });

  test('an everyone notice denies all sessions up to its instant, and none that began a millisecond later', () => {
    const list = listOf([notice('everyone', { notBefore: NOW + 10, reason: 'admin_everyone' })]);
    for (const userId of USERS) {
      expect(list.endOf(caller(random.uuidAt(NOW + 10), userId))).toMatchObject({ reason: 'admin_everyone' });
      expect(list.endOf(caller(random.uuidAt(NOW + 11), userId))).toBeNull();
    }
  });

  test('a token notice denies one token, but not its session or other tokens', () => {
    const list = listOf([notice('token', { subjects: [SESSIONS[0]!], tokenId: TOKENS[0]! })]);
    expect(TOKENS.map((tokenId) => list.deniesToken({ tokenId }))).toEqual([true, false]);
    expect(list.endOf(caller())).toBeNull();
  });

  test('a stale notice denies no session, because it only says that caches are out of date', () => {
    const list = listOf([notice('stale', { subjects: SESSIONS })]);
    expect(list.endOf(caller())).toBeNull();
    expect(list.size).toBe(0);
  });

  test('the denial list gives the same results in whatever order notices arrive', () => {
    const shuffled = notices.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(shuffled, ([all, otherwise]) => {
        expect(answersOf(listOf(otherwise))).toEqual(answersOf(listOf(all)));
      }),
    );
  });

  test('the denial list gives the same results however often notices arrive', () => {
    const repeated = notices.chain((all) =>
      fc.tuple(fc.constant(all), all.length > 0 ? fc.array(fc.constantFrom(...all)) : fc.constant([])),
    );
    fc.assert(
      fc.property(repeated, ([all, again]) => {
        expect(answersOf(listOf([...all, ...again]))).toEqual(answersOf(listOf(all)));
      }),
    );
  });

  test('a further notice never makes a denied session or token acceptable again', () => {
    fc.assert(
      fc.property(notices, notices, (all, more) => {
        const before = answersOf(listOf(all));
        const after = answersOf(listOf([...all, ...more]));
        before.ends.forEach((ended, index) => expect(ended && !after.ends[index]).toBeFalsy());
        before.tokens.forEach((denied, index) => expect(denied && !after.tokens[index]).toBe(false));
      }),
    );
  });

  test('the revision of the denial list changes with each new denial, and only then', () => {
    fc.assert(
      fc.property(notices, notices, (all, more) => {
        const list = listOf(all);
        for (const one of more) {
          const [before, revision] = [answersOf(list), list.revision];
          list.apply(one);
          if (list.revision === revision) expect(answersOf(list)).toEqual(before);
        }
        const { revision } = list;
        for (const one of [...all, ...more]) list.apply(one);
        expect(list.revision).toBe(revision);
      }),
    );
  });

  test('the denial list forgets a denial exactly when no unexpired token can match it', () => {
    const list = listOf([
      notice('session', { subjects: [SESSIONS[0]!], expiresAt: NOW + 100 }),
      notice('token', { subjects: [SESSIONS[0]!], tokenId: TOKENS[0]!, expiresAt: NOW + 200 }),
      notice('user', { subjects: [USERS[1]!], notBefore: NOW, expiresAt: NOW + 300 }),
      notice('everyone', { notBefore: NOW, expiresAt: NOW + 400 }),
    ]);
    const sizes = [99, 100, 199, 200, 299, 300, 399, 400].map((after) => {
      list.forget(NOW + after);
      return list.size;
    });
    expect(sizes).toEqual([4, 3, 3, 2, 2, 1, 1, 0]);
    expect(list.endOf(caller())).toBeNull();
  });

  test('the denial list forgets other denials while one user is denied again and again', () => {
    const list = new DenialList();
    for (let round = 0; round < 100; round++) {
      const notBefore = NOW + round * 500_000;
      list.apply(notice('user', { subjects: [USERS[0]!], notBefore }));
      list.apply(notice('user', { subjects: [random.uuid()], notBefore }));
      list.forget(notBefore);
    }
    expect(list.size).toBeLessThanOrEqual(3);
  });

  test('the denial list never forgets a denial that is still needed', () => {
    fc.assert(
      fc.property(notices, (all) => {
        const list = listOf(all);
        list.forget(NOW + 100);
        expect(answersOf(list)).toEqual(answersOf(listOf(all)));
      }),
    );
  });
});
