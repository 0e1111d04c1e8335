"""
A verifier of access tokens that follows the revocation feed: a second implementation of
docs/reference/revocation-feed.md, written from that page alone. It has no network: the caller passes snapshots,
events, requests and two clocks in milliseconds. Step numbers are those of the page.
"""

import hashlib
import re
from datetime import datetime, timezone

from denials import Denials, NotUnderstood, check_entry, read_entry
from statements import Jws, NotAuthentic, decode, encode, is_integer, matches, parse_json, read_statement, require

RECENT_MS = 5_000
CURRENT_MS = 5_000
IAT_LEEWAY_MS = 5_000
MAX_TOKEN_SECONDS = 900
BODY = re.compile(r'\{"cursor":"([^"\\]*)","statement":"([^"\\]*)","entries":(\[.*\])\}', re.DOTALL)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ROLE = re.compile(r"[a-z][a-z0-9_]{0,31}")
BEARER = re.compile(r"bearer +([^ ].*)", re.IGNORECASE)
JTI = re.compile(r"[A-Za-z0-9_-]{43}")
CLAIMS = {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "roles"}


class Refused(Exception):
    """The answer to a request that is not accepted: a code of the page's table, and members of its step."""

    def __init__(self, code, **members):
        super().__init__(code)
        self.code = code
        self.members = members


def first_link(instance):
    return hashlib.sha256(instance.encode()).digest()


def next_link(chain, data):
    return hashlib.sha256(chain + data.encode()).digest()


