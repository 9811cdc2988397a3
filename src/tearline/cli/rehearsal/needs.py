"""What a rehearsal needs before it begins."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tearline.cli.screen import CommandError
from tearline.web.ui.assets import AssetsMissingError, manifest


def require_locust() -> None:
    """The packages of the extra ``rehearsal``.

    Raises:
        CommandError: one is not installed.
    """
    if find_spec("locust") is None or find_spec("psutil") is None:
        raise CommandError(
            "A rehearsal needs Locust, which simulates the visitors. Install it: pip install 'tearline[rehearsal]'"
        )


def require_report(path: Path) -> None:
    """That the report can be written: better known now than in ten minutes.

    Raises:
        CommandError: it cannot.
    """
    try:
        manifest()
        path.touch()
    except OSError as error:
        raise CommandError(f"The report cannot be written to {path}: {error.strerror}.") from error
    except AssetsMissingError as error:
        raise CommandError(f"{error}.") from error
