"""A form is written once, as a list of fields; it reads a post, and shows again what was typed.

OFFER_FORM = Form(
    Section(_("Basics"), Text("code", _("Code")), Localised("names", _("Name"))),
    Money("minimum_spend", _("Minimum spend"), is_required=False),
)

form = OFFER_FORM.blank(values)              # GET: a new one, or an existing one's values
form = await OFFER_FORM.read(request)        # POST
if not form.is_valid:
    return render(request, "console/offer_form.html", form=form, status_code=form.status_code)
await create_offer(tx, **form.values)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from litestar import Request
from litestar.datastructures import UploadFile

from tearline.core.refusal import Refusal
from tearline.i18n import _
from tearline.web.ui.fields import (
    Checkbox,
    Choice,
    Choices,
    DateTime,
    Day,
    Field,
    Inputs,
    Lines,
    Localised,
    LongText,
    Money,
    Number,
    Percent,
    Pictures,
    Problem,
    Reading,
    Secret,
    Text,
    Upload,
)

__all__ = [
    "BoundField",
    "BoundForm",
    "Checkbox",
    "Choice",
    "Choices",
    "DateTime",
    "Day",
    "Field",
    "Form",
    "Lines",
    "Localised",
    "LongText",
    "Money",
    "Number",
    "Percent",
    "Pictures",
    "Problem",
    "Rows",
    "Secret",
    "Section",
    "Text",
    "Upload",
    "Variant",
    "read_only",
]

ADD_ROW = "_add"
"""The name of the buttons that ask for one more row; their value is the rows' name."""


@dataclass(frozen=True)
class Rows(Field):
    """A few fields, repeated: the prizes of a campaign, the offers of a bundle. A list of dicts.

    Rows without a text are left out. It works without JavaScript: the button that adds a row posts the
    form, which comes back with one more. Rows may hold rows.
    """

    is_required: bool = False
    fields: Sequence[Field] = ()
    minimum_rows: int = 0
    maximum_rows: int = 20
    add_label: str = _("Add another")
    kind: ClassVar[str] = "rows"

    def count(self, inputs: Inputs, name: str) -> int:
        """How many rows the page shows."""
        typed = inputs.first(f"{name}-count")
        posted = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 5 else 0
        wanted = posted + (1 if name in inputs.all(ADD_ROW) else 0)
        return max(min(wanted, self.maximum_rows), self.minimum_rows, 1)

    def read(self, inputs: Inputs, name: str) -> Reading:
        """The rows that were filled in, each checked by its fields."""
        rows: list[dict[str, Any]] = []
        problems: dict[str, list[Problem]] = {}
        for index in range(self.count(inputs, name)):
            prefix = f"{name}-{index}-"
            if all(field.is_blank(inputs, prefix + field.name) for field in self.fields):
                continue
            row = {}
            for field in self.fields:
                reading = field.read(inputs, prefix + field.name)
                problems.update(reading.problems)
                row[field.name] = reading.value
            rows.append(row)
        if len(rows) < self.minimum_rows or (self.is_required and not rows):
            least = max(self.minimum_rows, 1)
            problems.setdefault(name, []).append(Problem(_("Fill in at least %(n)s."), {"n": least}))
        return Reading(rows, problems)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """Each row's inputs, and their count."""
        rows = list(value or ())
        inputs = {f"{name}-count": [str(max(len(rows), self.minimum_rows, 1))]}
        for index in range(max(len(rows), self.minimum_rows, 1)):
            for field in self.fields:
                known = rows[index].get(field.name) if index < len(rows) else field.default
                inputs.update(field.write(known, f"{name}-{index}-{field.name}"))
        return inputs

    def is_blank(self, inputs: Inputs, name: str) -> bool:
        """Whether no row has a text."""
        return all(
            field.is_blank(inputs, f"{name}-{index}-{field.name}")
            for index in range(self.count(inputs, name))
            for field in self.fields
        )


