"""Long texts over short fields: at the spaces where it can be, and never a character lost in silence."""

from __future__ import annotations

from collections.abc import Sequence


def wrap(text: str, longest: int) -> list[str]:
    """Pieces of at most `longest` characters, broken at spaces; a word that is longer is broken inside.

    Runs of white space (line ends too) count as one space. Nothing for an empty text.
    """
    pieces: list[str] = []
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) <= longest:
            line = f"{line} {word}"
            continue
        if line:
            pieces.append(line)
        rest = word
        while len(rest) > longest:
            pieces.append(rest[:longest])
            rest = rest[longest:]
        line = rest
    return [*pieces, line] if line else pieces


def spread(texts: Sequence[str], fields: int, longest: int, before: str = "") -> tuple[list[str], str]:
    """Lay texts over `fields` lines of at most `longest` characters, each on the line of its own as far as possible.

    Three attempts, the first that fits: each text begins on its own line or, if one before it ran over, on the next
    free line; without blank lines between them; all as one text, joined by commas. Returns exactly `fields` lines
    (`""` for a blank one) and what did not fit even so, as one text (`""` if all did). `before` takes the first lines, if
    there is any: the end of a name that was too long for its own field.
    """
    wrapped = [wrap(text, longest) for text in texts]
    if before:
        wrapped[0] = [*wrap(before, longest), *wrapped[0]]
        texts = [before, *texts]
    placed = _in_place(wrapped, fields)
    if placed is None:
        pieces = [piece for lines in wrapped for piece in lines]
        if len(pieces) > fields:
            pieces = wrap(", ".join(" ".join(text.split()) for text in texts if text.strip()), longest)
        placed = pieces
    lines = placed[:fields] + [""] * (fields - len(placed))
    return lines, " ".join(placed[fields:])


def _in_place(wrapped: Sequence[Sequence[str]], fields: int) -> list[str] | None:
    """Every text at the index of its own, or as near behind it as those before it allow; None if that does not fit."""
    lines: list[str] = []
    for index, pieces in enumerate(wrapped):
        if not pieces:
            continue
        lines += [""] * (index - len(lines))
        lines += pieces
    return lines if len(lines) <= fields else None
