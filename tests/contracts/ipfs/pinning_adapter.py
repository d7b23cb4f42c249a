"""A pinning service for tests: the Pinning Service API 1.0.0 in front of a real Kubo node, as a process of its own.

``python pinning_adapter.py --node http://127.0.0.1:15001 --token SECRET`` prints its port and serves until it is ended.
``POST /faults`` takes a list; each later request to the API takes the first away and suffers it:
``{"status": 429, "retry_after": "0"}``, ``{"html": true}``, ``{"drop": true}`` (done, but the answer is lost),
``{"lie": true}`` (says pinned and pins nothing), ``{"slow": true}`` (stays queued), ``{"fail": true}``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import urllib.parse
import urllib.request
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"


class Service:
    """The pins, and what goes wrong next."""

    def __init__(self, node: str, token: str) -> None:
        self.node = node
        self.token = token
        self.pins: dict[str, dict[str, Any]] = {}
        self.faults: list[dict[str, Any]] = []
        self.posts = 0
        self.lock = threading.Lock()

    def call(self, command: str, timeout_s: float = 20.0, **params: str) -> dict[str, Any]:
        """Call the node."""
        query = urllib.parse.urlencode(params | {"timeout": f"{timeout_s:g}s"})
        request = urllib.request.Request(f"{self.node}/api/v0/{command}?{query}", method="POST")  # noqa: S310
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=timeout_s + 2) as answer:
            return dict(json.loads(answer.read() or b"{}"))

    def add(self, pin: dict[str, Any], fault: dict[str, Any]) -> dict[str, Any]:
        """Take a pin and begin."""
        status = {
            "requestid": str(uuid.uuid4()),
            "status": "pinned" if fault.get("lie") else "queued",
            "created": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "pin": pin,
            "delegates": list(self.call("id").get("Addresses") or []),
        }
        with self.lock:
            self.posts += 1
            self.pins[str(status["requestid"])] = status
        if not fault.get("lie") and not fault.get("slow"):
            threading.Thread(target=self._work, args=(status, bool(fault.get("fail"))), daemon=True).start()
        return status

    def _work(self, status: dict[str, Any], fails: bool) -> None:
        status["status"] = "pinning"
        try:
            for origin in status["pin"].get("origins") or []:
                self.call("swarm/connect", arg=origin)
            self.call("pin/add", arg="nonsense" if fails else status["pin"]["cid"])
            status["status"] = "pinned"
        except OSError as error:
            status["status"], status["info"] = "failed", {"status_details": str(error)}

    def remove(self, request_id: str) -> bool:
        """Forget a pin; the node forgets it with the last one."""
        with self.lock:
            gone = self.pins.pop(request_id, None)
            is_last = gone is not None and all(one["pin"]["cid"] != gone["pin"]["cid"] for one in self.pins.values())
        if gone is not None and is_last and gone["status"] == "pinned":
            with contextlib.suppress(OSError):
                self.call("pin/rm", arg=gone["pin"]["cid"])
        return gone is not None

    def found(self, query: dict[str, str]) -> dict[str, Any]:
        """A page."""
        statuses = query.get("status", "pinned").split(",")
        pins = [one for one in self.pins.values() if one["status"] in statuses]
        if "cid" in query:
            pins = [one for one in pins if one["pin"]["cid"] in query["cid"].split(",")]
        if "before" in query:
            pins = [one for one in pins if one["created"] < query["before"]]
        pins.sort(key=lambda one: str(one["created"]), reverse=True)
        return {"count": len(pins), "results": pins[: min(int(query.get("limit", "10")), 7)]}


def handler(service: Service) -> type[BaseHTTPRequestHandler]:  # noqa: C901 one small class
    """The requests of one service."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base's name
            """Say nothing."""

        def _send(self, status: int, body: object, **headers: str) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(body, bytes) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def _body(self) -> Any:
            return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")

        def _serve(self) -> None:
            target = urllib.parse.urlsplit(self.path)
            body = self._body()
            if target.path == "/faults":
                if self.command == "POST":
                    service.faults = list(body)
                self._send(200, {"posts": service.posts, "left": len(service.faults), "pins": len(service.pins)})
                return
            if self.headers.get("Authorization") != f"Bearer {service.token}":
                self._send(401, {"error": {"reason": "UNAUTHORIZED", "details": "token"}})
                return
            fault = self._fault()
            if "status" in fault:
                extra = {"Retry_After": fault["retry_after"]} if "retry_after" in fault else {}
                self._send(fault["status"], {"error": {"reason": "TESTED", "details": "on purpose"}}, **extra)
            elif fault.get("html"):
                self._send(200, HTML)
            else:
                answer = self._answer(target, body, fault)
                if fault.get("drop"):
                    self.close_connection = True
                    return
                self._send(*answer)

        def _fault(self) -> dict[str, Any]:
            with service.lock:
                only = service.faults[0].get("method") if service.faults else None
                return service.faults.pop(0) if service.faults and only in (None, self.command) else {}

        def _answer(self, target: urllib.parse.SplitResult, body: Any, fault: dict[str, Any]) -> tuple[int, object]:
            query = {name: value[0] for name, value in urllib.parse.parse_qs(target.query).items()}
            request_id = target.path.removeprefix("/pins").strip("/")
            if not target.path.startswith("/pins"):
                return 404, {"error": {"reason": "NOT_FOUND", "details": target.path}}
            if not request_id:
                return (202, service.add(body, fault)) if self.command == "POST" else (200, service.found(query))
            known = service.pins.get(request_id)
            if known is None:
                return 404, {"error": {"reason": "NOT_FOUND", "details": request_id}}
            if self.command == "DELETE":
                service.remove(request_id)
                return 202, {}
            return 200, known

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 the base's names

    return Handler


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", required=True)
    parser.add_argument("--token", required=True)
    given = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Service(given.node, given.token)))
    print(server.server_address[1], flush=True)  # noqa: T201 how its port is told
    server.serve_forever()


if __name__ == "__main__":
    main()
