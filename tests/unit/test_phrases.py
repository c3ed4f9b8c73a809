"""The lint for wording: which phrases it refuses, which words it leaves alone, and that its list of exceptions shrinks."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "phrases"


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with an empty folder as the repository."""
    spec = spec_from_loader("phrases", SourceFileLoader("phrases", str(SCRIPT)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "NOT_YET", ())
    monkeypatch.setattr(module, "_tracked", lambda: sorted(path.name for path in tmp_path.iterdir()))
    return module


@pytest.mark.parametrize(
    "text",
    [
        "Mended by hand",
        "planned anew",
        "lines that bear a key",
        "held records are looked at",
        "look at it again",
        "it goes on by itself",
        "# the record goes\n    # on by itself",
        '"the record goes "\n    "on by itself"',
        "def _go_on_after",
        "it stands in the log",
        "'5x' is no duration",
        "have a look",
        "people were told",
        "so many seconds",
        "a person's word",
        "the way of every record",
    ],
)
def test_a_phrase_is_refused_with_its_line_and_a_suggestion(
    lint: ModuleType, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text(f"A heading\n{text}\n")

    assert lint.main([]) == 1
    line = capsys.readouterr().out
    assert line.startswith("page.md:2: '")
    assert "': write " in line


@pytest.mark.parametrize(
    "text",
    [
        "a stand-in, standalone, standard, outstanding, to understand",
        "password, keyword, bearer, amended, forbearance",
        "there is no resource; it is no longer due; no more than 5",
        "a lookup; it looks for changes; go online; based on one word",
        "a quotation: it stands  # phrases: allow",
    ],
)
def test_ordinary_words_pass(lint: ModuleType, tmp_path: Path, text: str) -> None:
    (tmp_path / "page.md").write_text(f"{text}\n")

    assert lint.main([]) == 0


def test_a_path_that_is_clean_must_leave_the_list(
    lint: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.md").write_text("planned anew\n")
    monkeypatch.setattr(lint, "NOT_YET", ("old.md",))
    assert lint.main([]) == 0

    (tmp_path / "old.md").write_text("planned again\n")
    assert lint.main([]) == 1
    assert capsys.readouterr().out == "scripts/phrases: old.md is clean now: remove it from NOT_YET\n"


def test_texts_of_released_versions_are_left_alone(lint: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "CHANGELOG.md"
    page.write_text("# Changelog\n\n## Unreleased\n\nFixed.\n\n## 0.1.0\n\nplanned anew\n")
    assert lint.main([]) == 0

    page.write_text("# Changelog\n\n## Unreleased\n\nplanned anew\n\n## 0.1.0\n")
    assert lint.main([]) == 1
