"""The gateway in front of a site: who is let in, and where the others are sent."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from pytest_httpserver import HTTPServer

from tearline import gateway
from tearline.gateway import ASGIGateway, WSGIGateway
from tearline.waitingroom.site_passes import SitePasses
from tests.sites import (
    CODE,
    HELD,
    ISSUER,
    NOW,
    PAGE,
    ROOM_URL,
    SITE,
    STRANGER,
    made,
    returns_to,
    site,
    token_of,
    verifier,
)

pytestmark = pytest.mark.anyio


def wsgi_site(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The same in the older way."""
    held = environ.get("tearline.pass")
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"in: {held.id if held else 'anyone'}".encode()]


OPTIONS: dict[str, Any] = {"waiting_room_url": ROOM_URL, "exempt_prefixes": ["/static/", "/health"]}


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(params=["asgi", "wsgi"])
def front(request: pytest.FixtureRequest) -> Iterator[httpx.Client | httpx.AsyncClient]:
    """A way to call a guarded site, with cookies kept as a browser keeps them."""
    if request.param == "asgi":
        guarded = ASGIGateway(site, verifier(), **OPTIONS)
        yield httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url=SITE)
        return
    server = make_server("127.0.0.1", 0, WSGIGateway(wsgi_site, verifier(), **OPTIONS), handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def ask(front: Any, method: str, path: str, **headers: str) -> httpx.Response:
    answer = front.request(method, path, headers=headers)
    found: httpx.Response = answer if isinstance(answer, httpx.Response) else await answer
    return found


async def get(front: Any, path: str) -> httpx.Response:
    return await ask(front, "GET", path, **PAGE)


async def test_who_comes_without_a_pass_goes_to_the_room(front: Any) -> None:
    answer = await get(front, "/sale/caf%C3%A9%20x?size=4&q=%26")
    assert returns_to(answer) == f"{SITE}/sale/caf%C3%A9%20x?size=4&q=%26"
    assert answer.headers["cache-control"] == "no-store"
    # The host that a request names is not where people are sent back to.
    assert returns_to(await ask(front, "GET", "/", **PAGE, host="evil.example")) == f"{SITE}/"


async def test_programs_without_a_pass_are_told_so(front: Any) -> None:
    for method, accept in (("GET", "application/json"), ("POST", "text/html"), ("DELETE", "*/*")):
        answer = await ask(front, method, "/cart", accept=accept)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] == "pass_required"
        assert answer.json()["waiting_room"] == ROOM_URL
    head = await ask(front, "HEAD", "/cart", accept="*/*")
    assert (head.status_code, head.content) == (403, b"")


async def test_a_pass_is_taken_over_once_and_kept_in_a_cookie(front: Any) -> None:
    token = token_of()
    handed = await get(front, f"/sale?a=1&tearline_pass={token}&b=%20")
    assert handed.status_code == 303
    assert handed.headers["location"] == f"{SITE}/sale?a=1&b=%20"
    cookie = handed.headers["set-cookie"]
    assert cookie.startswith(f"tearline_pass={token}; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax")
    assert "Secure" not in cookie
    kept = f'a=b; odd={{"x": 1}}; tearline_pass={token}'
    for method in ("GET", "POST"):
        inside = await ask(front, method, "/sale", accept="*/*", cookie=kept)
        assert (inside.status_code, inside.text) == (200, f"in: {verifier().verify(token).id}")


async def test_other_passes_do_not_let_in(front: Any) -> None:
    front.cookies.clear()
    spoilt = [token_of(room="OTHER"), token_of(site="http://other.example"), made(STRANGER.sign)]
    for token in spoilt:
        assert (await ask(front, "POST", "/", cookie=f"tearline_pass={token}")).status_code == 403
        handed = await get(front, f"/?tearline_pass={token}")
        assert handed.status_code == 303
        location = urlsplit(handed.headers["location"])
        # Not sent back by the room: whoever is inside it would go round and round.
        assert set(parse_qs(location.query)) == {"refused"}
        assert "set-cookie" not in handed.headers
    gone = token_of(replace(HELD, expires_at=NOW - timedelta(minutes=1)))
    assert returns_to(await get(front, f"/x?tearline_pass={gone}")) == f"{SITE}/x"


async def test_what_is_exempt_needs_no_pass(front: Any) -> None:
    for path in ("/static/app.css", "/static", "/health", "/health/deep"):
        assert (await ask(front, "GET", path)).text == "in: anyone"
    for path in ("/healthy", "/statics", "/static/%2e%2e/checkout", "/static/..%5ccheckout", "/"):
        assert (await ask(front, "GET", path)).status_code == 403


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
async def test_a_copied_link_lets_nobody_in(kind: str) -> None:
    time = [NOW.timestamp()]
    checks = verifier(clock=lambda: time[0])
    guard = (ASGIGateway if kind == "asgi" else WSGIGateway)(site, checks, ROOM_URL)
    loose = (ASGIGateway if kind == "asgi" else WSGIGateway)(site, checks, ROOM_URL, single_use=False)
    token, link = token_of(), f"tearline_pass={token_of()}"

    def visit(gate: Any, *cookies: str) -> Any:
        return gate._decide(gateway._Visit("GET", "/", link, "text/html", cookies))

    assert ("location", f"{SITE}/") in visit(guard).headers
    time[0] += 9
    assert ("location", f"{SITE}/") in visit(guard).headers, "the first answer may have been lost"
    time[0] += 20
    assert ("location", f"{ROOM_URL}?refused=used") in visit(guard).headers
    assert ("location", f"{SITE}/") in visit(guard, token).headers, "the browser that has it may come again"
    assert ("location", f"{SITE}/") in visit(loose).headers


