"""The kinds of field that a form is made of: how each reads what was typed and shows a value again.

A field knows nothing of HTML beyond its ``kind``, which names the way ``templates/pieces/form.html`` draws it.
Inputs are kept flat, by their name in the page: a field ``name`` in four languages has the inputs ``name.en``,
``name.th``…; the second row of ``prizes`` has ``prizes-1-password``.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo

from litestar.datastructures import UploadFile

from tearline.core.money import MAXIMUM_AMOUNT
from tearline.i18n import DEFAULT_LANGUAGE, LANGUAGES, _, formats

_REQUIRED = _("This is needed.")


class Problem(NamedTuple):
    """What is wrong with an input: an English sentence and its placeholders' values."""

    message: str
    values: Mapping[str, object] = MappingProxyType({})


class Inputs:
    """The inputs of one form by name: typed text, and files."""

    def __init__(
        self, texts: Mapping[str, Sequence[str]], files: Mapping[str, UploadFile] | None = None
    ) -> None:
        # PostgreSQL can't store NUL, and nobody types it.
        self.texts = {name: [text.replace("\x00", "") for text in all_] for name, all_ in texts.items()}
        self.files = dict(files or {})

    def first(self, name: str) -> str:
        """The first text under a name, or ""."""
        texts = self.texts.get(name)
        return texts[0] if texts else ""

    def all(self, name: str) -> list[str]:
        """Every text under a name."""
        return self.texts.get(name, [])


class Reading(NamedTuple):
    """What a field made of its inputs; with problems, the value means nothing."""

    value: Any
    problems: Mapping[str, list[Problem]] = MappingProxyType({})


@dataclass(frozen=True)
class Field(ABC):
    """One field. ``label`` and ``help`` are English sentences marked with ``_``; pages translate them."""

    name: str
    label: str
    help: str = ""
    is_required: bool = True
    default: Any = None
    is_read_only: bool = False
    """Shown, but not to be changed: what was posted is ignored and the value stays out of ``values``."""
    kind: ClassVar[str] = "text"

    @abstractmethod
    def read(self, inputs: Inputs, name: str) -> Reading:
        """The value of what was typed under ``name``, or what's wrong with it."""

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """The inputs that show ``value``."""
        return {name: [] if value is None else [str(value)]}

    def is_blank(self, inputs: Inputs, name: str) -> bool:
        """Whether nothing was typed."""
        return not any(text.strip() for text in inputs.all(name))

    def _refused(self, name: str, message: str, **values: object) -> Reading:
        return Reading(None, {name: [Problem(message, values)]})


@dataclass(frozen=True)
class _OneText(Field):
    """A field of one input, whose empty text is None or, if required, refused."""

    def read(self, inputs: Inputs, name: str) -> Reading:
        """The value of the trimmed text; None if empty and not required."""
        typed = inputs.first(name).replace("\r\n", "\n").strip()
        if not typed:
            return self._refused(name, _REQUIRED) if self.is_required else Reading(None)
        return self.parse(typed, inputs, name)

    @abstractmethod
    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The value of a text that isn't empty."""


