"""The line that a wrong configuration ends with."""

from __future__ import annotations

from syncengine.errors import Misconfigured


def test_what_to_do_is_never_cut_off_however_long_the_line() -> None:
    line = f"SYNCENGINE_CONFIG = {'/deep' * 60!r} is not a file. Name the file with your endpoints"

    assert str(Misconfigured(line)) == line


def test_a_password_in_it_is_hidden() -> None:
    assert str(Misconfigured("password=hunter2 is refused")) == "password=*** is refused"
