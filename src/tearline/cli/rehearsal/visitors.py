"""The simulated visitors, by Locust, in a process of their own: ``python -m tearline.cli.rehearsal.visitors``.

Locust makes every blocking call of its process give way to other visitors (gevent), which must not happen in
the process that conducts the rehearsal. Told a ``Script`` as JSON by its arguments, it says one line of JSON
when everyone has gathered, and a ``Seen`` at the end.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections import Counter
from itertools import count, cycle
from math import log
from pathlib import Path
from random import Random
from typing import Any

import gevent
import msgspec
from geventhttpclient.response import HTTPConnectionClosed
from locust import FastHttpUser, LoadTestShape, constant, task
from locust.env import Environment
from locust.event import Events

from tearline.cli.children import tie_to_parent
from tearline.cli.rehearsal.dial import Latency, latency_of
from tearline.cli.rehearsal.plan import Plan, arrived_share
from tearline.cli.rehearsal.protocol import CAMPAIGN_CODE, PASSWORD, ROOM_CODE, Gathered, Script, Seen

_GATHER_PATIENCE_SECONDS = 60.0
_TIMEOUT_SECONDS = 20.0
_SPREAD = 0.5
"""Standard deviation of the logarithm of think times: most are short, a few are long, as with people."""
_EVERY_STATUS = frozenset(range(100, 600))
_RETRY_SECONDS = 2.0


class Watcher:
    """What is counted while it counts."""

    def __init__(self) -> None:
        self.is_judging = False
        self.is_measuring = False
        self.joined = 0
        self.judged: dict[str, list[float]] = {"served": [], "line": []}
        self.measured: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()

    def saw(
        self, *, name: str, response_time: float, exception: Any, context: dict[str, str], **_: Any
    ) -> None:
        """Count one request; Locust tells of each."""
        kind = context["kind"]
        if self.is_judging:
            self.judged[kind].append(response_time)
            if exception is not None:
                self.wrong[kind] += 1
                self.errors[f"{name}: {exception}"[:200]] += 1
        if self.is_measuring:
            self.measured[kind] += 1

    def happened(self, outcome: str) -> None:
        """Count how a visit went."""
        if self.is_measuring:
            self.outcomes[outcome] += 1

    def latency(self, kind: str) -> Latency:
        """What the requests of a kind took."""
        return latency_of(self.judged[kind], self.wrong[kind])


class Arrivals(LoadTestShape):
    """How many visitors there are, second by second."""

    abstract = False
    plan: Plan

    def tick(self) -> tuple[int, float]:
        """The number of visitors now, and how fast those that are missing come."""
        plan = self.plan
        over_seconds = plan.gather_seconds if plan.shape == "burst" else plan.settle_seconds
        # A second ahead: Locust asks once a second, and brings the missing in the course of the next.
        share = arrived_share(plan.shape, time.perf_counter() - self.start_time + 1, over_seconds)
        wanted = max(1, round(plan.people * share))
        present = self.runner.user_count if self.runner is not None else 0
        return wanted, max(1.0, float(wanted - present))


class Visitor(FastHttpUser):
    """Somebody who comes for a coupon; afterwards, somebody else."""

    wait_time = constant(0)
    connection_timeout = network_timeout = _TIMEOUT_SECONDS
    max_redirects = 0
    watcher: Watcher
    plan: Plan
    tokens: Any
    numbers = count()
    random = Random()  # noqa: S311 - nothing here protects anything

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # Every status is an answer that we judge ourselves, and cookies are sent as each request needs them.
        agent: Any = self.client.client
        agent.valid_response_codes = _EVERY_STATUS
        agent.redirect_response_codes = frozenset()
        agent.cookiejar = None

    @task
    def visit(self) -> None:
        """One whole visit."""
        self.member = next(self.tokens)
        self.key = f"rehearsal-{os.getpid()}-{next(self.numbers)}"
        self.is_reloader = self._chance(self.plan.reload_share)
        self._get("line", f"/gate/{ROOM_CODE}", "the waiting page")
        status, ticket = self._post("line", f"/gate/{ROOM_CODE}/joins", "joining", {})
        if status != 200:
            gevent.sleep(_RETRY_SECONDS)
            return
        self.watcher.joined += 1
        if self._chance(self.plan.no_show_share):
            self.watcher.happened("no_show")
            # Their greenlet is somebody else later on; not before the start, or there would be ever more of them.
            gevent.sleep(self.plan.gather_seconds + self.plan.think_seconds)
            return
        pass_ = self._wait(ticket)
        if pass_ is not None:
            self._be_inside(pass_)

    def _wait(self, ticket: dict[str, Any]) -> str | None:
        """Wait in line; the pass at one's turn, or None when it was missed or the room has closed."""
        bearer = {"Authorization": f"Bearer {ticket['ticket']}"}
        etag, document, place = "", None, ticket["place"]
        while True:
            found, etag = self._poll(etag)
            document = found or document
            if document is None or document["round"] < ticket["round"]:
                # What everyone sees of the room is a second old; the ticket may be newer.
                gevent.sleep(_RETRY_SECONDS * self.plan.poll_factor)
                continue
            if document["round"] > ticket["round"] or document["state"] in ("closed", "ended"):
                return None
            if self.is_reloader:
                self.is_reloader = False
                self._get(
                    "line", f"/gate/{ROOM_CODE}", "the waiting page", _cookie("ticket", ticket["ticket"])
                )
                self._post("line", f"/gate/{ROOM_CODE}/joins", "joining", {}, bearer)
            if place is None and document["state"] != "gathering":
                place = self._place(bearer)
            if place is not None and (document["state"] == "open" or place < document["called"]):
                entered, retry_seconds = self._enter(bearer)
                if entered or retry_seconds is None:
                    return entered
                gevent.sleep(retry_seconds)
            else:
                ahead = document["joined"] if place is None else place - document["called"]
                gevent.sleep(self._interval(document["polls"], ahead))

    def _poll(self, etag: str) -> tuple[dict[str, Any] | None, str]:
        """The room's document when it has changed, and its tag."""
        path, headers = f"/gate/{ROOM_CODE}/room.json", {"If-None-Match": etag} if etag else {}
        with self._ask("GET", "line", path, "polls", None, headers) as response:
            if response.status_code not in (200, 304):
                response.failure(_said(response))
                return None, ""
            response.success()
            if response.status_code == 304:
                return None, etag
            return _json(response), str(response.headers.get("etag", ""))

    def _place(self, bearer: dict[str, str]) -> int | None:
        status, body = self._get("line", f"/gate/{ROOM_CODE}/ticket", "the place after the draw", bearer)
        return body.get("place") if status == 200 else None

    def _enter(self, bearer: dict[str, str]) -> tuple[str | None, float | None]:
        """The pass; or None and the seconds after which to ask again, None when there is no use in it."""
        headers = {**bearer, "Tearline-Member": f"Bearer {self.member}"}
        key = {"exchange_key": self.key}
        expected = ("not_called", "room_full", "turn_missed")
        status, body = self._post("served", f"/gate/{ROOM_CODE}/passes", "entering", key, headers, expected)
        if status == 200:
            return str(body["pass"]), None
        if body.get("reason") == "turn_missed":
            self.watcher.happened("missed")
            return None, None
        return None, float(body.get("retry_after_seconds", _RETRY_SECONDS)) * self.plan.poll_factor

    def _be_inside(self, pass_: str) -> None:
        page = f"/c/{CAMPAIGN_CODE}"
        cookies = _cookie("pass", pass_)
        cookies["Cookie"] += f"; tearline_member={self.member}"
        for _time in range(2 if self._chance(self.plan.reload_share) else 1):
            self._get("served", page, "the campaign's page", cookies)
        self._think()
        if self._chance(self.plan.leaver_share):
            self.watcher.happened("left")
        else:
            self._claim(pass_)
            self._think()
        bearer = {"Authorization": f"Bearer {pass_}"}
        self._post("served", f"/gate/{ROOM_CODE}/departures", "leaving", {}, bearer, ("pass_ended",))

    def _claim(self, pass_: str) -> None:
        headers = {
            "Authorization": f"Bearer {self.member}",
            "Idempotency-Key": self.key,
            "Tearline-Pass": pass_,
        }
        path = f"/api/v1/campaigns/{CAMPAIGN_CODE}/claims"
        # Whoever thinks for longer than a session lasts is told so: that is no error.
        status, body = self._post(
            "served", path, "claiming", {"password": PASSWORD}, headers, ("pass_ended",)
        )
        if status in (200, 201):
            self.watcher.happened("claimed")
        elif body.get("reason") == "pass_ended":
            self.watcher.happened("time_up")

    def _get(
        self, kind: str, path: str, name: str, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        return self._send("GET", kind, path, name, None, headers or {}, ())

    def _post(
        self,
        kind: str,
        path: str,
        name: str,
        body: dict[str, Any],
        headers: dict[str, str] | None = None,
        expected: tuple[str, ...] = (),
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json", **(headers or {})}
        return self._send("POST", kind, path, name, msgspec.json.encode(body).decode(), headers, expected)

    def _send(
        self,
        method: str,
        kind: str,
        path: str,
        name: str,
        body: str | None,
        headers: dict[str, str],
        expected: tuple[str, ...],
    ) -> tuple[int, dict[str, Any]]:
        """Status and body; anything but 2xx is an error, but for the refusals that are expected."""
        with self._ask(method, kind, path, name, body, headers) as response:
            status = response.status_code
            answer = _json(response)
            if 200 <= status < 300 or answer.get("reason") in expected:
                response.success()
            else:
                response.failure(_said(response))
            return status, answer

    def _ask(
        self, method: str, kind: str, path: str, name: str, body: str | None, headers: dict[str, str]
    ) -> Any:
        """The answer, to be judged in a ``with`` block."""
        arguments: dict[str, Any] = {
            "name": name,
            "data": body,
            "headers": headers,
            "catch_response": True,
            "context": {"kind": kind},
        }
        response = self.client.request(method, path, **arguments)
        if isinstance(getattr(response, "error", None), HTTPConnectionClosed):
            # The server shuts a connection that was idle for long, perhaps as we use it: browsers just ask again.
            response = self.client.request(method, path, **arguments)
        return response

    def _think(self) -> None:
        mean = self.plan.think_seconds
        gevent.sleep(self.random.lognormvariate(log(mean) - _SPREAD * _SPREAD / 2, _SPREAD))

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _interval(self, polls: list[tuple[int | None, int]], ahead: int) -> float:
        seconds = next(every for fewer, every in polls if fewer is None or ahead < fewer)
        return seconds * self.plan.poll_factor * self.random.uniform(0.75, 1.25)


def _cookie(kind: str, token: str) -> dict[str, str]:
    return {"Cookie": f"tearline_{kind}_{ROOM_CODE}={token}"}


def _json(response: Any) -> dict[str, Any]:
    content_type = response.headers.get("content-type", "") if response.headers else ""
    if "json" not in content_type or not response.content:
        return {}
    found = msgspec.json.decode(response.content)
    return found if isinstance(found, dict) else {}


def _said(response: Any) -> str:
    """What a wrong answer was, in a few words."""
    if not response.status_code:
        return type(getattr(response, "error", None)).__name__
    reason = _json(response).get("reason", "")
    return f"{response.status_code} {reason}".strip()


def perform(script: Script) -> Seen:
    """One step's visitors, from the first arrival to the end of the measured time."""
    plan = script.plan
    watcher = Visitor.watcher = Watcher()
    Visitor.plan = Arrivals.plan = plan
    tokens = Path(script.tokens_path).read_text("ascii").split()
    # Not the same ones at each step's beginning.
    Visitor.tokens = cycle(
        tokens[script.first_token % len(tokens) :] + tokens[: script.first_token % len(tokens)]
    )
    Visitor.host = script.url
    events = Events()
    events.request.add_listener(watcher.saw)
    arrivals = Arrivals()  # type: ignore[no-untyped-call]  # Locust's own
    environment = Environment(user_classes=[Visitor], shape_class=arrivals, events=events)
    runner = environment.create_local_runner()
    runner.start_shape()
    if plan.shape == "burst":
        deadline = time.monotonic() + plan.gather_seconds + _GATHER_PATIENCE_SECONDS
        while watcher.joined < plan.people and time.monotonic() < deadline:
            gevent.sleep(0.05)
    _say(Gathered(watcher.joined))
    # The crowd at the start is what a burst is about: from there on its answers are judged.
    watcher.is_judging = plan.shape == "burst"
    gevent.sleep(plan.settle_seconds)
    watcher.is_judging = watcher.is_measuring = True
    began, processor_began = time.monotonic(), time.process_time()
    gevent.sleep(plan.step_seconds)
    watcher.is_judging = watcher.is_measuring = False
    seconds = time.monotonic() - began
    generator = (time.process_time() - processor_began) / seconds
    return Seen(
        seconds=seconds,
        served=watcher.latency("served"),
        line=watcher.latency("line"),
        served_per_second=watcher.measured["served"] / seconds,
        line_per_second=watcher.measured["line"] / seconds,
        generator=generator,
        outcomes=dict(watcher.outcomes),
        errors=dict(watcher.errors.most_common(5)),
    )


def _say(message: Gathered | Seen) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def main(parent: str, script: str) -> None:
    """Perform, say what was seen, and go, leaving everyone where they are."""
    tie_to_parent(int(parent), signal.SIGKILL)
    # Each visitor has a connection, and many systems begin with a thousand for a process.
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _say(perform(msgspec.json.decode(script, type=Script)))
    # Nothing of theirs is of use to anybody: the step's room ends now.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
