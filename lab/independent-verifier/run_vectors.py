"""
Runs the test vectors of the revocation feed through `verifier.py`:
`python3 lab/independent-verifier/run_vectors.py [file]`. One line per step that expects something; exit code 1 if
one of them is DIFFERENT.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from statements import encode, read_keys
from verifier import Refused, Verifier, first_link, next_link

VECTORS = Path(__file__).resolve().parents[2] / "packages/verifier/test/vectors.json"


def main(file=VECTORS):
    vectors = json.loads(Path(file).read_text(encoding="utf-8"))
    results = [("chain", vectors["chain"]["values"], links_of(vectors["chain"]))]
    for scenario in vectors["scenarios"]:
        results += run_scenario(scenario, vectors)
    different = [name for name, expected, found in results if not print_result(name, expected, found)]
    print(f"{len(vectors['scenarios'])} scenarios, {len(results)} results, {len(different)} different")
    return 1 if different or not vectors["scenarios"] else 0


def print_result(name, expected, found):
    is_same = expected == found
    print(f"ok {name}" if is_same else f"DIFFERENT {name}: expected {expected}, found {found}")
    return is_same


def links_of(chain):
    links = [first_link(chain["instance"])]
    for line in chain["lines"]:
        links.append(next_link(links[-1], line))
    return [encode(link) for link in links]


def run_scenario(scenario, vectors):
    clock = {"now": 0}
    verifier = Verifier(
        issuer=vectors["issuer"],
        audience=vectors["audience"],
        keys=read_keys(vectors["jwks"]),
        wall=lambda: clock["now"],
        monotonic=lambda: clock["now"],
    )
    for number, step in enumerate(scenario["steps"], 1):
        if set(step) == {"now"}:
            clock["now"] = step["now"]
            continue
        kind = next((name for name in ("status", "snapshot", "event", "request") if name in step), "unknown")
        yield (f"{scenario['name']}: step {number}, {kind}", *STEPS[kind](verifier, step))


def status(verifier, step):
    return step["status"], verifier.status()


def snapshot(verifier, step):
    cursor, statement, entries = (step["snapshot"][name] for name in ("cursor", "statement", "entries"))
    body = f'{{"cursor":"{cursor}","statement":"{joined(statement)}","entries":{entries}}}'
    return step["verdict"], verifier.take_snapshot(body)


def event(verifier, step):
    sent = step["event"]
    return step["verdict"], verifier.take_event(sent["type"], sent["id"], joined(sent["data"]))


def request(verifier, step):
    """Compares `reason` and `endedAt` only where the vector gives them."""
    sent = step["request"]
    expected = {"outcome": step["outcome"]}
    expected.update({name: sent[name] for name in ("reason", "endedAt") if name in sent})
    try:
        verifier.decide([f"Bearer {joined(sent['token'])}"], sent.get("minSeq"))
        found = {"outcome": "accepted"}
    except Refused as refused:
        found = {"outcome": refused.code, **refused.members}
    return expected, {name: found.get(name) for name in expected}


def unknown(_verifier, step):
    return "a known step", sorted(step)


STEPS = {"status": status, "snapshot": snapshot, "event": event, "request": request, "unknown": unknown}


def joined(parts):
    """The vectors give a JWS as an array of its parts."""
    return ".".join(parts) if isinstance(parts, list) else parts


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
