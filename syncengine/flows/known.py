"""The flows that a process knows, by name, and those that are disabled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow, FlowHead

SHIPPED = Path(__file__).parent
"""The folder of the flows that ship."""

SUFFIXES = (".yml", ".yaml")  # compared in lower case: some systems write them in capitals
_RESTART = "Correct the file, then restart the processes"


@dataclass(frozen=True, slots=True)
class BrokenFlow:
    """A flow that is disabled because its file is wrong.

    name: the flow's; that of the file if the file names no flow (`is_named` is False). error: with file, line and remedy.
    """

    name: str
    file: str
    error: Misconfigured
    is_named: bool = True

    @property
    def remedy(self) -> str:
        """What to do, as one or two sentences without the last full stop."""
        return f"{self.error.remedy}. {_RESTART}" if self.error.remedy else _RESTART

    def __str__(self) -> str:
        return f"the flow {self.name} is disabled: {self.error.says}"


class Flows(Mapping[str, Flow]):
    """Flows by name. broken: those that are disabled, by name; none of them is among the flows."""

    broken: Mapping[str, BrokenFlow]

    def __init__(self, flows: Mapping[str, Flow], broken: Mapping[str, BrokenFlow]) -> None:
        self._flows, self.broken = flows, broken

    def __getitem__(self, name: str) -> Flow:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def head(self, name: str) -> FlowHead:
        """What a flow is, apart from its mapping. Raises KeyError."""
        return self[name]

    def _known(self) -> Mapping[str, Flow]:
        return self._flows


class ShippedFlows(Flows):
    """The flows that ship, without any of the site. None can be wrong, so they are compiled when one is asked for.

    Each file has the name of its flow.
    """

    def __init__(self, folder: Path, load: Callable[[], Flows]) -> None:
        super().__init__({}, {})
        self._paths = {path.stem: path for path in flow_files([folder])}
        self._heads: dict[str, FlowHead] = {}
        self._load = load

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __len__(self) -> int:
        return len(self._paths)

    def head(self, name: str) -> FlowHead:
        """What a flow is, without compiling it. Raises KeyError."""
        from syncengine.flows.head import read_head

        if name not in self._heads:
            self._heads[name] = read_head(self._paths[name])
        return self._heads[name]

    def _known(self) -> Mapping[str, Flow]:
        if not self._flows:
            self._flows = self._load()
        return self._flows


def flow_files(folders: Sequence[Path]) -> list[Path]:
    """The YAML files of folders, by folder and name; a link to a file that is gone is one that cannot be read.

    Raises Misconfigured if a folder does not exist.
    """
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise Misconfigured(f"the folder of flows {folder} does not exist; create it or correct the setting")
        found += sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and (path.is_file() or path.is_symlink())
        )
    return found