class Verifier:
    """`wall` and `monotonic` are functions. `keys` are those of `read_keys`. A blind verifier refuses, if so configured."""

    def __init__(self, issuer, audience, keys, wall, monotonic, refuses_when_blind=True):
        self.issuer, self.audience, self.keys = issuer, audience, keys
        self.wall, self.monotonic = wall, monotonic
        self.refuses_when_blind = refuses_when_blind
        self.denials = Denials()
        self.instance = None  # no snapshot was accepted yet
        self.latest = None  # the greatest authentic time, and the monotonic time of its receipt

    # The feed

    def take_snapshot(self, body):
        """The whole body of the answer. Returns `accepted` or `refused`."""
        try:
            cursor, statement, entries = self.parts_of(body)
            claims = read_statement(statement, "revocation-snapshot+jwt", self.keys, self.issuer)
            require(cursor == f"{claims['instance']}.{claims['position']}", "cursor")
            require(encode(hashlib.sha256(entries.encode()).digest()) == claims["digest"], "digest")
            understood = [check_entry(entry) for entry in parse_json(entries)]
            require(self.is_recent(claims), "recent")
        except (NotAuthentic, NotUnderstood, ValueError, RecursionError):
            return "refused"
        for entry in understood:
            self.denials.add(entry)
        self.instance, self.position = claims["instance"], claims["position"]
        self.chain = claims["chain"]
        self.prove(claims)
        return "accepted"

    def take_event(self, event, event_id, data):
        """Returns `applied`, `counts`, `ignored`, or `list_again` for a gap."""
        if event not in ("revocation", "heartbeat", "list_again"):
            return "ignored"
        if event == "list_again" or self.instance is None:
            return "list_again"
        return self.apply(event_id, data) if event == "revocation" else self.hear(data)

    def apply(self, event_id, data):
        try:
            self.denials.add(read_entry(data))
        except NotUnderstood:
            return "list_again"
        self.position += 1
        self.chain = encode(next_link(decode(self.chain), data))
        return "applied" if event_id == f"{self.instance}.{self.position}" else "list_again"

    def hear(self, data):
        try:
            claims = read_statement(data, "revocation-heartbeat+jwt", self.keys, self.issuer)
        except NotAuthentic:
            return "list_again"
        if any(claims[name] != getattr(self, name) for name in ("instance", "position", "chain")):
            return "list_again"
        if claims["time"] <= self.time:
            return "ignored"
        if not self.is_recent(claims):
            return "list_again"
        self.prove(claims)
        self.denials.forget(claims["time"], claims["seq"])
        return "counts"

    def parts_of(self, body):
        parts = BODY.fullmatch(body)
        require(parts, "form of the body")
        return parts.groups()

    def prove(self, claims):
        self.time, self.seq = claims["time"], claims["seq"]
        self.age_at_receipt = max(0, self.wall() - self.time)
        self.received_at = self.monotonic()

    # Time

    def is_recent(self, claims):
        """The last check of a statement: its time is authentic, so `now` is not behind it from here on."""
        if claims["time"] > self.authentic_time():
            self.latest = (claims["time"], self.monotonic())
        return abs(claims["time"] - self.wall()) <= RECENT_MS

    def authentic_time(self):
        if self.latest is None:
            return float("-inf")
        time, received_at = self.latest
        return time + self.monotonic() - received_at

    def now(self):
        """The clock for `exp` and `iat`."""
        return max(self.wall(), self.authentic_time())

    def status(self):
        if self.instance is None:
            return "booting"
        age = self.age_at_receipt + self.monotonic() - self.received_at
        return "current" if age <= CURRENT_MS else "blind"

    # Requests

    def decide(self, authorization, min_seq=None):
        """The claims of an accepted token; otherwise Refused. `authorization` has all headers of that name."""
        if len(authorization) > 1:
            raise Refused("auth.ambiguous_credentials")
        bearer = BEARER.fullmatch(authorization[0]) if authorization else None
        if bearer is None:
            raise Refused("auth.unauthenticated")
        if self.instance is None:
            raise Refused("auth.unavailable")
        claims = self.judge(bearer[1])
        if min_seq is not None:
            if not re.fullmatch(r"[0-9]{1,18}", min_seq):
                raise Refused("request.invalid")
            if not self.covers(int(min_seq)):  # a caller with time to wait tries again for 2 s
                raise Refused("auth.unavailable")
        if self.status() == "blind" and self.refuses_when_blind:
            raise Refused("auth.unavailable")
        return claims

    def covers(self, seq):
        return self.seq >= seq or seq in self.denials.applied

    def judge(self, token):
        """Steps 2 to 7."""
        try:
            jws = Jws(token, "at+jwt")
            self.check_claims(jws.claims)
            jws.verify(self.keys)
        except NotAuthentic as error:
            raise Refused("auth.invalid_token") from error
        claims = jws.claims
        if self.now() >= claims["exp"] * 1000:
            raise Refused("auth.token_expired")
        denial = self.denials.of_session(claims)
        if denial:
            raise Refused("auth.session_ended", reason=denial["reason"], endedAt=rfc3339(denial["createdAt"]))
        if self.denials.has_token(claims["jti"]):
            raise Refused("auth.token_expired")
        return claims

    def check_claims(self, claims):
        """Step 3, for an application that declares no claims."""
        require(set(claims) == CLAIMS, "names")
        require(claims["iss"] == self.issuer and claims["aud"] == self.audience, "iss and aud")
        require(matches(UUID, claims["sub"]) and matches(UUID, claims["sid"]), "sub and sid")
        require(matches(JTI, claims["jti"]), "jti")
        jti = decode(claims["jti"])
        require(jti[29] & 1 == 1 and jti[30] & 128 == 0, "transport and device key of the jti")
        require(is_integer(claims["iat"]) and is_integer(claims["exp"]) and claims["iat"] >= 0, "iat and exp")
        require(0 <= claims["exp"] - claims["iat"] <= MAX_TOKEN_SECONDS, "lifetime")
        require(claims["iat"] * 1000 <= self.now() + IAT_LEEWAY_MS, "iat in the future")
        roles = claims["roles"]
        require(isinstance(roles, list) and all(matches(ROLE, role) for role in roles), "roles")


def rfc3339(ms):
    time = datetime.fromtimestamp(ms / 1000, timezone.utc)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