@dataclass(frozen=True)
class Variant(Field):
    """One of several kinds of a thing, each with fields of its own: the kinds of a benefit.

    A dict of the chosen kind's fields and, as ``kind``, the kind. Radio buttons show the fields of the kind
    chosen, without a script; only those are read.
    """

    kinds: Sequence[tuple[str, str, Sequence[Field]]] = ()
    """Of each kind its value, its label and its fields."""
    kind: ClassVar[str] = "variant"

    def chosen(self, inputs: Inputs, name: str) -> str:
        """The kind chosen; "" for none."""
        typed = inputs.first(f"{name}.kind")
        return typed if typed in {value for value, _label, _fields in self.kinds} else ""

    def read(self, inputs: Inputs, name: str) -> Reading:
        """The fields of the kind chosen."""
        chosen = self.chosen(inputs, name)
        if not chosen:
            return self._refused(name, _("Choose one of the list.")) if self.is_required else Reading(None)
        values: dict[str, Any] = {"kind": chosen}
        problems: dict[str, list[Problem]] = {}
        for one in self._fields_of(chosen):
            reading = one.read(inputs, f"{name}.{chosen}.{one.name}")
            problems.update(reading.problems)
            values[one.name] = reading.value
        return Reading(values, problems)

    def write(self, value: Any, name: str) -> dict[str, list[str]]:
        """The inputs of every kind; those of the others show their defaults."""
        known = value or {}
        chosen = known.get("kind") or (self.kinds[0][0] if self.is_required else "")
        inputs = {f"{name}.kind": [chosen]}
        for kind, _label, fields in self.kinds:
            for one in fields:
                shown = known.get(one.name, one.default) if kind == chosen else one.default
                inputs.update(one.write(shown, f"{name}.{kind}.{one.name}"))
        return inputs

    def is_blank(self, inputs: Inputs, name: str) -> bool:
        """Whether no kind is chosen."""
        return not self.chosen(inputs, name)

    def input_name(self, inputs: Inputs, name: str, path: str) -> str:
        """The input that an action's path below this field means: ``cap`` is ``NAME.percent_off.cap``."""
        chosen = self.chosen(inputs, name)
        is_ours = any(path == one.name or path.startswith(f"{one.name}.") for one in self._fields_of(chosen))
        return f"{name}.{chosen}.{path}" if is_ours else name

    def _fields_of(self, chosen: str) -> Sequence[Field]:
        return next((fields for value, _label, fields in self.kinds if value == chosen), ())


def read_only(field: Field) -> Field:
    """The field as one that shows without taking, with all that it holds."""
    if isinstance(field, Rows):
        field = replace(field, fields=[read_only(one) for one in field.fields])
    if isinstance(field, Variant):
        kinds = [(value, label, [read_only(one) for one in fields]) for value, label, fields in field.kinds]
        field = replace(field, kinds=kinds)
    return replace(field, is_read_only=True)


class Section:
    """Fields under one heading; a folded one opens by itself when something in it was filled in or is wrong."""

    def __init__(self, title: str, *fields: Field, note: str = "", is_folded: bool = False) -> None:
        self.title = title
        self.note = note
        self.is_folded = is_folded
        self.fields = fields


