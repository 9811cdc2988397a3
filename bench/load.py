"""The load over HTTP: wrk, with one line of a file for each request, or with the same request again and again."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_THREADS = 2

_REPORT = """
function done(summary, latency)
  local refused = summary.errors.status
  local finished = 0
  for _, thread in ipairs(threads) do finished = math.max(finished, thread:get("finished_at") or 0) end
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '\\nRESULT {"requests": %d, "refused": %d, "broken": %d, "seconds": %f,' ..
    '"p50_ms": %f, "p99_ms": %f, "finished_at": %f}\\n',
    summary.requests, refused, broken, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, finished))
end
"""

# Each thread walks its own share of the lines "TOKEN<tab>KEY<tab>BODY", once or round and round.
SCRIPT = """
local ffi = require("ffi")
ffi.cdef[[ typedef struct { long seconds; long microseconds; } clock_t_; int gettimeofday(clock_t_ *, void *); ]]
threads = {}
function setup(thread)
  thread:set("number", #threads)
  threads[#threads + 1] = thread
end
function init(arguments)
  lines, position, answered, finished_at = {}, 0, 0, 0
  local share, count = tonumber(arguments[2]), 0
  once = arguments[3] == "once"
  prefix = arguments[4]
  path = arguments[5]
  for line in io.lines(arguments[1]) do
    if count % share == number then
      local token, key, body = line:match("([^\\t]*)\\t([^\\t]*)\\t(.*)")
      lines[#lines + 1] = {token, key, body}
    end
    count = count + 1
  end
end
function request()
  position = position + 1
  local line = lines[(position - 1) % #lines + 1]
  local headers = {["Authorization"] = "Bearer " .. line[1], ["Content-Type"] = "application/json"}
  if line[2] ~= "" then headers["Idempotency-Key"] = prefix .. line[2] .. "-" .. position end
  return wrk.format("POST", path, headers, (line[3]:gsub("@", prefix .. number .. "-" .. position)))
end
function response()
  answered = answered + 1
  if once and answered >= #lines then
    local now = ffi.new("clock_t_")
    ffi.C.gettimeofday(now, nil)
    finished_at = tonumber(now.seconds) + tonumber(now.microseconds) / 1e6
    wrk.thread:stop()
  end
end
"""


# The request is made once for each thread: what is measured is the server and not the making of requests.
SAME_SCRIPT = """
threads = {{}}
function setup(thread) threads[#threads + 1] = thread end
wrk.method, wrk.body = {method}, {body}
{headers}
"""


@dataclass(frozen=True)
class Load:
    """What a load saw.

    Attributes:
        refused: answers that are not 2xx.
        broken: requests without an answer.
        finished_at: Unix time at which the last line was answered, for a load that is sent once.
    """

    requests: int
    refused: int
    broken: int
    seconds: float
    p50_ms: float
    p99_ms: float
    finished_at: float

    @property
    def granted_per_second(self) -> float:
        """2xx answers a second."""
        return (self.requests - self.refused) / self.seconds


def post(
    url: str,
    path: str,
    lines: Sequence[tuple[str, str, str]],
    *,
    connections: int,
    seconds: float,
    prefix: str,
    once: bool = False,
) -> Load:
    """Post the lines (token, idempotency key, body) over many connections.

    Args:
        prefix: makes the keys of this load differ from those of an earlier one; ``@`` in a body becomes a
            number that is used once.
        once: send each line about once, then idle until ``seconds`` are over, instead of going round.
    """
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory, "lines.tsv")
        data.write_text("".join("\t".join(line) + "\n" for line in lines))
        arguments = [str(data), str(_THREADS), "once" if once else "round", prefix, path]
        return _wrk(url, SCRIPT, arguments, connections=connections, seconds=seconds)


def repeat(
    url: str,
    *,
    connections: int,
    seconds: float,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str = "",
) -> Load:
    """Send the same request over many connections, again and again."""
    # What JSON quotes is quoted for Lua as well, as long as it is plain text.
    lines = [
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in (headers or {}).items()
    ]
    script = SAME_SCRIPT.format(method=json.dumps(method), body=json.dumps(body), headers="\n".join(lines))
    return _wrk(url, script, [], connections=connections, seconds=seconds)


def _wrk(url: str, script: str, arguments: Sequence[str], *, connections: int, seconds: float) -> Load:
    if shutil.which("wrk") is None:
        raise SystemExit("The benchmarks need wrk: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + _REPORT)
        file.flush()
        command = ["wrk", "-t", str(_THREADS), "-c", str(connections), "-d", f"{round(seconds)}s"]
        command += ["--timeout", "30s", "-s", file.name, url, "--", *arguments]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    result = finished.stdout.partition("\nRESULT ")[2]
    return Load(**json.loads(result))
