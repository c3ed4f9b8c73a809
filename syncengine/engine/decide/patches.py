"""JSON patches (RFC 6902) of source documents: built from a person's input, checked and applied. Pure.

A patch tests every value before it changes it, so it can never change a value that its author has not seen.
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
    """A copy of the document with the patch applied. Raises Misfit."""
    try:
        made = apply_patch(doc, [dict(operation) for operation in patch])
    except JsonPatchTestFailed as failed:
        raise Misfit(f"a test in the patch failed: {failed}") from None
    except (JsonPatchException, JsonPointerException, TypeError, KeyError) as misfit:
        what, missing, _ = str(misfit).partition(" not found in ")  # what follows is the whole document
        raise Misfit(f"the patch does not fit: {what}{' not found' if missing else ''}") from None
    if not isinstance(made, dict):
        raise Misfit("the result of the patch is not a document")
    return made


def text_of(doc: Doc) -> str:
    """A document as JSON for people; numbers keep their exact notation."""
    marked = json.dumps(doc, default=_marked, indent=2, ensure_ascii=False)
    return _NUMBER.sub(r"\1", marked)


def _marked(value: Any) -> str:
    return f"\0number:{value}" if isinstance(value, Decimal) else str(value)


def doc_of(text: str, what: str) -> Any:
    """The inverse of `text_of`; decimals stay exact. Raises Misconfigured; `what` names the text in the error."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{what} is not valid JSON: {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def of_text(text: str, what: str) -> Patch:
    """Read a patch that a person wrote. Raises Misconfigured if it is not a patch."""
    patch = doc_of(text, what)
    if not isinstance(patch, list) or not patch:
        raise Misconfigured(
            f"{what} is not a JSON patch (RFC 6902)", "Write a list of operations, each with op and path"
        )
    for number, operation in enumerate(patch, 1):
        required = OPERATIONS.get(str(operation.get("op", ""))) if isinstance(operation, dict) else None
        if required is None:
            raise Misconfigured(f"{what}: the op of operation {number} must be one of {', '.join(OPERATIONS)}")
        if missing := [name for name in required if name not in operation]:
            raise Misconfigured(f"{what}: operation {number} lacks {', '.join(missing)}")
    return patch


def of_edit(doc: Doc, edited: str) -> Patch:
    """A patch of the changes that a person made to `text_of(doc)`, each after a test; may be empty. Raises Misconfigured."""
    before, after = doc_of(text_of(doc), "the document"), doc_of(edited, "the edited text")
    if not isinstance(after, dict):
        raise Misconfigured("the edited text is not a JSON object, so no changes were saved", "Edit the document again")
    changes = JsonPatch.from_diff(before, after, dumps=to_json).patch
    return [operation for change, state in _states(before, changes) for operation in (*_tests(change, state), change)]


def of_values(doc: Doc, settings: Sequence[str], additions: Sequence[str] = ()) -> Patch:
    """A patch from `path=text` (remains text if the value was text) and `path:=JSON`.

    A path is a JSON pointer (`/orderRows/8101/productSku`) or has dots (`orderRows.8101.productSku`). `additions` create
    values and come first; `settings` change existing values, each after a test of the current value. A JSON patch cannot
    test that a value is absent; an addition is safe because its correction lapses when the source changes the document in
    any way (`corrections.py`). Raises Misconfigured if an assignment cannot be read, sets a value that does not exist, or
    adds one that does.
    """
    patch: list[Mapping[str, Any]] = []
    state = doc
    for option, assignment in [*((ADD, addition) for addition in additions), *((SET, setting) for setting in settings)]:
        operations = _of_value(state, option, assignment)
        try:
            state = patched(state, operations)
        except Misfit as misfit:
            raise Misconfigured(f"{option} {assignment!r} cannot be applied: {misfit}") from None
        patch += operations
    return patch


def _of_value(doc: Doc, option: str, assignment: str) -> Patch:
    name, sign, text = assignment.partition("=")
    if not sign or not name:
        raise Misconfigured(
            f"{option} {assignment!r} is not a correction",
            "Write path=value, for example orderRows.8101.productSku=MUG",
        )
    path = pointer(name.removesuffix(":"))
    old = _at(doc, path)
    if old is _MISSING:
        _check_absent(doc, option, assignment, path)
    elif option == ADD:
        raise Misconfigured(
            f"{ADD} {assignment!r} cannot be applied: {path} already exists", f"Change it with {SET} {assignment!r}"
        )
    value = doc_of(text, f"the value of {path}") if name.endswith(":") else _typed(text, old)
    change = {"op": "add" if old is _MISSING else "replace", "path": path, "value": value}
    return [*_tests(change, doc), change]


def _check_absent(doc: Doc, option: str, assignment: str, path: str) -> None:
    """Raise Misconfigured unless the option is ADD and the missing value has an existing parent to be added to."""
    parts = path.split("/")
    depth = next(depth for depth in range(1, len(parts)) if _at(doc, "/".join(parts[: depth + 1])) is _MISSING)
    place, name = "/".join(parts[:depth]), unescape(parts[depth])
    holder = _at(doc, place)
    can_hold, is_last = isinstance(holder, dict | list), depth == len(parts) - 1
    if option == ADD and can_hold and is_last:
        return
    remedy = "Correct the path"
    if can_hold:
        remedy += f", or add it with {ADD} {assignment!r}" if is_last else f", or add {name!r} first"
    near = nearest(name, holder) if isinstance(holder, dict) else ""
    raise Misconfigured(
        f"{option} {assignment!r} cannot be applied: there is no {name!r} in {place or 'the document'}{near}", remedy
    )


def pointer(path: str) -> str:
    """A JSON pointer, from a JSON pointer or from a path with dots."""
    return path if path.startswith("/") else "".join(f"/{escape(part)}" for part in path.split("."))


def _typed(text: str, old: Any) -> Any:
    if isinstance(old, str) or old is _MISSING or old is None:
        return text
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text


def check(doc: Doc, patch: Patch) -> Doc:
    """The corrected document. Raises Misconfigured if the patch does not fit, or changes a value without a test."""
    tested: list[str] = []
    for operation, state in _states(doc, patch):
        if operation["op"] == "test":
            tested.append(str(operation["path"]))
            continue
        for test in _tests(operation, state):
            if not any(_related(test["path"], path) for path in tested):
                example = json.dumps({**test, "value": "..."})
                raise Misconfigured(
                    f"the patch changes {test['path']} without a test",
                    f"Put {example} before it, with the current value",
                )
    try:
        return patched(doc, patch)
    except Misfit as misfit:
        raise Misconfigured(f"{misfit}", "Run `syncengine deadletters show` to see the document") from None


def _states(doc: Doc, patch: Patch) -> Iterator[tuple[Mapping[str, Any], Doc]]:
    """Each operation with the document that it applies to. Ends at the first operation that does not fit."""
    state = doc
    for operation in patch:
        yield operation, state
        try:
            state = patched(state, [operation])
        except Misfit:
            return


def _tests(change: Mapping[str, Any], state: Doc) -> list[dict[str, Any]]:
    """Tests of the values that an operation changes or removes, with their values in `state`."""
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


def _related(path: str, other: str) -> bool:
    """True if the two paths are equal or either contains the other."""
    first, second = ([unescape(part) for part in pointer_.split("/")] for pointer_ in sorted((path, other), key=len))
    return second[: len(first)] == first
