"""The mapping language: how one system's document becomes the other's. YAML compiled once into pure, exact closures.

`contract` is what the engine asks; `compile_mapping` makes it from a flow's file. The language: docs/mapping.md.
"""

from syncengine.mapping.compiler import CompiledMapping, compile_mapping
from syncengine.mapping.runtime import table_key

__all__ = ["CompiledMapping", "compile_mapping", "table_key"]