class Form:
    """The fields of one form, in sections; those outside of a section come first, without a heading."""

    def __init__(self, *parts: Field | Section) -> None:
        loose = [part for part in parts if isinstance(part, Field)]
        self.sections = ([Section("", *loose)] if loose else []) + [
            p for p in parts if isinstance(p, Section)
        ]
        self.fields: dict[str, Field] = {}
        for section in self.sections:
            for field in section.fields:
                if field.name in self.fields:
                    raise ValueError(f"two fields of one form are named {field.name!r}")
                self.fields[field.name] = field

    def blank(self, values: Mapping[str, Any] | None = None) -> BoundForm:
        """The form showing ``values`` by field name; a field without one shows its default."""
        return BoundForm(self, Inputs(self._inputs_of(values or {})), values={}, problems={}, is_posted=False)

    async def read(
        self, request: Request[Any, Any, Any], shown: Mapping[str, Any] | None = None
    ) -> BoundForm:
        """The form as it was posted.

        Args:
            request: whose body is read, url-encoded or multipart.
            shown: the values of read-only fields, which are shown again and never taken from the post.
        """
        data = await request.form()
        texts: dict[str, list[str]] = {}
        files: dict[str, UploadFile] = {}
        for name, value in data.multi_items():
            if isinstance(value, UploadFile):
                files[name] = value
            else:
                texts.setdefault(name, []).append(str(value))
        return self.parse(texts, files, shown)

    def parse(
        self,
        texts: Mapping[str, Sequence[str]],
        files: Mapping[str, UploadFile] | None = None,
        shown: Mapping[str, Any] | None = None,
    ) -> BoundForm:
        """As :meth:`read`, from inputs already taken out of a request."""
        inputs = Inputs(texts, files)
        values: dict[str, Any] = {}
        problems: dict[str, list[Problem]] = {}
        for name, field in self.fields.items():
            if field.is_read_only:
                inputs.texts.update(field.write((shown or {}).get(name, field.default), name))
                continue
            reading = field.read(inputs, name)
            problems.update(reading.problems)
            if not reading.problems:
                values[name] = reading.value
        return BoundForm(self, inputs, values=values, problems=problems, is_posted=True)

    def _inputs_of(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        inputs: dict[str, list[str]] = {}
        for name, field in self.fields.items():
            inputs.update(field.write(values.get(name, field.default), name))
        return inputs


class BoundForm:
    """A form together with what stands in it."""

    def __init__(
        self,
        form: Form,
        inputs: Inputs,
        *,
        values: dict[str, Any],
        problems: dict[str, list[Problem]],
        is_posted: bool,
    ) -> None:
        self.form = form
        self.inputs = inputs
        self.values = values
        """By field name, of the fields that could be read."""
        self.is_adding_row = bool(inputs.all(ADD_ROW))
        self.problems = {} if self.is_adding_row else problems
        """By input name; "" holds what concerns the whole form."""
        self.is_posted = is_posted

    @property
    def is_valid(self) -> bool:
        """Whether the values may be used. Asking for another row isn't an error, yet not valid either."""
        return self.is_posted and not self.problems and not self.is_adding_row

    @property
    def status_code(self) -> int:
        """The status for showing the form again: 422 when something is wrong with it."""
        return 422 if self.problems else 200

    @property
    def is_multipart(self) -> bool:
        """Whether the form sends a file."""
        return any(isinstance(field, Upload) for field in self.form.fields.values())

    def add_error(self, name: str, message: str, **values: object) -> None:
        """Say what is wrong with an input (``"ends_at"``, ``"prizes-0-password"``), or with all of it (``""``)."""
        self.problems.setdefault(name, []).append(Problem(message, values))

    def add_refusal(
        self, refusal: Refusal, names: Mapping[str, str] | Callable[[str], str] | None = None
    ) -> None:
        """Show a refusal: what it says of single fields at those, anything else above the form.

        Args:
            refusal: raised by an action.
            names: where the action's paths (``prizes.0.password``) differ from the inputs' names; a path that
                isn't in it has its dots before and after digits turned into dashes by itself.
        """
        for path, message in refusal.fields.items():
            renamed = names(path) if callable(names) else (names or {}).get(path)
            self.add_error(self._input_name(renamed or path), message, **refusal.details)
        if not refusal.fields:
            self.add_error("", refusal.sentence, **refusal.details)

    def _input_name(self, path: str) -> str:
        parts = path.split(".")
        field = self.form.fields.get(parts[0])
        if path not in self.form.fields and isinstance(field, Variant):
            return field.input_name(self.inputs, parts[0], ".".join(parts[1:]))
        if not any(part.isdigit() for part in parts):
            return path if path in self.form.fields or parts[0] in self.form.fields else ""
        return "-".join(parts) if parts[0] in self.form.fields else ""

    def __getitem__(self, name: str) -> BoundField:
        """One field, to draw it apart: ``{{ ui.field(form["name"]) }}``."""
        return BoundField(self.form.fields[name], name, self)

    @property
    def sections(self) -> Iterator[tuple[Section, list[BoundField]]]:
        """The sections with their fields."""
        for section in self.form.sections:
            yield section, [BoundField(field, field.name, self) for field in section.fields]

    def summary(self) -> list[tuple[str, str, Problem]]:
        """Everything that is wrong: the input's id ("" for the whole form), its label, and the problem."""
        lines = []
        for name, problems in self.problems.items():
            label = self._label_of(name)
            lines += [(input_id(name) if name else "", label, problem) for problem in problems]
        return lines

    def _label_of(self, name: str) -> str:
        labels = [bound.label for bound in self._all_fields() if name in (bound.name, *bound.input_names)]
        return labels[-1] if labels else ""

    def _all_fields(self) -> Iterator[BoundField]:
        pending = [BoundField(field, name, self) for name, field in self.form.fields.items()]
        while pending:
            bound = pending.pop(0)
            yield bound
            pending += [sub for row in bound.rows for sub in row]
            pending += [sub for _value, _label, _is_chosen, subs in bound.variants for sub in subs]


class BoundField:
    """A field together with what stands in it; what the macro ``ui.field`` draws."""

    def __init__(self, field: Field, name: str, form: BoundForm) -> None:
        self.field = field
        self.name = name
        self.form = form
        self.kind = field.kind
        self.label = field.label
        self.help = field.help
        self.is_required = field.is_required
        self.is_read_only = field.is_read_only

    @property
    def id(self) -> str:
        """The input's id in the page."""
        return input_id(self.name)

    @property
    def is_as_given(self) -> bool:
        """Whether it stands as an empty form shows it, with nothing wrong."""
        usual = self.field.write(self.field.default, self.name)
        is_usual = all([one for one in self.form.inputs.all(name) if one] == [one for one in texts if one]
                       for name, texts in usual.items())  # fmt: skip
        below = (f"{self.name}.", f"{self.name}-")
        is_wrong = any(name == self.name or name.startswith(below) for name in self.form.problems)
        return is_usual and not is_wrong

    @property
    def value(self) -> str:
        """The text in the input."""
        return self.form.inputs.first(self.name)

    @property
    def values(self) -> list[str]:
        """The texts of all chosen inputs."""
        return self.form.inputs.all(self.name)

    @property
    def input_names(self) -> list[str]:
        """The names of its inputs: one for each language of localised text."""
        return list(self.field.write({}, self.name)) if isinstance(self.field, Localised) else [self.name]

    @property
    def problems(self) -> list[Problem]:
        """What's wrong with it."""
        return self.problems_of(self.name)

    def problems_of(self, input_name: str) -> list[Problem]:
        """What's wrong with one of its inputs."""
        return self.form.problems.get(input_name, [])

    def text_of(self, input_name: str) -> str:
        """The text in one of its inputs."""
        return self.form.inputs.first(input_name)

    @property
    def currency(self) -> str:
        """The currency of a money field."""
        return self.field.currency_of(self.form.inputs) if isinstance(self.field, Money) else ""

    @property
    def time_zone(self) -> str:
        """The zone of a date-time field."""
        return self.field.zone_of(self.form.inputs) if isinstance(self.field, DateTime) else ""

    @property
    def rows(self) -> list[list[BoundField]]:
        """The rows of a repeated group."""
        if not isinstance(self.field, Rows):
            return []
        return [
            [BoundField(field, f"{self.name}-{index}-{field.name}", self.form) for field in self.field.fields]
            for index in range(self.field.count(self.form.inputs, self.name))
        ]

    @property
    def variants(self) -> list[tuple[str, str, bool, list[BoundField]]]:
        """Of each kind of a variant its value, its label, whether it's chosen, and its fields."""
        if not isinstance(self.field, Variant):
            return []
        chosen = self.field.chosen(self.form.inputs, self.name)
        return [
            (value, label, value == chosen,
             [BoundField(one, f"{self.name}.{value}.{one.name}", self.form) for one in fields])
            for value, label, fields in self.field.kinds
        ]  # fmt: skip

    @property
    def can_add_row(self) -> bool:
        """Whether one more row is allowed."""
        return (
            not self.is_read_only
            and isinstance(self.field, Rows)
            and len(self.rows) < self.field.maximum_rows
        )


def input_id(name: str) -> str:
    """The id of an input; a dot would have to be escaped in selectors."""
    return "field-" + name.replace(".", "-")