@dataclass(frozen=True)
class Text(_OneText):
    """One line of text; ``str``, or None when empty and not required."""

    minimum_length: int = 0
    maximum_length: int = 200
    pattern: str = ""
    """A regular expression that the whole text must match; say in ``help`` what it wants."""
    input_type: str = "text"
    autocomplete: str = "off"
    placeholder: str = ""

    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The text, if its length and shape fit."""
        if len(typed) > self.maximum_length:
            return self._refused(
                name, _("This is too long; at most %(n)s characters."), n=self.maximum_length
            )
        if len(typed) < self.minimum_length:
            return self._refused(
                name, _("This is too short; at least %(n)s characters."), n=self.minimum_length
            )
        if self.pattern and not re.fullmatch(self.pattern, typed):
            return self._refused(name, _("This does not have the right form."))
        return Reading(typed)


@dataclass(frozen=True)
class LongText(Text):
    """Several lines of text."""

    maximum_length: int = 10_000
    rows: int = 4
    kind: ClassVar[str] = "textarea"


@dataclass(frozen=True)
class Lines(Field):
    """Short texts, one a line or between commas; a list, each once, in the order typed."""

    is_required: bool = False
    maximum_lines: int = 200
    maximum_length: int = 200
    """Of each text."""
    rows: int = 3
    kind: ClassVar[str] = "lines"

    def read(self, inputs: Inputs, name: str) -> Reading:
        """The texts, without blanks."""
        typed = re.split(r"[\r\n,，、;；]+", inputs.first(name))
        texts = list(dict.fromkeys(text.strip() for text in typed if text.strip()))
        if self.is_required and not texts:
            return self._refused(name, _REQUIRED)
        if len(texts) > self.maximum_lines:
            return self._refused(name, _("These are too many; at most %(n)s."), n=self.maximum_lines)
        if any(len(text) > self.maximum_length for text in texts):
            return self._refused(
                name, _("One of these is too long; at most %(n)s characters."), n=self.maximum_length
            )
        return Reading(texts)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """The texts, each on its line."""
        return {name: ["\n".join(value or ())]}


@dataclass(frozen=True)
class Secret(_OneText):
    """A password: not trimmed, and never shown again."""

    maximum_length: int = 200
    autocomplete: str = "current-password"
    kind: ClassVar[str] = "password"

    def read(self, inputs: Inputs, name: str) -> Reading:
        """The text as it was typed."""
        typed = inputs.first(name)
        if not typed:
            return self._refused(name, _REQUIRED) if self.is_required else Reading(None)
        return self.parse(typed, inputs, name)

    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The text, unless it's too long to be a password."""
        if len(typed) > self.maximum_length:
            return self._refused(
                name, _("This is too long; at most %(n)s characters."), n=self.maximum_length
            )
        return Reading(typed)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """Nothing."""
        return {name: []}


@dataclass(frozen=True)
class Number(_OneText):
    """A whole number; ``int``."""

    minimum: int = 0
    maximum: int = 2_000_000_000
    unit: str = ""
    """Shown after the input, such as ``_("days")``."""
    kind: ClassVar[str] = "number"

    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The number, thousands separators allowed."""
        plain = unicodedata.normalize("NFKC", typed).replace(",", "").replace(" ", "")
        if not re.fullmatch(r"[-+]?[0-9]{1,15}", plain):
            return self._refused(name, _("Enter a whole number."))
        number = int(plain)
        if not self.minimum <= number <= self.maximum:
            return self._refused(
                name,
                _("Enter a number from %(minimum)s to %(maximum)s."),
                minimum=self.minimum,
                maximum=self.maximum,
            )
        return Reading(number)


@dataclass(frozen=True)
class Percent(_OneText):
    """A percentage with up to two decimals; ``int`` basis points (12.5 % is 1250)."""

    minimum_basis_points: int = 0
    maximum_basis_points: int = 10_000
    kind: ClassVar[str] = "percent"

    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The percentage in hundredths of a percent."""
        amount = _decimal(typed.rstrip("%％ "))
        if amount is None or amount.as_tuple().exponent < -2:  # type: ignore[operator]
            return self._refused(name, _("Enter a percentage with at most two decimals."))
        basis_points = int(amount * 100)
        if not self.minimum_basis_points <= basis_points <= self.maximum_basis_points:
            return self._refused(
                name,
                _("Enter a percentage from %(minimum)s to %(maximum)s."),
                minimum=_plain(Decimal(self.minimum_basis_points) / 100),
                maximum=_plain(Decimal(self.maximum_basis_points) / 100),
            )
        return Reading(basis_points)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """The basis points as a percentage."""
        return {name: [] if value is None else [_plain(Decimal(value) / 100)]}