async def test_what_was_taken_is_forgotten_in_the_end() -> None:
    time = [NOW.timestamp()]
    guard = ASGIGateway(site, verifier(clock=lambda: time[0]), ROOM_URL)
    for place in range(1000):
        guard._take(verifier().verify(token_of(replace(HELD, place=place))))
    time[0] += 2000
    for place in range(1000, 1030):
        guard._take(gateway.SitePass(str(place), CODE, 0, int(time[0]) + 60))
    assert len(guard._taken) < 40


async def test_a_site_over_https_keeps_the_pass_in_a_secure_cookie() -> None:
    secure = "https://shop.example"
    guarded = ASGIGateway(site, verifier(audience=secure + "/"), ROOM_URL + "?lang=th")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url=secure) as client:
        away = await get(client, "/")
        assert away.headers["location"] == f"{ROOM_URL}?lang=th&return={quote(secure + '/', safe='')}"
        handed = await get(client, f"/?tearline_pass={token_of(site=secure)}")
        assert handed.headers["set-cookie"].endswith("; Secure")
        assert (await get(client, "/")).status_code == 200


async def test_websockets_need_a_pass_and_the_rest_goes_through() -> None:
    reached: list[str] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    async def send(message: Any) -> None:
        sent.append(message)

    guarded = ASGIGateway(app, verifier(), ROOM_URL)
    scope = {"type": "websocket", "path": "/live", "query_string": b"", "headers": []}
    await guarded(dict(scope), None, send)  # type: ignore[arg-type]
    assert (reached, sent) == ([], [{"type": "websocket.close", "code": 1008}])
    scope["headers"] = [(b"cookie", f"tearline_pass={token_of()}".encode())]
    await guarded(dict(scope), None, send)  # type: ignore[arg-type]
    await guarded({"type": "lifespan"}, None, send)  # type: ignore[arg-type]
    assert reached == ["websocket", "lifespan"]


async def test_a_site_that_is_mounted_somewhere_is_returned_to_there() -> None:
    guarded = ASGIGateway(site, verifier(), ROOM_URL)
    for root in ("", "/shop"):
        transport = httpx.ASGITransport(guarded, root_path=root)
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
            assert returns_to(await get(client, "/a%2Fb")) in (f"{SITE}/a%2Fb", f"{SITE}/shop/a/b")
    answered: list[Any] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/\u00c3\u00a9",
        "HTTP_ACCEPT": "text/html",
    }
    WSGIGateway(wsgi_site, verifier(), ROOM_URL)(environ, lambda *given: answered.append(given))
    assert answered[0][0] == "303 See Other"
    assert quote(f"{SITE}/shop/%C3%A9", safe="") in dict(answered[0][1])["location"]


async def test_a_header_can_not_be_smuggled_in_by_the_address() -> None:
    guarded = ASGIGateway(site, verifier(), ROOM_URL)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/a\r\nset-cookie: x", "raw_path": b"/a\r\nset-cookie: x",
             "query_string": b"b\r\nc: d", "headers": [(b"accept", b"text/html")]}  # fmt: skip
    await guarded(scope, None, send)  # type: ignore[arg-type]
    assert all(b"\r" not in value and b"\n" not in value for _, value in sent[0]["headers"])


async def test_new_keys_are_asked_for_while_others_go_on(httpserver: HTTPServer) -> None:
    new = SitePasses([b"another-secret-of-forty-characters-yyyyy"], ISSUER)
    httpserver.expect_request("/keys").respond_with_data(new.document)
    rotated = verifier(refresh=lambda: httpx.get(httpserver.url_for("/keys")).json())
    guarded = ASGIGateway(site, rotated, ROOM_URL)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url=SITE) as client:
        for _ in range(2):
            handed = await get(client, f"/?tearline_pass={token_of(passes=new)}")
            assert handed.headers["location"] == f"{SITE}/"
    assert len(httpserver.log) == 1


async def test_prefixes_begin_with_a_slash() -> None:
    for prefix in ("static", "/", ""):
        with pytest.raises(ValueError):
            ASGIGateway(site, verifier(), ROOM_URL, exempt_prefixes=[prefix])


async def test_the_gateway_needs_nothing_else_of_tearline() -> None:
    program = (
        "import sys, tearline.gateway\n"
        "ours = sorted(name for name in sys.modules if name.split('.')[0] == 'tearline')\n"
        "known = sys.stdlib_module_names | {'tearline', 'cryptography', '_cffi_backend', '__main__'}\n"
        "print(ours, sorted({name.split('.')[0] for name in sys.modules} - known))\n"
    )
    # Isolated: no site-packages are looked through for start-up files, beyond those that are put on the path.
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours, others = done.stdout.strip().split("] [")
    assert ours == "['tearline', 'tearline.gateway'"
    # What begins with an underscore are parts of cryptography.
    assert not [name for name in others.strip("]").split(", ") if name and not name.startswith("'_")]
