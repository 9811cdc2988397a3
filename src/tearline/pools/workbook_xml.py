"""Reading the XML of a workbook's parts.

Expat reads it. A document type is refused, and with it whatever it might declare. What expat keeps in memory is
bounded: the length of a token, the depth, the number of different names.

In a long part, an entry that is written plainly, as spreadsheet programs write them, need not go through expat.
Between two entries, a pattern takes whole plain ones out of the stream, several times faster, and expat goes on
behind them as if they had never been there. The rest goes through expat; both ways answer the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from xml.parsers import expat

from tearline.core.refusal import Refusal

LONGEST_TEXT = 128 * 1024
"""Characters in one text, as in a cell of a CSV file; Excel's longest has a quarter."""

FORBIDDEN = "\uffff"
"""A character that is in no text: XML forbids it."""

PLAIN_TEXT = r"[^<&\x00-\x08\x0b-\x1f]"
"""A character of text that means itself: no entity, no line end to be made one, nothing that XML forbids."""

PLAIN_ATTRIBUTES = r'(?: [A-Za-z0-9:]+="[^"<&\x00-\x1f]*")*'

_DEEPEST = 100
_MOST_NAMES = 10_000
_LONGEST_TOKEN_BYTES = 1024 * 1024
_LONGEST_REST_BYTES = 128 * 1024
_SPACE = " \t\r\n"
_ESCAPED = re.compile("_x00([0-9A-Fa-f]{2})_")


@lru_cache(maxsize=16)
def plain_pattern(pattern: str, prefix: str) -> re.Pattern[bytes]:
    """A pattern of plain XML, in which ``P:`` stands for the elements' prefix."""
    return re.compile(pattern.replace("P:", re.escape(prefix)).encode())


def decoded(content: bytes) -> str:
    """Text of a part in UTF-8.

    Raises:
        Refusal: ``unreadable_file`` when it is none, or has a ``FORBIDDEN`` character.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Refusal("unreadable_file") from error
    if FORBIDDEN in text:
        raise Refusal("unreadable_file")
    return text


def tidied(text: str, is_space_kept: object) -> str:
    """A text as it is meant: without the space that only sets out the XML, with the signs that XML can't hold."""
    if not is_space_kept:
        text = text.strip(_SPACE)
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x00" in text else text


def tidied_all(contents: Iterable[bytes], are_spaces_kept: Iterable[object]) -> list[str]:
    """Texts of a part in UTF-8 as they are meant.

    Raises:
        Refusal: ``unreadable_file`` when they aren't in UTF-8.
    """
    # A zero is not in XML, nor within a character. One look tells of all texts whether there is anything to be done.
    joined = decoded(b"\0".join(contents))
    texts = joined.split("\0")
    if any(sign in joined for sign in (*_SPACE, "_x00")):
        return list(map(tidied, texts, are_spaces_kept))
    return texts


class _LocalNames(dict[str, str]):
    """Names without their prefixes."""

    def __missing__(self, name: str) -> str:
        local = self[name] = name.rpartition(":")[2]
        return local