@dataclass(frozen=True)
class Money(_OneText):
    """An amount, typed in the currency's main unit; ``int`` minor units."""

    currency: str = "HKD"
    currency_field: str = ""
    """The name of another field of the form whose choice is the currency."""
    minimum_minor_units: int = 0
    maximum_minor_units: int = MAXIMUM_AMOUNT
    kind: ClassVar[str] = "money"

    def currency_of(self, inputs: Inputs) -> str:
        """The ISO 4217 code that the amount is in."""
        chosen = inputs.first(self.currency_field) if self.currency_field else ""
        return chosen if re.fullmatch(r"[A-Z]{3}", chosen) else self.currency

    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The amount in minor units; more decimals than the currency has are refused, never rounded."""
        amount = _decimal(typed)
        if amount is None:
            return self._refused(name, _("Enter an amount, such as 50 or 49.90."))
        currency = self.currency_of(inputs)
        digits = formats.minor_digits(currency)
        minor_units = amount.scaleb(digits)
        if minor_units != minor_units.to_integral_value():
            return self._refused(name, _("%(currency)s has %(n)s decimals."), currency=currency, n=digits)
        if minor_units < self.minimum_minor_units:
            smallest = _plain(formats.major_units(self.minimum_minor_units, currency))
            return self._refused(name, _("Enter at least %(minimum)s."), minimum=smallest)
        if minor_units > self.maximum_minor_units:
            largest = _plain(formats.major_units(self.maximum_minor_units, currency))
            return self._refused(name, _("Enter at most %(maximum)s."), maximum=largest)
        return Reading(int(minor_units))

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """The amount in its main unit, in the field's own currency."""
        return {name: [] if value is None else [_plain(formats.major_units(value, self.currency))]}


@dataclass(frozen=True)
class Choice(_OneText):
    """One of several; the chosen value's text. ``is_open`` shows all of them at once as radio buttons."""

    choices: Sequence[tuple[str, str]] = ()
    is_open: bool = False
    kind: ClassVar[str] = "select"

    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The value, if it is one of the choices."""
        if typed not in {value for value, _label in self.choices}:
            return self._refused(name, _("Choose one of the list."))
        return Reading(typed)


@dataclass(frozen=True)
class Pictures(Choice):
    """One of several pictures; the choices are the value and the words for it, ``urls`` shows each."""

    urls: Mapping[str, str] = field(default_factory=dict)
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True)
class Choices(Field):
    """Any number of several; a list of the chosen values' texts, in the order of the choices."""

    choices: Sequence[tuple[str, str]] = ()
    kind: ClassVar[str] = "checkboxes"

    def read(self, inputs: Inputs, name: str) -> Reading:
        """The chosen values."""
        typed = set(inputs.all(name)) - {""}
        if typed - {value for value, _label in self.choices}:
            return self._refused(name, _("Choose from the list."))
        if not typed and self.is_required:
            return self._refused(name, _("Choose at least one."))
        return Reading([value for value, _label in self.choices if value in typed])

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """The values as texts."""
        return {name: [str(one) for one in value or ()]}


@dataclass(frozen=True)
class Checkbox(Field):
    """Yes or no; ``bool``. Required means that it must be yes."""

    is_required: bool = False
    kind: ClassVar[str] = "checkbox"

    def read(self, inputs: Inputs, name: str) -> Reading:
        """Whether it's ticked."""
        is_ticked = bool(inputs.first(name))
        return self._refused(name, _REQUIRED) if self.is_required and not is_ticked else Reading(is_ticked)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """Ticked or not."""
        return {name: ["yes"] if value else []}

    def is_blank(self, inputs: Inputs, name: str) -> bool:
        """Always: an untouched tick says nothing about whether a row was filled in."""
        return True


