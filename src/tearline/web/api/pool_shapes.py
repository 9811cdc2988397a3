"""Bodies and answers about pools of partners' codes, their files and what is handed back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tearline.core import pools as core
from tearline.pools.files import FilePreview
from tearline.pools.outcomes import ImportSummary
from tearline.pools.reads import FileView, PoolView
from tearline.pools.stored import rule_json
from tearline.web.api.shapes import Answer, Body, Symbology, Texts, Version

FileState: TypeAlias = Literal["uploading", "uploaded", "importing", "imported", "failed", "discarded"]
LowStock: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=1_000_000_000, description="Staff are warned when fewer are available; null for never."),
]
ColumnNumber: TypeAlias = Annotated[
    int, Meta(ge=0, le=1000, description="The column that holds the codes, from 0.")
]


class RuleForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a pool's codes look like: a length and an alphabet, or a pattern that the whole code matches."""

    shortest: Annotated[int, Meta(ge=1, le=core.LONGEST_CODE)]
    longest: Annotated[int, Meta(ge=1, le=core.LONGEST_CODE)]
    alphabet: Literal["digits", "upper", "upper_digits", "letters_digits", "visible"] = "visible"
    extra: Annotated[str, Meta(max_length=core.LONGEST_EXTRA, description="Signs beside the alphabet's.")] = (
        ""
    )
    pattern: Annotated[str, Meta(max_length=core.LONGEST_PATTERN)] | None = None
    """A regular expression without groups and open ends, in place of all the others."""

    def value(self) -> core.CodeRule:
        """The value that the rules work with."""
        return core.CodeRule(self.shortest, self.longest, self.alphabet, self.extra, self.pattern)


class PoolRow(Answer):
    """A pool in a list, with its counts by state."""

    id: UUID
    offer_id: UUID
    offer_code: str
    offer_names: Texts
    merchant_id: UUID
    merchant_names: Texts
    symbology: Symbology
    low_stock: int | None
    size: int
    """Codes ever added: the sum of the five counts."""
    available: int
    reserved: int
    sold: int
    withdrawn: int
    void: int
    version: int
    created_at: datetime
    updated_at: datetime


class PoolAnswer(PoolRow):
    """A pool of a partner's codes."""

    rule: RuleForm | None
    """Null until the first file was imported."""
    is_low: bool


class NewPool(Body):
    """Give an offer a pool: its codes come from the partner from then on."""

    offer_id: UUID
    symbology: Symbology = "text"
    low_stock: LowStock | None = None


class PoolChange(Body):
    """What to change of a pool."""

    version: Version
    symbology: Symbology | UnsetType = UNSET
    low_stock: LowStock | UnsetType | None = UNSET


class CodesToVoid(Body):
    """Codes to be cancelled for good; those that are not available are left as they are."""

    codes: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=core.LONGEST_CODE)]],
        Meta(min_length=1, max_length=1000),
    ]


class VoidedAnswer(Answer):
    """How many codes were cancelled."""

    voided: int


class OutcomeExample(Answer):
    """A row of a file that was not added: its number from 1, and its text."""

    row: int
    text: str
    reason: str | None
    """Of an invalid one: such as `zeros_lost`."""


class SummaryAnswer(Answer):
    """What became of an imported file's rows, with a few examples of each outcome."""

    rows: int
    added: int
    duplicate: int
    held: int
    invalid: int
    reasons: dict[str, int]
    examples: dict[str, list[OutcomeExample]]


class FileAnswer(Answer):
    """A file of codes, and what became of it."""

    id: UUID
    pool_id: UUID
    name: str
    size_bytes: int
    state: FileState
    problem: str | None
    """Of a failed one: a reason as in problem documents."""
    source: Literal["console", "merchant", "api", "command"]
    by_name: str
    rows: int
    """While it is being imported: how many were read so far."""
    added: int
    duplicate: int
    held: int
    invalid: int
    created_at: datetime
    seen_at: datetime
    finished_at: datetime | None


class FileDetail(FileAnswer):
    """A file of codes with its summary; null until it was imported."""

    summary: SummaryAnswer | None


class PreviewAnswer(Answer):
    """What an uploaded file seems to hold, to be confirmed by the import."""

    file_id: UUID
    format: Literal["csv", "txt", "xlsx"]
    encoding: str | None
    delimiter: str | None
    rows: list[list[str]]
    """The first ones as they stand there."""
    column: int
    has_heading: bool
    heading: str | None
    rule: RuleForm
    """The pool's, or else the learned one."""
    learned: RuleForm
    """What the file's own codes look like."""
    sample_rows: int
    problems: dict[str, int]
    """How many rows of the sample are no codes by the rule, by reason."""
    examples: dict[str, list[OutcomeExample]]
    imported_before: datetime | None
    """When the same content was last imported for this partner."""


class NewImport(Body):
    """How to read a file: what a person has confirmed, such as in the preview."""

    rule: RuleForm
    column: ColumnNumber
    has_heading: bool


class HandBackAnswer(Answer):
    """Unsold codes that were withdrawn and handed back."""

    id: UUID
    pool_id: UUID
    campaign_id: UUID | None
    codes: int
    by_name: str
    made_at: datetime
    fetched_at: datetime | None
    """When its file was first downloaded."""


def pool_row(row: Any) -> PoolRow:
    """A pool in a list."""
    return msgspec.convert(row, PoolRow, from_attributes=True)


def pool_answer(pool: PoolView) -> PoolAnswer:
    """A pool as those who may see its codes see it."""
    values = {name: getattr(pool, name) for name in PoolAnswer.__struct_fields__}
    rule = None if pool.rule is None else rule_json(pool.rule)
    return msgspec.convert({**values, "rule": rule}, PoolAnswer)


def file_answer(file: Any) -> FileAnswer:
    """A file in a list; from a row or a view."""
    return msgspec.convert(file, FileAnswer, from_attributes=True)


def file_detail(file: FileView, summary: ImportSummary | None) -> FileDetail:
    """A file and what became of its rows."""
    values = {name: getattr(file, name) for name in FileAnswer.__struct_fields__}
    return msgspec.convert({**values, "summary": None if summary is None else _summary(summary)}, FileDetail)


def _summary(summary: ImportSummary) -> SummaryAnswer:
    return SummaryAnswer(
        rows=summary.rows,
        added=summary.added,
        duplicate=summary.duplicate,
        held=summary.held,
        invalid=summary.invalid,
        reasons=summary.reasons,
        examples={
            outcome: [OutcomeExample(row=row, text=text, reason=reason) for row, text, reason in found]
            for outcome, found in summary.examples.items()
        },
    )


def preview_answer(seen: FilePreview) -> PreviewAnswer:
    """What a file seems to hold."""
    names = set(PreviewAnswer.__struct_fields__) - {"rule", "learned", "examples"}
    values: dict[str, Any] = {name: getattr(seen, name) for name in names}
    examples = {
        problem: [OutcomeExample(row=row, text=text, reason=problem) for row, text in found]
        for problem, found in seen.examples.items()
    }
    rules = {"rule": rule_json(seen.rule), "learned": rule_json(seen.learned)}
    return msgspec.convert({**values, **rules, "examples": examples}, PreviewAnswer)


def hand_back_answer(row: Any) -> HandBackAnswer:
    """A hand-back in a list."""
    return msgspec.convert(row, HandBackAnswer, from_attributes=True)
