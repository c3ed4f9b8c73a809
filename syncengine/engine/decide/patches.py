"""JSON patches (RFC 6902) of source documents: made from what a person says, checked, applied. Pure.

Every value that a patch changes is tested by it first, so that it can never change what its author has not seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from jsonpatch import JsonPatch, JsonPatchException, JsonPatchTestFailed, apply_patch
from jsonpointer import EndOfList, JsonPointerException, escape, resolve_pointer, unescape

from syncengine.document import Doc, to_json
from syncengine.errors import Misconfigured
from syncengine.mapping.shapes import nearest

Patch = Sequence[Mapping[str, Any]]

SET, ADD = "--set", "--add"

_MISSING = object()
_NUMBER = re.compile(r'"\\u0000number:([^"]*)"')
OPERATIONS: Mapping[str, Sequence[str]] = {
    "add": ("path", "value"), "remove": ("path",), "replace": ("path", "value"), "move": ("from", "path"),
    "copy": ("from", "path"), "test": ("path", "value"),
}  # fmt: skip


class Misfit(Exception):
    """The patch does not fit the document; the text says why."""


def patched(doc: Doc, patch: Patch) -> Doc:
    """The document with a patch applied; the one that is given stays as it is. Raises Misfit."""
    try:
        made = apply_patch(doc, [dict(one) for one in patch])
    except JsonPatchTestFailed as failed:
        raise Misfit(f"a test of the patch fails: {failed}") from None
    except (JsonPatchException, JsonPointerException, TypeError, KeyError) as misfit:
        what, missing, _ = str(misfit).partition(" not found in ")  # what follows is the whole document
        raise Misfit(f"the patch does not fit: {what}{' not found' if missing else ''}") from None
    if not isinstance(made, dict):
        raise Misfit("the patch leaves no document")
    return made


def text_of(doc: Doc) -> str:
    """A document as JSON for people, numbers exactly as they came."""
    marked = json.dumps(doc, default=_marked, indent=2, ensure_ascii=False)
    return _NUMBER.sub(r"\1", marked)


def _marked(value: Any) -> str:
    return f"\0number:{value}" if isinstance(value, Decimal) else str(value)


def doc_of(text: str, what: str) -> Any:
    """The inverse of `text_of`; decimals stay exact. Raises Misconfigured naming `what` the text is."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{what} is no JSON: {error}") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def of_text(text: str, what: str) -> Patch:
    """A patch as a person wrote it. Raises Misconfigured if it is none."""
    patch = doc_of(text, what)
    if not isinstance(patch, list) or not patch:
        raise Misconfigured(f"{what} is no JSON patch (RFC 6902)", "Write a list of operations, each with op and path")
    for number, one in enumerate(patch, 1):
        needed = OPERATIONS.get(str(one.get("op", ""))) if isinstance(one, dict) else None
        if needed is None or any(name not in one for name in needed):
            known = ", ".join(OPERATIONS)
            raise Misconfigured(
                f"{what}: operation {number} is none of {known}, or lacks what it needs ({', '.join(needed or ('op',))})"
            )
    return patch


def of_edit(doc: Doc, edited: str) -> Patch:
    """What a person has changed in `text_of(doc)`, with a test before each change; empty if nothing. Raises Misconfigured."""
    before, after = doc_of(text_of(doc), "the document"), doc_of(edited, "what was edited")
    if not isinstance(after, dict):
        raise Misconfigured("what was edited is no document any more", "Nothing was kept")
    changes = JsonPatch.from_diff(before, after, dumps=to_json).patch
    return [made for change, state in _states(before, changes) for made in (*_tests(change, state), change)]


def of_values(doc: Doc, settings: Sequence[str], additions: Sequence[str] = ()) -> Patch:
    """A patch from `path=text` (stays a text where it was one) and `path:=JSON`.

    A path is a JSON pointer (`/orderRows/8101/productSku`), or has dots (`orderRows.8101.productSku`). `additions` put in
    what is not there, and go first; `settings` change what is there, each after a test of the present value. That nothing
    is there cannot be tested in a JSON patch: what protects an addition is that its correction lapses when the source
    changes the document in any way (`corrections.py`). Raises Misconfigured if one cannot be read, is set and not there, or
    is added and there.
    """
    made: list[Mapping[str, Any]] = []
    now = doc
    for option, setting in [*((ADD, one) for one in additions), *((SET, one) for one in settings)]:
        some = _of_value(now, option, setting)
        try:
            now = patched(now, some)
        except Misfit as misfit:
            raise Misconfigured(f"{option} {setting!r} cannot be: {misfit}") from None
        made += some
    return made


