"""The pages about mappings and flows say what is so: every example compiles, every setting and table is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from syncengine.flows.loader import load_flow
from syncengine.mapping.functions import FUNCTIONS
from syncengine.mapping.values import ENTRIES
from tests.unit.flows.flow_fixtures import CATALOGUE, flows

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "mapping.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
HEAD = """
flow: example
source: brightpearl.sales_order
target: syspro.sales_order
needs: [customers]
settings: {time_zone: {type: text, default: UTC}}
lookups: {warehouses: {}, shipping_codes: {}, areas: {}, rates: {}}
"""


def whole(example: str) -> str:
    """The example as a flow's file."""
    if example.startswith("flow:"):
        return example
    if re.search(r"^mapping:", example, re.MULTILINE):
        return HEAD + example
    return f"{HEAD}mapping:\n" + "".join(f"  {line}\n" for line in example.splitlines())


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_compiles(example: str, tmp_path: Path) -> None:
    (tmp_path / "example.yml").write_text(whole(example), "utf-8")

    assert load_flow(tmp_path / "example.yml", CATALOGUE).mapping.version


def test_every_function_and_entry_is_named() -> None:
    words = set(re.findall(r"[a-z_]+", PAGE))

    assert set(FUNCTIONS) - words == set()
    assert set(ENTRIES) - words == set()


def test_every_setting_and_table_of_the_flows_is_named() -> None:
    pages = [DOCS / "flows.md", *(DOCS / "flows").glob("*.md")]
    page = {name for each in pages for name in re.findall(r"[a-z_]+", each.read_text("utf-8"))}

    for flow in flows().values():
        assert {*flow.settings, *flow.lookups} - page == set(), flow.name
