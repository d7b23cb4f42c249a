"""Generated requests against the running API: does it answer as its own OpenAPI document says?

Run it on a platform of its own, because some of the requests are good ones: they add titles and viewers::

    NEXUS_HOME=/tmp/bench bin/nexus up
    NEXUS_HOME=/tmp/bench .venv/bin/python -m benchmarks.openapi [--cases 5000] [--seed 1]

Protocol: schemathesis makes for every route as many requests, half of them according to the schema, half against it; ids of real
viewers and titles are mixed in, so that the long way is walked too. Every answer is checked: no 5xx, a documented status, its
content type, headers and schema; what is against the schema is refused (of events: in the answer's ``refused``, because
the rest of a batch goes on). Exit status 1 when one answer fails a check, or when fewer cases than asked for were sent.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from time import perf_counter
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nexus.settings import load

ALWAYS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EVENTS = "/v1/events"
SHOWN = 10
REAL_EVERY = 3


def known(url: str) -> dict[str, list[str]]:
    """Ids that exist, by the name of the parameter."""
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        users = client.get("/v1/users", params={"limit": 50}).raise_for_status().json()["items"]
        found = client.get("/v1/search", params={"q": "night", "limit": 50}).raise_for_status().json()["items"]
    return {
        "user_id": [one["user_id"] for one in users] + [name for one in users for name in one["external_ids"]],
        "content_id": [one["content_id"] for one in found] + [name for one in found for name in one["external_ids"]],
    }


def is_negative(case: schemathesis.Case) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_negative


def check(case: schemathesis.Case, response: Any) -> None:
    """Raise a failure of schemathesis when the answer is not as described."""
    checks = list(ALWAYS)
    if case.operation.path != EVENTS:
        checks.append(negative_data_rejection)
    case.validate_response(response, checks=checks)
    if case.operation.path == EVENTS and is_negative(case) and response.status_code == httpx.codes.ACCEPTED:
        answer = response.json()
        if not answer["refused"] and answer["accepted"]:
            raise Failure(operation=case.operation.label, title="Bad events accepted", message=str(case.body)[:500])


class Run:
    """What was sent, and what came back."""

    def __init__(self, url: str, chosen: int) -> None:
        self.url = url
        self.seed = chosen
        self.session = requests.Session()
        self.session.trust_env = False
        self.names = known(url)
        self.pick = random.Random(chosen)  # noqa: S311 picks test data, no secret
        self.statuses: Counter[str] = Counter()
        self.failures: dict[str, str] = {}

    def send(self, case: schemathesis.Case) -> None:
        """One request, and what is wrong with its answer."""
        if not is_negative(case) and self.pick.randrange(REAL_EVERY):
            for name in self.names.keys() & case.path_parameters.keys():
                case.path_parameters[name] = self.pick.choice(self.names[name])
        response = case.call(base_url=self.url, session=self.session, timeout=30)
        self.statuses[f"{case.method} {case.operation.path} {response.status_code}"] += 1
        try:
            check(case, response)
        except FailureGroup as found:
            for failure in found.exceptions:
                note(self.failures, case, failure)
        except Failure as failure:
            note(self.failures, case, failure)

    def ask(self, operation: Any, count: int, number: int) -> None:
        """Some requests of one route."""

        @given(
            case=operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
        )
        @seed(number)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def all_of_them(case: schemathesis.Case) -> None:
            self.send(case)

        all_of_them()


def run(url: str, cases: int, chosen: int) -> dict[str, Any]:
    one = Run(url, chosen)
    schema = schemathesis.openapi.from_dict(one.session.get(f"{url}/openapi.json", timeout=10).json())
    operations = [found.ok() for found in schema.get_all_operations()]
    began, rounds = perf_counter(), 0
    while one.statuses.total() < cases:  # a route without parameters has one request only, so others get more
        left = -(-(cases - one.statuses.total()) // len(operations))
        for operation in operations:
            one.ask(operation, left, chosen + rounds)
        rounds += 1
    by_status = sorted(one.statuses.items())
    return {
        "routes": len(operations),
        "cases": one.statuses.total(),
        "seed": chosen,
        "seconds": round(perf_counter() - began, 1),
        "server_errors": sum(count for name, count in by_status if name.rpartition(" ")[2].startswith("5")),
        "failures": len(one.failures),
        "statuses": dict(by_status),
        "first_failures": list(one.failures.values())[:SHOWN],
    }


def note(failures: dict[str, str], case: schemathesis.Case, failure: BaseException) -> None:
    """Keep one example of each kind of failure of each route."""
    key = f"{case.operation.label}: {getattr(failure, 'title', type(failure).__name__)}"
    words = f"{key}\n{str(getattr(failure, 'message', failure))[:600]}\n{case.as_curl_command()[:600]}"
    failures.setdefault(key, words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="where the API answers; default: the running one")
    parser.add_argument("--cases", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    given_ = parser.parse_args()
    url = given_.url or load().api.url
    if url is None:
        parser.exit(2, "the API is not running: bin/nexus up starts it, or give --url\n")
    figures = run(url, given_.cases, given_.seed)
    print(json.dumps(figures, indent=1))
    if figures["failures"] or figures["server_errors"] or figures["cases"] < given_.cases:
        sys.exit(1)


if __name__ == "__main__":
    main()
