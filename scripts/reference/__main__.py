"""`scripts/docs`: write the reference pages, or check with `--check` that they are up to date."""

from __future__ import annotations

import sys

from scripts import reference


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 if a page is stale, 2 for an unknown argument."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("scripts/docs [--check]\n")
        return 2
    if not arguments:
        reference.write()
        return 0
    stale = reference.stale()
    for name in stale:
        sys.stderr.write(f"docs/reference/{name} is stale. Run scripts/docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
