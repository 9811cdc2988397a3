"""Where the built browser files are: logical names to names that carry a hash of their content."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

STATIC_DIRECTORY = Path(__file__).parents[1] / "static"
STATIC_URL = "/static"
MANIFEST = STATIC_DIRECTORY / "manifest.json"


class AssetsMissingError(RuntimeError):
    """The browser files have not been built: run ``make assets``."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail}: the browser files have not been built; run `make assets`")


@cache
def _manifest(changed_at_ns: int) -> dict[str, str]:
    names: dict[str, str] = json.loads(MANIFEST.read_text("utf-8"))
    return names


def manifest() -> dict[str, str]:
    """Logical name to built name; read again when a build has replaced the file. Raises AssetsMissingError."""
    try:
        changed_at_ns = MANIFEST.stat().st_mtime_ns
    except FileNotFoundError:
        raise AssetsMissingError(f"{MANIFEST.name} is not there") from None
    return _manifest(changed_at_ns)


def picture_url(image: str | None) -> str | None:
    """Where a browser finds one of our pictures; None when there is none."""
    if image is None:
        return None
    # One that isn't built would show as a broken picture.
    built = manifest().get(image)
    return None if built is None else f"{STATIC_URL}/{built}"


def asset_url(name: str) -> str:
    """The address of a built file, such as ``shop.css``; may be cached for ever. Raises AssetsMissingError."""
    try:
        return f"{STATIC_URL}/{manifest()[name]}"
    except KeyError:
        raise AssetsMissingError(name) from None
