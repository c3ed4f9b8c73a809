"""SYSPRO 7 and 8 are supported, 6.1 is not (syspro-objects.md section 14 item 7)."""

from __future__ import annotations

import pytest

from syncengine.connectors.syspro.versions import Reached, described
from syncengine.errors import Misconfigured
from tests.unit.syspro.syspro_fixtures import settings


@pytest.mark.parametrize("version", ["7.0.073", "8.0.004", "8", "V7.0"])
def test_a_supported_version_is_named(version: str) -> None:
    assert described(Reached("", version), settings()) == f"SYSPRO {version}"


@pytest.mark.parametrize("version", ["6.1.000", "6.0", "5"])
def test_an_older_version_is_refused_with_the_reason(version: str) -> None:
    with pytest.raises(
        Misconfigured, match=r"syspro-test: SYSPRO .* is not supported: .*ShipAddress3Locality"
    ) as raised:
        described(Reached("", version), settings())
    assert raised.value.remedy == "Connect a company of SYSPRO 7 or 8"


def test_a_version_that_cannot_be_read_is_taken_from_the_setting_or_assumed_in_words() -> None:
    assert described(Reached(""), settings(syspro_version="8")) == "SYSPRO 8 by the setting syspro_version"
    assert "assumed to be 7 or later: set syspro_version" in described(Reached(""), settings())


def test_version_6_cannot_be_set() -> None:
    with pytest.raises(Misconfigured, match="syspro_version"):
        settings(syspro_version="6.1")
