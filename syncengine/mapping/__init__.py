"""The mapping language: how the document of one system becomes the document of the other.

`compile_mapping` compiles the YAML of a flow once into pure, exact closures. The engine uses only the interface in
`contract`. docs/mapping.md describes the language.
"""

from syncengine.mapping.compiled import CompiledMapping
from syncengine.mapping.compiler import compile_mapping
from syncengine.mapping.runtime import table_key

__all__ = ["CompiledMapping", "compile_mapping", "table_key"]
