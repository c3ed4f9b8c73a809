"""The mapping language: how the document of one system becomes the document of the other.

`compiler.compile_mapping` compiles the YAML of a flow once into pure, exact closures. The engine uses only the interface in
`contract`. docs/mapping.md describes the language.
"""
