"""Keeps the gettext catalogues: ``python -m tearline.i18n.catalogues update | compile | check``.

``update`` collects the strings of all Python files and templates and merges them into the ``.po`` of each
language; ``compile`` builds the ``.mo``; ``check`` fails when a string has no translation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from tearline.i18n import DEFAULT_LANGUAGE, DOMAIN, LANGUAGES, LOCALES_DIRECTORY

PACKAGE_DIRECTORY = Path(__file__).parents[1]
EXTRACTED = [("**.py", "python"), ("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2")]
# The tags that the pages' Jinja environment knows; a file that does not parse is an error, not left out.
JINJA_OPTIONS = {"silent": "false", "trimmed": "true", "extensions": "jinja2.ext.do,jinja2.ext.loopcontrols"}
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "translate_counted": (2, 3),
    "translate": (2,),
}


def template_catalogue() -> Catalog:
    """Every string of the package, in a catalogue without translations."""
    catalogue = Catalog(project="Tearline", charset="utf-8")
    found = extract_from_dir(
        PACKAGE_DIRECTORY,
        method_map=EXTRACTED,
        options_map={pattern: JINJA_OPTIONS for pattern, method in EXTRACTED if method == "jinja2"},
        keywords=KEYWORDS,
        comment_tags=("Translators:",),
    )
    for path, _line, message, comments, context in found:
        # Without line numbers a catalogue only changes when its strings do.
        catalogue.add(message, locations=[(path, 0)], auto_comments=comments, context=context)
    return catalogue


def _po_path(locale: str) -> Path:
    return LOCALES_DIRECTORY / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


def _translated_locales() -> list[str]:
    return [language.locale for tag, language in LANGUAGES.items() if tag != DEFAULT_LANGUAGE]


def update() -> None:
    """Merge new strings into each language's ``.po``; strings that are gone are dropped."""
    template = template_catalogue()
    for locale in _translated_locales():
        path = _po_path(locale)
        if path.is_file():
            with path.open("rb") as existing:
                catalogue = read_po(existing, locale=locale, domain=DOMAIN)
            catalogue.update(template, no_fuzzy_matching=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            catalogue = Catalog(locale=locale, project="Tearline", charset="utf-8", fuzzy=False)
            catalogue.update(template)
        with path.open("wb") as target:
            write_po(
                target, catalogue, ignore_obsolete=True, include_lineno=False, width=110, sort_output=True
            )


def compile_all() -> None:
    """Build the ``.mo`` of every language that has a ``.po``."""
    for locale in _translated_locales():
        path = _po_path(locale)
        if path.is_file():
            with path.open("rb") as source:
                catalogue = read_po(source, locale=locale, domain=DOMAIN)
            with path.with_suffix(".mo").open("wb") as target:
                write_mo(target, catalogue)


def missing() -> Iterator[tuple[str, Message]]:
    """Each string that a language lacks, with the language's locale."""
    template = template_catalogue()
    for locale in _translated_locales():
        path = _po_path(locale)
        catalogue = Catalog(locale=locale)
        if path.is_file():
            with path.open("rb") as source:
                catalogue = read_po(source, locale=locale, domain=DOMAIN)
        for wanted in template:
            if not wanted.id:
                continue
            have = catalogue.get(wanted.id, wanted.context)
            strings = have.string if have is not None else ""
            is_complete = all(strings) if isinstance(strings, list | tuple) else bool(strings)
            if not is_complete or (have is not None and have.fuzzy):
                yield locale, wanted


def main(arguments: list[str]) -> int:
    """Run one of the three commands; answers the exit status."""
    if arguments == ["update"]:
        update()
    elif arguments == ["compile"]:
        compile_all()
    elif arguments == ["check"]:
        lacking = list(missing())
        for locale, message in lacking:
            sys.stdout.write(f"{locale}: not translated: {message.id!r}\n")
        return 1 if lacking else 0
    else:
        sys.stdout.write(f"{__doc__}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
