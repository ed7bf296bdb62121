"""Reads Verilog with pyverilog and says what is in it; a program of its own, as pyverilog writes its tables into the working directory.

Run: python -m flipcore.rtl.syntax_worker TOP OUT FILE ... ; writes `elaborated.json` and each module as pyverilog writes it into the folder OUT.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pyverilog.ast_code_generator.codegen import ASTCodeGenerator
from pyverilog.vparser import ast
from pyverilog.vparser.parser import parse

Node = Any  # of pyverilog's syntax tree
Values = Mapping[str, int]

_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "Plus": lambda a, b: a + b,
    "Minus": lambda a, b: a - b,
    "Times": lambda a, b: a * b,
    "Divide": lambda a, b: a // b,
    "Mod": lambda a, b: a % b,
    "Sll": lambda a, b: a << b,
    "Srl": lambda a, b: a >> b,
    "GreaterThan": lambda a, b: int(a > b),
    "LessThan": lambda a, b: int(a < b),
}


def evaluate(node: Node, values: Values) -> int | None:
    """Value of a constant expression; None where it holds something else than integers and parameters."""
    kind = type(node).__name__
    if kind == "Rvalue":
        return evaluate(node.var, values)
    if kind == "IntConst":
        text = node.value.replace("_", "")
        if "'" not in text:
            return int(text)
        base, digits = text.partition("'")[2][:1].lower(), text.partition("'")[2][1:]
        return int(digits, {"d": 10, "h": 16, "b": 2, "o": 8}[base])
    if kind == "Identifier":
        return values.get(node.name)
    if kind == "Uminus":
        inner = evaluate(node.right, values)
        return None if inner is None else -inner
    if kind == "Cond":
        condition = evaluate(node.cond, values)
        if condition is None:
            return None
        return evaluate(node.true_value if condition else node.false_value, values)
    if kind in _OPERATORS:
        left, right = evaluate(node.left, values), evaluate(node.right, values)
        return None if left is None or right is None else _OPERATORS[kind](left, right)
    return None


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for child in node.children():
        yield from walk(child)


def _span(width: Node | None, values: Values) -> int:
    """Elements of a range `[msb:lsb]`; 1 without one."""
    if width is None:
        return 1
    msb, lsb = evaluate(width.msb, values), evaluate(width.lsb, values)
    if msb is None or lsb is None:
        raise ValueError("a range that is no constant")
    return abs(msb - lsb) + 1


def _length(declaration: Node, values: Values) -> int:
    """Elements of an array; 1 for what is none."""
    dimensions = declaration.dimensions
    if dimensions is None:
        return 1
    elements = 1
    for one in dimensions.lengths:
        elements *= _span(one, values)
    return elements


def _clocked(module: Node) -> set[str]:
    """Names that are assigned at a clock edge: the registers among all that is declared `reg`."""
    names: set[str] = set()
    for node in walk(module):
        if isinstance(node, ast.Always) and any(
            one.type == "posedge" for one in node.sens_list.list
        ):
            for assignment in walk(node.statement):
                if isinstance(assignment, ast.NonblockingSubstitution):
                    names.update(
                        one.name for one in walk(assignment.left) if isinstance(one, ast.Identifier)
                    )
    return names


def _parameters(module: Node, overrides: Values) -> dict[str, int]:
    values: dict[str, int] = {}
    for declaration in module.paramlist.params if module.paramlist else ():
        for one in declaration.list:
            value = overrides.get(one.name, evaluate(one.value, values))
            if value is not None:
                values[one.name] = value
    return values


def _with_locals(module: Node, parameters: Values) -> dict[str, int]:
    values = dict(parameters)
    for node in walk(module):
        if isinstance(node, ast.Localparam):
            value = evaluate(node.value, values)
            if value is not None:
                values[node.name] = value
    return values


def elaborate(
    modules: Mapping[str, Node], name: str, path: str, overrides: Values
) -> Iterator[dict[str, Any]]:
    """Every instance below and including this one: path, module, parameters, bits of ports and registers."""
    module = modules[name]
    parameters = _parameters(module, overrides)
    values = _with_locals(module, parameters)
    clocked = _clocked(module)
    registers = {
        node.name: _span(node.width, values) * _length(node, values)
        for node in walk(module)
        if isinstance(node, ast.Reg) and node.name in clocked
    }
    ports = {}
    for port in module.portlist.ports if module.portlist else ():
        first = port.first
        ports[first.name] = [type(first).__name__.lower(), _span(first.width, values)]
    yield {"path": path, "module": name, "parameters": parameters, "ports": ports,
           "registers": registers}  # fmt: skip
    for node in walk(module):
        if isinstance(node, ast.Instance):
            given = {
                one.paramname: evaluate(one.argname, values) for one in node.parameterlist or ()
            }
            known = {key: value for key, value in given.items() if value is not None}
            below = f"{path}.{node.name}" if path else node.name
            yield from elaborate(modules, node.module, below, known)


def main() -> None:
    """Parse, elaborate, write."""
    top, out, *files = sys.argv[1:]
    modules, folder = {}, Path(out)
    tree, _ = parse(files, debug=False)
    for node in tree.description.definitions:
        if isinstance(node, ast.ModuleDef):
            modules[node.name] = node
            text = ASTCodeGenerator().visit(node)
            (folder / f"{node.name}.v").write_text(text, encoding="utf-8")
    document = list(elaborate(modules, top, "", {}))
    (folder / "elaborated.json").write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    main()
