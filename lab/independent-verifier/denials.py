"""The list of denials: entries of the feed, and the answer to "does one of them deny this session or token?"."""

from statements import is_integer, is_number, parse_json

MAX_TIME = 253_402_300_799_999  # the end of the year 9999
KINDS = ("token", "session", "user", "everyone")


class NotUnderstood(Exception):
    """An entry lacks a member, or has one of another type or another kind."""


def read_entry(data):
    """One entry from the data of an event."""
    try:
        entry = parse_json(data)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("JSON") from error
    return check_entry(entry)


def check_entry(entry):
    is_understood = (
        isinstance(entry, dict)
        and is_integer(entry.get("seq"))
        and entry.get("kind") in KINDS
        and isinstance(entry.get("subjects"), list)
        and all(isinstance(subject, str) for subject in entry["subjects"])
        and isinstance(entry.get("reason"), str)
        and "notBefore" in entry
        and (entry["notBefore"] is None or is_number(entry["notBefore"]))
        and is_time(entry.get("createdAt"))
        and is_number(entry.get("expiresAt"))
    )
    if not is_understood:
        raise NotUnderstood(str(entry))
    return entry


def is_time(value):
    """A time without a spelling in RFC 3339 could not be sent to a client."""
    return is_number(value) and 0 <= value <= MAX_TIME


class Denials:
    def __init__(self):
        self.entries = []
        self.applied = set()  # numbers of entries that no heartbeat covers yet

    def add(self, entry):
        if entry not in self.entries:
            self.entries.append(entry)
        self.applied.add(entry["seq"])

    def forget(self, time, seq):
        """A heartbeat counted: entries that expired by its time leave, and its `seq` covers earlier numbers."""
        self.entries = [entry for entry in self.entries if entry["expiresAt"] > time]
        self.applied = {number for number in self.applied if number > seq}

    def of_session(self, claims):
        """The entry that denies the session of a token, or None: first by its session, then by user, then by everyone."""
        created = int(claims["sid"].replace("-", "")[:12], 16)
        for kind, subject in (("session", claims["sid"]), ("user", claims["sub"]), ("everyone", None)):
            found = self.strongest(kind, subject)
            if found and (kind == "session" or found["notBefore"] is None or created <= found["notBefore"]):
                return found
        return None

    def has_token(self, jti):
        return self.strongest("token", jti) is not None

    def strongest(self, kind, subject):
        """Of several entries the one with the greatest `notBefore`, where null is greatest; of equal ones the first."""
        concerned = [
            entry
            for entry in self.entries
            if entry["kind"] == kind and (kind == "everyone" or subject in entry["subjects"])
        ]
        return max(concerned, key=not_before, default=None)


def not_before(entry):
    return float("inf") if entry["notBefore"] is None else entry["notBefore"]
