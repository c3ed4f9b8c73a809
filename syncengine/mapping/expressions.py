"""Expressions: parsed and checked by simpleeval once, and compiled into closures over exact numbers.

simpleeval walks the syntax tree and refuses every node that its table does not name. Here the handlers in that table
return a compiled `Expr` instead of a value, so the tree is walked only when a mapping is loaded. There are no floats:
a literal is read from the text, division has 34 digits.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from simpleeval import DISALLOW_PREFIXES, MAX_COMPREHENSION_LENGTH, FeatureNotAvailable, InvalidExpression, SimpleEval

from syncengine.mapping import function_calls
from syncengine.mapping.comparisons import comparison
from syncengine.mapping.dated import day_of, entry_on
from syncengine.mapping.functions import FUNCTIONS, LONGEST_TEXT, NAME_A_DATE
from syncengine.mapping.order import truth
from syncengine.mapping.runtime import ARITHMETIC, DecimalLiteral, Frame, Run, Unfit, key_text, number, table_key
from syncengine.mapping.scope import Complaint, Expr, Scope, path
from syncengine.mapping.shapes import ANY, FIELDS_HINT, Shape, ValueKind, common, nearest

LONGEST_EXPRESSION = 4000
_NUMBERS = (ValueKind.INTEGER, ValueKind.DECIMAL)
_OF_THE_CONTEXT = ("ref", "lookup", "dated", "by_value", "tallied")
_VALUE_AND_KEYS = Shape(
    ValueKind.GROUP,
    {"value": Shape(ValueKind.TEXT), "keys": Shape(ValueKind.LIST, item=Shape(ValueKind.TEXT))},
)
_BOOLEAN = Shape(ValueKind.BOOLEAN)
_LITERALS = {
    bool: ValueKind.BOOLEAN,
    int: ValueKind.INTEGER,
    DecimalLiteral: ValueKind.DECIMAL,
    str: ValueKind.TEXT,
    type(None): ValueKind.ANY,
}

_ARITHMETIC: dict[type[ast.operator], tuple[str, Callable[[Decimal, Decimal], Decimal]]] = {
    ast.Add: ("+", ARITHMETIC.add),
    ast.Sub: ("-", ARITHMETIC.subtract),
    ast.Mult: ("*", ARITHMETIC.multiply),
    ast.Div: ("/", ARITHMETIC.divide),
    ast.FloorDiv: ("//", ARITHMETIC.divide_int),
    ast.Mod: ("%", ARITHMETIC.remainder),
}


def compile_expression(text: Any, scope: Scope) -> Expr:
    """Compile an expression. Raises Complaint, which names the closest valid name if there is one."""
    if not isinstance(text, str) or not text.strip():
        raise Complaint(f"an expression is needed, such as a field's name, not {text!r}")
    if len(text) > LONGEST_EXPRESSION:
        raise Complaint("the expression is too long")
    source = " ".join(text.split())
    try:
        tree = ast.parse(f"({text.strip()}\n)", mode="eval").body
        compiled: Expr = _Compiler(f"({text.strip()}\n)", scope)._eval(tree)
    except (SyntaxError, ValueError, MemoryError):
        raise Complaint(f"not an expression: {source}") from None
    except FeatureNotAvailable as error:
        raise Complaint(f"not allowed in an expression: {_feature(error)}: {source}") from None
    except InvalidExpression as error:
        raise Complaint(f"{error}: {source}") from None
    except RecursionError:
        raise Complaint("the expression is nested too deeply") from None
    return Expr(compiled.run, compiled.shape, source, compiled.base, compiled.steps, compiled.is_constant)


def _feature(error: FeatureNotAvailable) -> str:
    return str(error).removeprefix("Sorry, ").removesuffix(" is not available in this evaluator")


class _Compiler(SimpleEval):  # type: ignore[misc]
    """simpleeval with handlers that compile. simpleeval itself refuses every node that is not in `nodes`."""

    def __init__(self, text: str, scope: Scope) -> None:
        super().__init__(operators={}, functions={}, names={})
        self.expr, self.scope = text, scope
        self._lines = [line.encode() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        self.nodes = {
            ast.Name: lambda node: self.scope.name(node.id),
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
            ast.Constant: self._constant,
            ast.List: self._list,
            ast.Tuple: self._list,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._binary,
            ast.BoolOp: self._logic,
            ast.Compare: self._compare,
            ast.IfExp: self._choice,
            ast.Call: self._call,
            ast.GeneratorExp: self._comprehension,
            ast.ListComp: self._comprehension,
        }

    def _text(self, node: ast.AST) -> str:
        """The source of a node. `ast.get_source_segment` splits the whole source for each node, which took half the time."""
        if getattr(node, "end_lineno", None) is None:
            return "it"
        lines = self._lines[node.lineno - 1 : node.end_lineno]  # type: ignore[attr-defined]
        lines[-1] = lines[-1][: node.end_col_offset]  # type: ignore[attr-defined]
        lines[0] = lines[0][node.col_offset :]  # type: ignore[attr-defined]
        return " ".join(b" ".join(lines).decode().split())

    def _attribute(self, node: ast.Attribute) -> Expr:
        if node.attr.startswith(tuple(DISALLOW_PREFIXES)):
            raise FeatureNotAvailable(f"the name {node.attr}")
        if isinstance(node.value, ast.Name) and node.value.id == "settings":
            return self.scope.setting(node.attr)
        return self._step(self._eval(node.value), node.attr, self._text(node))

    def _subscript(self, node: ast.Subscript) -> Expr:
        if not isinstance(node.slice, ast.Constant) or not isinstance(node.slice.value, str):
            raise FeatureNotAvailable("an index; use first(...) or a field's name in quotes")
        return self._step(self._eval(node.value), node.slice.value, self._text(node))

    def _step(self, parent: Expr, name: str, text: str) -> Expr:
        shape = parent.shape
        if shape.kind is ValueKind.LIST:
            raise Complaint(f"{parent.text} is a list and has no {name!r}: write (x.{name} for x in {parent.text})")
        if shape.kind not in (ValueKind.GROUP, ValueKind.ANY):
            raise Complaint(f"{parent.text} is a single value ({shape.kind}) and has no field {name!r}")
        if name not in shape.fields and not (shape.is_open or shape.kind is ValueKind.ANY):
            raise Complaint(f"{parent.text} has no field {name!r}{nearest(name, shape.fields)}{FIELDS_HINT}")
        base, steps = parent.base or parent.run, (*parent.steps, name) if parent.base else (name,)
        return Expr(path(base, steps, text), shape.fields.get(name, ANY), text, base, steps)

    def _constant(self, node: ast.Constant) -> Expr:
        value: Any = node.value
        if isinstance(value, float):
            value = DecimalLiteral(self._text(node).replace("_", ""))
        if type(value) not in _LITERALS:
            raise FeatureNotAvailable(f"the literal {self._text(node)}")
        return Expr(lambda _: value, Shape(_LITERALS[type(value)]), self._text(node), is_constant=True)

    def _list(self, node: ast.List | ast.Tuple) -> Expr:
        items = [self._eval(element) for element in node.elts]
        runs = [item.run for item in items]
        item = common([element.shape for element in items])
        return Expr(lambda frame: [run(frame) for run in runs], Shape(ValueKind.LIST, item=item), self._text(node))

    def _unary(self, node: ast.UnaryOp) -> Expr:
        operand = self._eval(node.operand)
        run, text = operand.run, operand.text
        if isinstance(node.op, ast.Not):
            return Expr(lambda frame: not truth(run(frame)), _BOOLEAN, self._text(node))
        if not isinstance(node.op, ast.USub):
            raise FeatureNotAvailable(f"the sign in {self._text(node)}")
        self._need_number(operand)
        return Expr(
            lambda frame: ARITHMETIC.minus(number(run(frame), text)), Shape(ValueKind.DECIMAL), self._text(node)
        )

    def _need_number(self, operand: Expr) -> None:
        if operand.kind not in (*_NUMBERS, ValueKind.ANY):
            raise Complaint(f"{operand.text} is {operand.kind}, but a number is needed here")

    def _binary(self, node: ast.BinOp) -> Expr:
        if type(node.op) not in _ARITHMETIC:
            raise FeatureNotAvailable(f"the operator {type(node.op).__name__}")
        left, right = self._eval(node.left), self._eval(node.right)
        if isinstance(node.op, ast.Add) and ValueKind.TEXT in (left.kind, right.kind):
            return self._concatenation(left, right, self._text(node))
        if isinstance(node.op, ast.Add) and left.kind is right.kind is ValueKind.ANY:
            return Expr(_either_sum(left, right, self._text(node)), ANY, self._text(node))
        for operand in (left, right):
            self._need_number(operand)
        sign, operate = _ARITHMETIC[type(node.op)]
        return Expr(_calculation(left, right, operate, sign), Shape(ValueKind.DECIMAL), self._text(node))

    def _concatenation(self, left: Expr, right: Expr, text: str) -> Expr:
        for operand in (left, right):
            if operand.kind not in (ValueKind.TEXT, ValueKind.ANY):
                raise Complaint(
                    f"{operand.text} is {operand.kind} and cannot be joined to text: write text({operand.text})"
                )

        def run(frame: Frame) -> str:
            parts = left.run(frame), right.run(frame)
            for value, source in zip(parts, (left.text, right.text), strict=True):
                if not isinstance(value, str):
                    raise Unfit(f"{source} is not text; write text({source})", value=value)
            return _concatenated(parts[0], parts[1], text)

        return Expr(run, Shape(ValueKind.TEXT), text)

    def _logic(self, node: ast.BoolOp) -> Expr:
        parts = [self._eval(value) for value in node.values]
        runs = [part.run for part in parts]
        stops_at = isinstance(node.op, ast.Or)

        def run(frame: Frame) -> Any:
            value: Any = None
            for operand in runs:
                value = operand(frame)
                if truth(value) is stops_at:
                    return value
            return value

        return Expr(run, common([part.shape for part in parts]), self._text(node))

    def _compare(self, node: ast.Compare) -> Expr:
        operands = [self._eval(operand) for operand in (node.left, *node.comparators)]
        steps = [
            comparison(left, right, type(op)) for left, op, right in zip(operands, node.ops, operands[1:], strict=False)
        ]
        if len(steps) == 1:
            return Expr(steps[0], _BOOLEAN, self._text(node))
        return Expr(lambda frame: all(step(frame) for step in steps), _BOOLEAN, self._text(node))

    def _choice(self, node: ast.IfExp) -> Expr:
        test, yes, no = self._eval(node.test).run, self._eval(node.body), self._eval(node.orelse)
        return Expr(
            lambda frame: yes.run(frame) if truth(test(frame)) else no.run(frame),
            common([yes.shape, no.shape]),
            self._text(node),
        )

    def _call(self, node: ast.Call) -> Expr:
        if not isinstance(node.func, ast.Name):
            raise FeatureNotAvailable(f"a method, use a function instead: {self._text(node)}")
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise FeatureNotAvailable("arguments by name")
        name = node.func.id
        if name == "ref":
            return self._reference(node)
        if name == "lookup":
            return self._lookup(node)
        if name == "dated":
            return self._dated(node)
        if name == "by_value":
            return self._by_value(node)
        if name == "tallied":
            return self._tallied(node)
        if name not in FUNCTIONS:
            raise Complaint(f"there is no function {name!r}{nearest(name, [*FUNCTIONS, *_OF_THE_CONTEXT])}")
        function = FUNCTIONS[name]
        if not function.least <= len(node.args) <= function.most:
            raise Complaint(f"{name}() takes {function_calls.arity(function)}, not {len(node.args)}")
        arguments = [self._eval(argument) for argument in node.args]
        if function.takes and arguments[0].kind not in (function.takes[0], ValueKind.ANY):
            first, (expected, remedy) = arguments[0], function.takes
            raise Complaint(f"{name}() takes a {expected}, but {first.text} is {first.kind}: {remedy}")
        return Expr(
            function_calls.application(function, arguments, self._text(node)),
            function_calls.result(function, arguments),
            self._text(node),
        )

    def _reference(self, node: ast.Call) -> Expr:
        if len(node.args) != 2 or not isinstance(node.args[0], ast.Constant):
            raise Complaint("ref() takes a resource in quotes and a key: ref('brightpearl.contact', id)")
        resource = str(node.args[0].value)
        if resource not in self.scope.references:
            raise Complaint(f"references: does not name {resource!r}{nearest(resource, self.scope.references)}")
        key = self._eval(node.args[1]).run

        def run(frame: Frame) -> Any:
            return frame.context.references.get(resource, {}).get(key_text(key(frame)))

        return Expr(run, self.scope.references[resource], self._text(node), run)

    def _lookup(self, node: ast.Call) -> Expr:
        if len(node.args) not in (2, 3) or not isinstance(node.args[0], ast.Constant):
            raise Complaint("lookup() takes a table in quotes, a key and an optional default: lookup('currencies', id)")
        name = str(node.args[0].value)
        table, key = self.scope.table(name), self._eval(node.args[1]).run
        default = self._eval(node.args[2]).run if len(node.args) == 3 else None

        def run(frame: Frame) -> Any:
            entry = table_key(key(frame))
            found = frame.context.lookups.get(name, {}).get(entry)
            found = table.get(entry) if found is None else found
            return default(frame) if found is None and default else found

        return Expr(run, Shape(ValueKind.TEXT), self._text(node))

    def _dated(self, node: ast.Call) -> Expr:
        if len(node.args) != 3 or not isinstance(node.args[0], ast.Constant):
            raise Complaint("dated() takes a table in quotes, a key and a date: dated('rates', code, day)")
        name = str(node.args[0].value)
        table, key, day = self.scope.table(name), self._eval(node.args[1]).run, self._eval(node.args[2])
        if day.kind not in (ValueKind.DATE, ValueKind.ANY):
            raise Complaint(f"dated() takes a date, but {day.text} is {day.kind}: {NAME_A_DATE}")

        def run(frame: Frame) -> Any:
            entries = {**table, **frame.context.lookups.get(name, {})}
            return entry_on(entries, table_key(key(frame)), day_of(day.run(frame)))

        return Expr(run, Shape(ValueKind.TEXT), self._text(node))

    def _by_value(self, node: ast.Call) -> Expr:
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Constant):
            raise Complaint("by_value() takes a table in quotes: by_value('warehouses')")
        name = str(node.args[0].value)
        table = self.scope.table(name)

        def run(frame: Frame) -> list[dict[str, Any]]:
            keys: dict[str, list[str]] = {}
            for key, value in {**table, **frame.context.lookups.get(name, {})}.items():
                keys.setdefault(value, []).append(key)
            return [{"value": value, "keys": keys[value]} for value in sorted(keys)]

        return Expr(run, Shape(ValueKind.LIST, item=_VALUE_AND_KEYS), self._text(node))

    def _tallied(self, node: ast.Call) -> Expr:
        if not self.scope.has_tallies:
            raise Complaint("tallied() is for flows with writes: levels")
        if len(node.args) != 1:
            raise Complaint("tallied() takes a place of the target, such as the id of a warehouse")
        place = self._eval(node.args[0]).run

        def run(frame: Frame) -> Decimal:
            return frame.context.tallied.get(key_text(place(frame)), Decimal(0))

        return Expr(run, Shape(ValueKind.DECIMAL), self._text(node))

    def _comprehension(self, node: ast.GeneratorExp | ast.ListComp) -> Expr:
        loop = node.generators[0]
        if len(node.generators) != 1 or loop.is_async or not isinstance(loop.target, ast.Name):
            raise FeatureNotAvailable("more than one `for x in ...`")
        source, name, outer = self._eval(loop.iter), loop.target.id, self.scope
        if source.kind not in (ValueKind.LIST, ValueKind.ANY):
            raise Complaint(f"{source.text} is not a list")
        self.scope = outer.with_loop(name, source.shape.item or ANY)
        tests = [self._eval(test).run for test in loop.ifs]
        item = self._eval(node.elt)
        self.scope = outer
        run = _iteration(source, name, tests, item.run, self._text(node))
        return Expr(run, Shape(ValueKind.LIST, item=item.shape), self._text(node))


def _concatenated(first: str, second: str, text: str) -> str:
    if len(first) + len(second) > LONGEST_TEXT:
        raise Unfit(f"{text} becomes too long")
    return first + second


def _either_sum(left: Expr, right: Expr, text: str) -> Run:
    """`+` of two values whose kinds are known only at run time: joins two texts, or adds two numbers."""

    def run(frame: Frame) -> Any:
        first, second = left.run(frame), right.run(frame)
        if isinstance(first, str) and isinstance(second, str):
            return _concatenated(first, second, text)
        return ARITHMETIC.add(number(first, left.text), number(second, right.text))

    return run


def _calculation(left: Expr, right: Expr, operate: Callable[[Decimal, Decimal], Decimal], sign: str) -> Run:
    first, second, first_text, second_text = left.run, right.run, left.text, right.text
    divides = sign in ("/", "//", "%")

    def run(frame: Frame) -> Decimal:
        a, b = number(first(frame), first_text), number(second(frame), second_text)
        if divides and not b:
            raise Unfit(f"{second_text} is zero and cannot be divided by", value=b)
        return operate(a, b)

    return run


def _iteration(source: Expr, name: str, tests: list[Run], item: Run, text: str) -> Run:
    """The closure of a comprehension. The loop variable is in `frame.names`; its former value is restored afterwards."""

    def run(frame: Frame) -> list[Any]:
        values = source.run(frame)
        if values is None:
            return []
        if not isinstance(values, list | tuple) or len(values) > MAX_COMPREHENSION_LENGTH:
            raise Unfit(f"{source.text} is not a list of at most {MAX_COMPREHENSION_LENGTH}", value=values)
        frame.spend(values, text)
        before, found = frame.names.get(name), []
        for value in values:
            frame.names[name] = value
            if all(truth(test(frame)) for test in tests):
                found.append(item(frame))
        frame.names[name] = before
        return found

    return run