def _of_value(doc: Doc, option: str, setting: str) -> Patch:
    name, sign, text = setting.partition("=")
    if not sign or not name:
        raise Misconfigured(
            f"{option} {setting!r} is no correction", "Write path=value, as orderRows.8101.productSku=MUG"
        )
    path = pointer(name.removesuffix(":"))
    old = _at(doc, path)
    if old is _MISSING:
        _check_absent(doc, option, setting, path)
    elif option == ADD:
        raise Misconfigured(
            f"{ADD} {setting!r} cannot be: {path} is there already", f"Change it with {SET} {setting!r}"
        )
    value = doc_of(text, f"the value of {path}") if name.endswith(":") else _typed(text, old)
    change = {"op": "add" if old is _MISSING else "replace", "path": path, "value": value}
    return [*_tests(change, doc), change]


def _check_absent(doc: Doc, option: str, setting: str, path: str) -> None:
    """Raises Misconfigured unless what is not there is to be added to what is there."""
    parts = path.split("/")
    depth = next(depth for depth in range(1, len(parts)) if _at(doc, "/".join(parts[: depth + 1])) is _MISSING)
    place, name = "/".join(parts[:depth]), unescape(parts[depth])
    holder = _at(doc, place)
    can_hold, is_last = isinstance(holder, dict | list), depth == len(parts) - 1
    if option == ADD and can_hold and is_last:
        return
    remedy = "Correct the path"
    if can_hold:
        remedy += f", or add it with {ADD} {setting!r}" if is_last else f", or add {name!r} first"
    near = nearest(name, holder) if isinstance(holder, dict) else ""
    raise Misconfigured(
        f"{option} {setting!r} cannot be: there is no {name!r} in {place or 'the document'}{near}", f"{remedy}"
    )


def pointer(path: str) -> str:
    """A JSON pointer from one, or from a path with dots."""
    return path if path.startswith("/") else "".join(f"/{escape(part)}" for part in path.split("."))


def _typed(text: str, old: Any) -> Any:
    if isinstance(old, str) or old is _MISSING or old is None:
        return text
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text


def check(doc: Doc, patch: Patch) -> Doc:
    """The document corrected, if the patch fits it and tests every value that it changes. Raises Misconfigured."""
    tested: list[str] = []
    for one, state in _states(doc, patch):
        if one["op"] == "test":
            tested.append(str(one["path"]))
            continue
        for test in _tests(one, state):
            if not any(_related(test["path"], path) for path in tested):
                shown = json.dumps({**test, "value": "..."})
                raise Misconfigured(
                    f"the patch changes {test['path']} without a test",
                    f"Put {shown} before it, with the value as it is now",
                )
    try:
        return patched(doc, patch)
    except Misfit as misfit:
        raise Misconfigured(f"{misfit}", "The document is shown by `syncengine deadletters show`") from None


def _states(doc: Doc, patch: Patch) -> Iterator[tuple[Mapping[str, Any], Doc]]:
    """Each operation with the document that it meets. Ends where one does not fit."""
    state = doc
    for one in patch:
        yield one, state
        try:
            state = patched(state, [one])
        except Misfit:
            return


def _tests(change: Mapping[str, Any], state: Doc) -> list[dict[str, Any]]:
    """Tests of the values that an operation changes or takes away, as they are in `state`."""
    paths = [str(change["from"])] if change["op"] == "move" else []
    parent, _, name = str(change["path"]).rpartition("/")
    in_list = isinstance(_at(state, parent), list)
    if change["op"] in ("remove", "replace") or not (in_list or name == "-"):
        paths.append(str(change["path"]))
    values = [(path, _at(state, path)) for path in paths]
    return [{"op": "test", "path": path, "value": value} for path, value in values if value is not _MISSING]


def _at(doc: Any, path: str) -> Any:
    try:
        found = resolve_pointer(doc, path, _MISSING)
    except JsonPointerException:
        return _MISSING
    return _MISSING if isinstance(found, EndOfList) else found


def _related(one: str, other: str) -> bool:
    """True if one of the two places is, or contains, the other."""
    first, second = ([unescape(part) for part in path.split("/")] for path in sorted((one, other), key=len))
    return second[: len(first)] == first
