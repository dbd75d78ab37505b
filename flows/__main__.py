"""`python -m flows`: the flows, one line each."""

from __future__ import annotations

import ast
from pathlib import Path

from rich.console import Console
from rich.table import Table


def main() -> None:
    """List every module of this folder that can be run, with what its flow says of itself."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        summary = next((ast.get_docstring(node) for node in functions if node.name == path.stem), None)
        if summary:
            table.add_row(f"python -m flows.{path.stem}", summary.splitlines()[0])
    Console().print(table)
    Console().print("\nAll but the last take a project's YAML, and each takes --help.")


if __name__ == "__main__":
    main()
