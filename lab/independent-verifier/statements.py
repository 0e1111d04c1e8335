"""Signed texts of the revocation feed: compact JWS with ES256, and the claims of a statement."""

import base64
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

MAX_JWS_LENGTH = 4_096
MAX_INTEGER = 2**53 - 1
SIGNATURE_BYTES = 64
DIGEST = re.compile(r"[A-Za-z0-9_-]{43}")
INSTANCE = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NotAuthentic(Exception):
    """The text is not a JWS of the expected kind, or its signature or a claim of it is wrong."""


def require(condition, reason):
    if not condition:
        raise NotAuthentic(reason)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    """Refuses every spelling of the bytes but the canonical one."""
    require(re.fullmatch(r"[A-Za-z0-9_-]*", text), "base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise NotAuthentic("base64url") from error
    require(encode(data) == text, "canonical base64url")
    return data


def parse_json(text):
    """JSON as RFC 8259 has it: Python would also accept NaN and Infinity."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def stringify(value):
    """The spelling of `JSON.stringify`, except for names that are integers and numbers that have an exponent."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Jws:
    """Rules 1 and 2 of an authentic statement. The signature is not yet verified."""

    def __init__(self, text, typ):
        require(isinstance(text, str) and len(text) <= MAX_JWS_LENGTH, "length")
        parts = text.split(".")
        require(len(parts) == 3, "three parts")
        header, payload, self.signature = map(decode, parts)
        require(len(self.signature) == SIGNATURE_BYTES, "length of the signature")
        self.signed = text.rpartition(".")[0].encode()
        try:
            texts = [header.decode(), payload.decode()]
            self.header, self.claims = map(parse_json, texts)
        except (ValueError, RecursionError) as error:
            raise NotAuthentic("JSON in UTF-8") from error
        require(isinstance(self.header, dict) and isinstance(self.claims, dict), "objects")
        require(set(self.header) == {"alg", "typ", "kid"}, "members of the header")
        require(self.header["alg"] == "ES256" and self.header["typ"] == typ, "alg and typ")
        require(isinstance(self.header["kid"], str), "kid")
        require(texts == [stringify(self.header), stringify(self.claims)], "spelling")

    def verify(self, keys):
        key = keys.get(self.header["kid"])
        require(key is not None, "unknown key")
        r, s = (int.from_bytes(half, "big") for half in (self.signature[:32], self.signature[32:]))
        try:
            key.verify(encode_dss_signature(r, s), self.signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise NotAuthentic("signature") from error


def read_keys(jwks):
    """The usable keys of a key set by `kid`. The section "Keys" of the page names the members."""
    return {key["kid"]: public_key(key) for key in jwks["keys"] if is_usable(key)}


def is_usable(key):
    wanted = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"}
    return all(key.get(name) == value for name, value in wanted.items())


def public_key(key):
    x, y = (int.from_bytes(decode(key[name]), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def read_statement(text, typ, keys, issuer):
    """The claims of an authentic statement; otherwise NotAuthentic."""
    jws = Jws(text, typ)
    jws.verify(keys)
    claims = jws.claims
    require(claims.get("iss") == issuer, "iss")
    require(matches(INSTANCE, claims.get("instance")), "instance")
    require(matches(DIGEST, claims.get("chain")), "chain")
    require(is_number(claims.get("time")), "time")
    for name in ("position", "seq"):
        require(is_integer(claims.get(name)) and claims[name] >= 0, name)
    if typ == "revocation-snapshot+jwt":
        require(matches(DIGEST, claims.get("digest")), "digest")
    return claims


def matches(pattern, value):
    return isinstance(value, str) and pattern.fullmatch(value) is not None
