"""The programs and test vectors of ``docs/draw.md`` and ``docs/waiting-room.md`` against Tearline's own."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tearline.core import draw
from tearline.gateway import InvalidPass, PassVerifier
from tearline.waitingroom.site_passes import SitePasses
from tearline.waitingroom.tokens import Pass
from tests.sites import PAGE, site

DOCS = Path(__file__).parents[2] / "docs"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no node on this machine")

SIZES = (1, 2, 3, 10, 255, 256, 257, 1000, 65536, 65537, 2**31 + 11, 2**40)
ISSUER, SITE, ROOM = "https://coupons.example.org", "https://shop.example", "SALE"


def block(page: str, kind: str) -> str:
    found = re.findall(rf"^```{kind}\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


def run_in_node(tmp_path: Path, module: str, program: str, given: Any) -> Any:
    """What a program prints as JSON; ``given`` is what it is handed on its standard input."""
    (tmp_path / "page.mjs").write_text(module)
    (tmp_path / "main.mjs").write_text(f'import {{ readFileSync }} from "node:fs";\n{program}')
    assert NODE is not None
    done = subprocess.run(
        [NODE, str(tmp_path / "main.mjs")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# The draw


def asked_places() -> list[tuple[str, int, int]]:
    dice = random.Random(5)
    asked = []
    for arrivals in SIZES:
        seed = dice.randbytes(draw.SEED_BYTES).hex()
        numbers = {0, arrivals - 1, arrivals // 2, *(dice.randrange(arrivals) for _ in range(20))}
        asked += [(seed, number, arrivals) for number in sorted(numbers)]
    return asked


def test_the_pages_python_draws_as_we_do() -> None:
    names: dict[str, Any] = {}
    exec(compile(block("draw.md", "python draw"), "draw.md", "exec"), names)
    for seed, number, arrivals in asked_places():
        key = bytes.fromhex(seed)
        assert names["place"](key, number, arrivals) == draw.place(key, number, arrivals)
    key = bytes(32)
    assert sorted(names["place"](key, number, 300) for number in range(300)) == list(range(300))


@needs_node
def test_the_pages_javascript_draws_as_we_do(tmp_path: Path) -> None:
    program = """
import { place } from "./page.mjs";
const asked = JSON.parse(readFileSync(0));
console.log(JSON.stringify(asked.map(([seed, i, n]) => place(Buffer.from(seed, "hex"), i, n))));
"""
    asked = asked_places()
    assert run_in_node(tmp_path, block("draw.md", "js draw"), program, asked) == [
        draw.place(bytes.fromhex(seed), number, arrivals) for seed, number, arrivals in asked
    ]


def test_the_draws_vectors_are_true() -> None:
    vectors = json.loads(block("draw.md", "json draw"))
    assert len(vectors) >= 4
    for one in vectors:
        seed, arrivals = bytes.fromhex(one["seed"]), one["arrivals"]
        assert draw.commitment(seed) == one["commitment"]
        asked = (0, 1, arrivals // 2, arrivals - 1)
        assert [draw.place(seed, number, arrivals) for number in asked] == one["places"]


# Passes for other sites


def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(block("waiting-room.md", "json site"))
    return found


def test_the_passes_vectors_are_ours() -> None:
    given = vectors()
    secret = re.search(r"never to be used: `([^`]+)`", (DOCS / "waiting-room.md").read_text("utf-8"))
    assert secret
    passes = SitePasses([secret[1].encode()], ISSUER)
    assert json.loads(passes.document)["keys"] == given["keys"]
    now = datetime(2026, 12, 1, 4, tzinfo=UTC)
    room = UUID("01920000-0000-7000-8000-000000000001")
    held = Pass(room, 1, 12, None, now, now + timedelta(minutes=30))
    assert passes.signed(held, ROOM, SITE, now) == given["pass"]


def test_the_gateway_says_of_the_vectors_what_the_page_says() -> None:
    given = vectors()
    verifier = PassVerifier(given, issuer=ISSUER, audience=SITE, room=ROOM, clock=lambda: given["now"])
    found = verifier.verify(given["pass"])
    assert (found.id, found.expires_at) == (given["claims"]["jti"], given["claims"]["exp"])
    assert len(given["refused"]) >= 8
    for reason, token in given["refused"].items():
        with pytest.raises(InvalidPass) as refused:
            verifier.verify(token)
        assert refused.value.reason == reason


@pytest.mark.anyio
async def test_the_pages_python_guards_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.json").write_text(json.dumps(vectors()))
    names: dict[str, Any] = {"app": site}
    exec(compile(block("waiting-room.md", "python site"), "waiting-room.md", "exec"), names)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(names["app"]), base_url=SITE) as client:
        away = await client.get("/sale", headers=PAGE)
        assert away.headers["location"] == f"{ISSUER}/gate/{ROOM}?return=https%3A%2F%2Fshop.example%2Fsale"
        assert (await client.get("/static/app.css")).status_code == 200


@needs_node
def test_the_pages_javascript_reads_passes_as_we_do(tmp_path: Path) -> None:
    program = """
import { readPass } from "./page.mjs";
const { keys, now, pass, refused } = JSON.parse(readFileSync(0));
const read = (token) => readPass(token, { keys }, { now });
console.log(JSON.stringify([read(pass), Object.values(refused).concat("", "a.b", "..", "!.!.!").map(read)]));
"""
    given = vectors()
    read, refused = run_in_node(tmp_path, block("waiting-room.md", "js site"), program, given)
    assert read == given["claims"]
    assert refused == [None] * (len(given["refused"]) + 4)


@needs_node
def test_the_pages_javascript_guards_a_site(tmp_path: Path) -> None:
    program = """
import { createServer } from "node:http";
import { letIn } from "./page.mjs";
const { keys, now, pass, refused } = JSON.parse(readFileSync(0));
const server = createServer((request, response) => {
  const claims = letIn(request, response, { keys }, { now });
  if (claims) response.end(`in: ${claims.jti}`);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const ask = async (path, headers = {}, method = "GET") => {
  const address = `http://127.0.0.1:${server.address().port}${path}`;
  const answer = await fetch(address, { headers, method, redirect: "manual" });
  return [answer.status, answer.headers.get("location"), answer.headers.get("set-cookie"), await answer.text()];
};
const page = { accept: "text/html" };
const cookie = `other=1; tearline_pass=${pass}`;
console.log(JSON.stringify([
  await ask("/sale?a=1", page),
  await ask(`/sale?a=1&tearline_pass=${pass}`, page),
  await ask("/sale", { cookie }),
  await ask("/sale", {}, "POST"),
  await ask(`/sale?tearline_pass=${refused.wrong_room}`, page),
  await ask(`/sale?tearline_pass=${refused.wrong_room}`, { ...page, cookie }),
]));
server.close();
server.closeAllConnections();
"""
    given = vectors()
    away, handed, inside, post, wrong, kept = run_in_node(
        tmp_path, block("waiting-room.md", "js site"), program, given
    )
    room = f"{ISSUER}/gate/{ROOM}"
    assert away[:2] == [303, f"{room}?return=https%3A%2F%2Fshop.example%2Fsale%3Fa%3D1"]
    assert handed[:2] == [303, f"{SITE}/sale?a=1"]
    assert handed[2].startswith(f"tearline_pass={given['pass']}; Path=/; ")
    assert (inside[0], inside[3]) == (200, f"in: {given['claims']['jti']}")
    assert post[0] == 403
    assert wrong[:3] == [303, room, None]
    assert kept[:3] == [303, f"{SITE}/sale", None]