@dataclass(frozen=True)
class Day(_OneText):
    """A calendar day; ``date``."""

    kind: ClassVar[str] = "date"

    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The day."""
        try:
            return Reading(date.fromisoformat(typed))
        except ValueError:
            return self._refused(name, _("Enter a day, such as 2026-12-31."))

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """The day in ISO form."""
        return {name: [] if value is None else [value.isoformat()]}


@dataclass(frozen=True)
class DateTime(_OneText):
    """Day and time in a named zone; an aware ``datetime`` in UTC."""

    time_zone: str = "Asia/Hong_Kong"
    time_zone_field: str = ""
    """The name of another field of the form whose choice is the zone."""
    kind: ClassVar[str] = "datetime"

    def zone_of(self, inputs: Inputs) -> str:
        """The zone that the time is meant in."""
        chosen = inputs.first(self.time_zone_field) if self.time_zone_field else ""
        try:
            return ZoneInfo(chosen).key if chosen else self.time_zone
        except (KeyError, ValueError, OSError):
            return self.time_zone

    def parse(self, typed: str, inputs: Inputs, name: str) -> Reading:
        """The moment; a time that the zone's clocks skip is refused."""
        zone = ZoneInfo(self.zone_of(inputs))
        try:
            local = datetime.fromisoformat(typed).replace(tzinfo=zone)
            moment = local.astimezone(UTC)
        except (ValueError, OverflowError):
            return self._refused(name, _("Enter a day and time, such as 2026-12-31 18:00."))
        if moment.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
            return self._refused(name, _("This time does not exist: the clocks are changed over it."))
        return Reading(moment)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """The local time in the field's own zone, as ``datetime-local`` wants it; seconds where there are some."""
        if value is None:
            return {name: []}
        local = value.astimezone(ZoneInfo(self.time_zone))
        return {name: [local.strftime("%Y-%m-%dT%H:%M:%S" if local.second else "%Y-%m-%dT%H:%M")]}


@dataclass(frozen=True)
class Localised(Field):
    """A text in each language; a dict without the empty ones. Required means: in English at least."""

    maximum_length: int = 200
    is_long: bool = False
    rows: int = 5
    kind: ClassVar[str] = "localised"

    def read(self, inputs: Inputs, name: str) -> Reading:
        """The texts by language."""
        texts: dict[str, str] = {}
        problems: dict[str, list[Problem]] = {}
        for tag in LANGUAGES:
            typed = inputs.first(f"{name}.{tag}").replace("\r\n", "\n").strip()
            if len(typed) > self.maximum_length:
                message = _("This is too long; at most %(n)s characters.")
                problems[f"{name}.{tag}"] = [Problem(message, {"n": self.maximum_length})]
            elif typed:
                texts[tag] = typed
        if self.is_required and DEFAULT_LANGUAGE not in texts and not problems:
            problems[f"{name}.{DEFAULT_LANGUAGE}"] = [Problem(_("This is needed, in English at least."))]
        return Reading(texts, problems)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """One input for each language."""
        return {f"{name}.{tag}": [(value or {}).get(tag, "")] for tag in LANGUAGES}

    def is_blank(self, inputs: Inputs, name: str) -> bool:
        """Whether no language has a text."""
        return not any(inputs.first(f"{name}.{tag}").strip() for tag in LANGUAGES)


@dataclass(frozen=True)
class Upload(Field):
    """A file; litestar's ``UploadFile``, or None. The page's form becomes multipart by itself."""

    maximum_bytes: int = 5_000_000
    accept: str = ""
    """As in HTML: ``image/*`` or ``.csv,.xlsx``; a hint for the browser, not a check."""
    kind: ClassVar[str] = "file"

    def read(self, inputs: Inputs, name: str) -> Reading:
        """The file, if it's small enough."""
        file = inputs.files.get(name)
        if file is None or not file.filename:
            return self._refused(name, _("Choose a file.")) if self.is_required else Reading(None)
        size_bytes = file.file.seek(0, 2)
        file.file.seek(0)
        if size_bytes > self.maximum_bytes:
            megabytes = _plain(Decimal(self.maximum_bytes) / 1_000_000)
            return self._refused(name, _("This file is too large; at most %(n)s MB."), n=megabytes)
        return Reading(file)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """Nothing: a browser doesn't let a page fill in a file."""
        return {}

    def is_blank(self, inputs: Inputs, name: str) -> bool:
        """Whether no file was chosen."""
        return name not in inputs.files


def _decimal(typed: str) -> Decimal | None:
    plain = unicodedata.normalize("NFKC", typed).replace(",", "").replace(" ", "")
    if not re.fullmatch(r"[-+]?[0-9]{1,15}(\.[0-9]{0,6})?", plain):
        return None
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def _plain(amount: Decimal) -> str:
    whole = amount.to_integral_value()
    return f"{whole:f}" if amount == whole else f"{amount:f}"