class Document:
    """A part of a package as expat reads it; subclasses take from it what they need.

    Names come without their prefixes: which prefix a program chooses, and which of the standard's two sets of
    namespaces, makes no difference.
    """

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_document_type
        self._local_names = _LocalNames()
        self._prefix = ""
        self._depth = 0
        self._parsed_bytes = 0

    def parse(self, content: bytes, *, is_last: bool = False) -> None:
        """Read a piece of the part.

        Raises:
            Refusal: ``unreadable_file`` when it isn't well-formed or declares a document type.
        """
        self._parsed_bytes += len(content)
        try:
            self._parser.Parse(content, is_last)
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two of unknown encodings
            raise Refusal("unreadable_file") from error
        # An unfinished token is kept, and gone through anew with each piece.
        unfinished_bytes = 0 if is_last else self._parsed_bytes - self._parser.CurrentByteIndex
        if unfinished_bytes > _LONGEST_TOKEN_BYTES or len(self._parser.intern) > _MOST_NAMES:
            raise Refusal("unreadable_file")

    def finish(self) -> None:
        """The part ends here."""
        self.parse(b"", is_last=True)

    def started(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def ended(self, name: str) -> None:
        """An element ends."""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        local = self._local_names[name]
        if self._depth == 1:
            self._prefix = name.removesuffix(local)
        elif self._depth > _DEEPEST:
            raise Refusal("unreadable_file")
        self.started(local, attributes)

    def _end(self, name: str) -> None:
        self.ended(self._local_names[name])
        self._depth -= 1

    def _refuse_document_type(self, *_declared: object) -> None:
        raise Refusal("unreadable_file")


class LongDocument(Document):
    """A part that is mostly one long list of entries with texts in them.

    Attributes:
        list_name, entry_name: of the elements.
        entry_depth: how deep an entry stands; 1 is the part's root.
        plain: the patterns of plain entries, those that are taken fastest first.
    """

    list_name: str
    entry_name: str
    entry_depth: int
    plain: tuple[str, ...]

    def __init__(self) -> None:
        super().__init__()
        self._parser.XmlDeclHandler = self._declared
        self._is_utf8 = True
        self._rest = b""
        self._stride_bytes = 0
        self._has_list = self._is_in_list = False
        self._entry_ended_at: int | None = None
        self._characters: list[str] = []
        self._characters_length = 0
        self._runs: list[str] | None = None
        self._runs_length = 0
        self._is_space_kept = self._is_phonetic = False

    def feed(self, piece: bytes) -> None:
        """Read a piece of the part, plain entries by their pattern.

        Raises:
            Refusal: ``unreadable_file`` when it is broken, or something in it is too long.
        """
        content = self._rest + piece
        closing = self._closing()
        position = 0
        while True:
            # What only looks like an entry's end, as in a comment, is none to expat.
            if self._entry_ended_at == self._parsed_bytes and self._is_utf8:
                position = self._without_plain(content, position)
            end = content.find(closing, position + self._stride_bytes)
            if end < 0:
                end = content.rfind(closing, position)
            if end < 0:
                break
            end += len(closing)
            self.parse(content[position:end])
            position = end
        self._rest = content[position:]
        if len(self._rest) > _LONGEST_REST_BYTES:
            self._parse_rest()

    def finish(self) -> None:
        self._parse_rest()
        super().finish()
        if not self._has_list:
            raise Refusal("unreadable_file")

    def take(self, plain: str, columns: list[tuple[bytes, ...]], content: bytes) -> None:
        """Take plain entries: for each group of their pattern what it matched, and as they stand in the part."""
        raise NotImplementedError

    def entry_started(self, attributes: dict[str, str]) -> None:
        """An entry begins that isn't plain."""
        raise NotImplementedError

    def entry_ended(self) -> None:
        """An entry ends that isn't plain."""
        raise NotImplementedError

    def collect(self) -> None:
        """Keep the characters from here on."""
        self._characters.clear()
        self._characters_length = 0
        self._parser.CharacterDataHandler = self._keep

    def collected(self) -> str:
        """The characters since ``collect``."""
        self._parser.CharacterDataHandler = None
        return "".join(self._characters)

    def begin_runs(self) -> None:
        """An element begins that holds a text in one ``t`` or, when it is rich, in several."""
        self._runs, self._runs_length, self._is_phonetic = [], 0, False

    def run_started(self, name: str, attributes: dict[str, str]) -> None:
        """Something in such an element begins."""
        if name == "rPh":
            self._is_phonetic = True
        elif name == "t" and not self._is_phonetic:
            self._is_space_kept = attributes.get("xml:space") == "preserve"
            self.collect()

    def run_ended(self, name: str) -> None:
        """Something in such an element ends."""
        if name == "rPh":
            self._is_phonetic = False
        elif name == "t" and not self._is_phonetic and self._runs is not None:
            if run := tidied(self.collected(), self._is_space_kept):
                self._runs.append(run)
            self._runs_length += len(run)
            if self._runs_length > LONGEST_TEXT:
                raise Refusal("unreadable_file")

    def end_runs(self) -> str:
        """Such an element ends; answers its text, without what tells how it is pronounced."""
        text, self._runs = "".join(self._runs or ()), None
        return text

    @property
    def has_runs(self) -> bool:
        """Whether such an element has begun."""
        return self._runs is not None

    def _closing(self) -> bytes:
        return f"</{self._prefix}{self.entry_name}>".encode()

    def _without_plain(self, content: bytes, position: int) -> int:
        """Take the plain entries from here on; answers where the first that isn't plain begins."""
        begin = position
        for plain in self.plain:
            # The last group swallows all from the first that isn't like this, so that nothing is passed over.
            entries = plain_pattern(plain + "|((?s:.+))", self._prefix).findall(content, position)
            rest = entries.pop()[-1] if entries and entries[-1][-1] else b""
            if entries:
                start, position = position, len(content) - len(rest)
                *columns, _rest = zip(*entries, strict=True)
                self.take(plain, columns, content[start:position])
        # Where none is plain, the next won't be either: expat gets more at once.
        has_any = position > begin
        self._stride_bytes = 0 if has_any else min(2 * self._stride_bytes + 256, _LONGEST_REST_BYTES)
        return position

    def _parse_rest(self) -> None:
        rest, self._rest = self._rest, b""
        self.parse(rest)

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self._is_utf8 = encoding is None or encoding.lower() in ("utf-8", "us-ascii")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth < self.entry_depth - 1:
            super()._start(name, attributes)
            if self._depth == self.entry_depth - 1:
                self._is_in_list = self._local_names[name] == self.list_name
                self._has_list |= self._is_in_list
            return
        self._depth += 1
        local = self._local_names[name]
        if self._depth > self.entry_depth:
            if self._depth > _DEEPEST:
                raise Refusal("unreadable_file")
            self.started(local, attributes)
        elif self._is_in_list and local == self.entry_name:
            self.entry_started(attributes)

    def _end(self, name: str) -> None:
        local = self._local_names[name]
        if self._depth > self.entry_depth:
            self.ended(local)
        elif self._depth == self.entry_depth and self._is_in_list and local == self.entry_name:
            self.entry_ended()
            self._entry_ended_at = self._parser.CurrentByteIndex + len(self._closing())
        self._depth -= 1

    def _keep(self, characters: str) -> None:
        self._characters.append(characters)
        self._characters_length += len(characters)
        if self._characters_length > LONGEST_TEXT:
            raise Refusal("unreadable_file")
