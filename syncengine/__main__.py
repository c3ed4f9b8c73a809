"""`python -m syncengine` is the command `syncengine`."""

from syncengine.cli import main

main()
