"""The table of a workbook's texts, to which its cells refer by number: read as a stream, kept in a file."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import IO

from tearline.core.refusal import Refusal
from tearline.pools.workbook_xml import FORBIDDEN, PLAIN_ATTRIBUTES, PLAIN_TEXT, LongDocument, tidied_all

MOST_AT_ONCE = 32 * 1024 * 1024
"""Characters that may be in memory at a time: a few long texts can be referred to over and over."""

MOST_ALTOGETHER = 512 * 1024 * 1024
"""Characters that the cells of a sheet may refer to, each text as often as they do."""

_TEXTS_IN_BLOCK = 16
_MOST_BLOCKS_IN_MEMORY = 1024
_MOST_BYTES_IN_MEMORY = 1024 * 1024
# So much is read at once, and so long is the longest block that is read whole.
_BYTES_AHEAD = 16 * 1024
_PLAIN_ENTRY = (
    rf'<P:si><P:t( xml:space="preserve")?>({PLAIN_TEXT}*)</P:t>(?:<P:phoneticPr{PLAIN_ATTRIBUTES}/>)?</P:si>'
)


class _LongBlock:
    """The texts of a block that is too long to be read whole for the sake of one of them; each is read by itself.

    Args:
        read: answers the texts that lie between two places of the file.
        starts: where in the file its texts begin, and where the last ends.
    """

    def __init__(self, read: Callable[[int, int], list[str]], starts: array[int]) -> None:
        self._read = read
        self._starts = starts
        self._texts: dict[int, str] = {}

    def __getitem__(self, place: int) -> str:
        text = self._texts.get(place)
        if text is None:
            # Behind the last place there is none, which is an IndexError.
            end = self._starts[place + 1]
            (text,) = self._read(self._starts[place], end)
            self._texts[place] = text
        return text


class Texts(LongDocument):
    """The table of a workbook's texts, which its cells refer to by number.

    It is read no further than it is asked for. The texts lie in a file, in blocks of a few; where each block begins,
    and each text of a long one, and the texts that were asked for last are in memory.

    Args:
        pieces: the part's content; None when the workbook has no such part.
        spill: an empty file without a buffer, for nobody else.
    """

    list_name, entry_name, entry_depth, plain = "sst", "si", 2, (_PLAIN_ENTRY,)

    def __init__(self, pieces: Iterator[bytes] | None, spill: IO[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._spill = spill
        self._block_starts = array("Q", [0])
        self._unwritten: list[str] = []
        self._starts_in_long_blocks: dict[int, array[int]] = {}
        self._blocks: dict[int, list[str] | _LongBlock] = {}
        self._bytes_in_memory = 0
        self._length_altogether = 0
        self._next_block = 0

    def at(self, indexes: Iterable[int]) -> list[str]:
        """The texts of these numbers.

        Raises:
            Refusal: ``unreadable_file`` when there is no such text, the part is broken, or they are longer together
                than ``MOST_AT_ONCE``; ``too_large`` when all that was asked for is longer than ``MOST_ALTOGETHER``.
        """
        blocks, found, length = self._blocks, [], 0
        for index in indexes:
            block = blocks.get(index // _TEXTS_IN_BLOCK) or self._block(index // _TEXTS_IN_BLOCK)
            try:
                text = block[index % _TEXTS_IN_BLOCK]
            except IndexError as error:
                raise Refusal("unreadable_file") from error
            found.append(text)
            length += len(text)
            if length > MOST_AT_ONCE:
                raise Refusal("unreadable_file")
        self._length_altogether += length
        if self._length_altogether > MOST_ALTOGETHER:
            raise Refusal("too_large")
        return found

    def read_on(self) -> bool:
        """Read the next piece of the part; False when there is none."""
        if self._pieces is None:
            return False
        piece = next(self._pieces, None)
        if piece is None:
            self._pieces = None
            self.finish()
            self._write([self._unwritten] if self._unwritten else [])
        else:
            self.feed(piece)
        return True

    def started(self, name: str, attributes: dict[str, str]) -> None:
        if self.has_runs:
            self.run_started(name, attributes)

    def ended(self, name: str) -> None:
        if self.has_runs:
            self.run_ended(name)

    def entry_started(self, attributes: dict[str, str]) -> None:
        self.begin_runs()

    def entry_ended(self) -> None:
        self._add([self.end_runs()])

    def take(self, plain: str, columns: list[tuple[bytes, ...]], content: bytes) -> None:
        kept, texts = columns
        self._add(tidied_all(texts, kept))

    def _add(self, texts: list[str]) -> None:
        self._unwritten += texts
        whole = len(self._unwritten) // _TEXTS_IN_BLOCK * _TEXTS_IN_BLOCK
        if whole:
            starts = range(0, whole, _TEXTS_IN_BLOCK)
            self._write([self._unwritten[start : start + _TEXTS_IN_BLOCK] for start in starts])
            del self._unwritten[:whole]

    def _write(self, blocks: list[list[str]]) -> None:
        contents = ["".join([text + FORBIDDEN for text in block]).encode() for block in blocks]
        self._spill.seek(self._block_starts[-1])
        self._spill.write(b"".join(contents))
        for block, content in zip(blocks, contents, strict=True):
            start = self._block_starts[-1]
            if len(content) > _BYTES_AHEAD:
                lengths = [len((text + FORBIDDEN).encode()) for text in block]
                starts = array("Q", accumulate(lengths, initial=start))
                self._starts_in_long_blocks[len(self._block_starts) - 1] = starts
            self._block_starts.append(start + len(content))

    def _block(self, number: int) -> list[str] | _LongBlock:
        while len(self._block_starts) <= number + 1:
            if not self.read_on():
                raise Refusal("unreadable_file")
        if number in self._starts_in_long_blocks:
            block = self._blocks[number] = _LongBlock(self._read, self._starts_in_long_blocks[number])
            return block
        # Mostly the texts stand in the order in which they are asked for.
        starts, end = self._block_starts, number + 1
        if number == self._next_block:
            end = max(end, bisect_right(starts, starts[number] + _BYTES_AHEAD) - 1)
        texts = self._read(starts[number], starts[end])
        self._blocks[number] = texts[:_TEXTS_IN_BLOCK]
        for later in range(number + 1, end):
            place = (later - number) * _TEXTS_IN_BLOCK
            self._blocks[later] = texts[place : place + _TEXTS_IN_BLOCK]
        self._next_block = end
        return self._blocks[number]

    def _read(self, start: int, end: int) -> list[str]:
        # What is looked at often is soon there again, and to be read anew costs little against what has come between.
        if len(self._blocks) > _MOST_BLOCKS_IN_MEMORY or self._bytes_in_memory > _MOST_BYTES_IN_MEMORY:
            self._blocks.clear()
            self._bytes_in_memory = 0
        self._spill.seek(start)
        content = self._spill.read(end - start)
        if len(content) < end - start:
            raise OSError("The temporary file has not kept what was written to it; is its disk full?")
        self._bytes_in_memory += len(content)
        texts = content.decode().split(FORBIDDEN)
        # Behind the last there is nothing.
        texts.pop()
        return texts
