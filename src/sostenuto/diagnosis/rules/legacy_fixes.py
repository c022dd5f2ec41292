"""Writes the user's lines anew, as Keras 3 understands them."""

from __future__ import annotations

import ast

from sostenuto.diagnosis.rules.legacy_source import Program, changed
from sostenuto.diagnosis.source import Place


def new_line(place: Place, call: ast.Call, new: ast.Call | ast.expr) -> str:
    """The statement with a call replaced; of long statements only the call.

    Args:
        place: where the statement is.
        call: in it.
        new: instead.
    """
    text = ast.unparse(ast.fix_missing_locations(new))
    statement = _statement(place, call)
    if statement is None or hasattr(statement, "body"):
        return text
    source = place.source(statement)
    return source.replace(place.source(call), text, 1) if source.count("\n") < 3 else text


def line_with(place: Place, node: ast.AST, text: str) -> str:
    """The statement at a place with one expression of it written anew; of compound statements only the expression."""
    statement = place.statement()
    source = place.source(statement) if statement is not None and not hasattr(statement, "body") else place.source(node)
    return source.replace(place.source(node), text, 1)


def keras_input(program: Program, call: ast.Call) -> str:
    """How this program writes ``keras.Input``.

    Args:
        program: the file.
        call: of a layer, whose prefix is taken over.
    """
    written = next((name for name, path in program.names.items() if path in _INPUTS), "")
    if written:
        return written
    prefix = ast.unparse(call.func).rpartition(".")[0]
    if prefix.endswith("keras.layers"):
        return f"{prefix.removesuffix('.layers')}.Input"
    if "keras" in program.names:
        return "keras.Input"
    return f"{prefix}.Input" if program.names.get(prefix, "").endswith("keras.layers") else "keras.Input"


def input_in_front(
    program: Program,
    call: ast.Call,
    owner: str,
    written: str,
    shape: str,
    argument: str = "batch_shape",
    without: tuple[str, ...] = (),
) -> str:
    """An Input in front of a layer, and the layer without the shape.

    Args:
        program: the file.
        call: that makes the layer.
        owner: its class.
        written: the shape, as the user wrote it.
        shape: the shape in numbers; "..." where it is not known.
        argument: of Input: "batch_shape" or "shape".
        without: further arguments to leave out.
    """
    place = program.place
    new, _ = changed(call, owner, dict.fromkeys(without, ""))
    line = new_line(place, call, new)
    made = f"{keras_input(program, call)}({argument}={written})"
    remark = f"        # {shape}" if shape.replace(" ", "") not in ("...", written.replace(" ", "")) else ""
    statement = _statement(place, call)
    if "keras.Input(" in made and "keras" not in program.names and made.startswith("keras."):
        made_import = "import keras\n"
    else:
        made_import = ""
    if _functional(program, call, statement):
        existing = input_call(program)
        if existing is None:
            return f"{line}\n# and the shape where the input is made: {made}{remark}"
        names = {one.arg for one in existing.keywords}
        if names & {"batch_shape", "batch_size"}:
            return line
        return f"{replaced(program, existing, made)}{remark}\n{line}"
    if (outer := _add(statement, call)) is not None:
        return f"{made_import}{place.source(outer.func)}({made}){remark}\n{line}"
    if _in_list(program, call):
        return f"{made_import}{made},{remark}\n{ast.unparse(new)},"
    return f"{made_import}{made}{remark or '        # in front of the layer'}\n{line}"


def further(program: Program, call: ast.Call, names: set[str]) -> tuple[str, str]:
    """What else in the file Keras 3 does not know: words for the cause, and lines for the fix.

    Args:
        program: the file.
        call: that was spoken of.
        names: that were spoken of with it.
    """
    found = program.further(call.lineno, names)
    if not found:
        return "", ""
    words = "\nFurther on, the same file has more that Keras 3 does not know:"
    lines: list[str] = []
    done = {call.lineno}
    for one in found:
        words += f"\nline {one.line}: {one.words}"
        if one.fix and one.line not in done:
            done.add(one.line)
            lines.append(one.fix)
        owner = program.owner(one.call) if one.call is not None else ""
        if one.call is None or not owner or one.line in done:
            continue
        done.add(one.line)
        new = changed(one.call, owner)[0]
        if owner == "Input":
            new.keywords = [keyword for keyword in new.keywords if keyword.arg != "shape"]
        lines.append(
            f"{replaced(program, one.call, ast.unparse(ast.fix_missing_locations(new)))}        # line {one.line}"
        )
    return words, "".join(f"\n{line}" for line in lines)


_INPUTS = ("keras.Input", "keras.layers.Input", "tensorflow.keras.Input", "tensorflow.keras.layers.Input")


def replaced(program: Program, call: ast.Call, text: str) -> str:
    """The statement around a call anywhere in the file with the call written anew; of long ones only the call."""
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Assign | ast.Expr | ast.Return) and any(one is call for one in ast.walk(node)):
            source = program.place.source(node)
            return source.replace(program.place.source(call), text, 1) if "\n" not in source else text
    return text


def _statement(place: Place, call: ast.Call) -> ast.stmt | None:
    statement = place.statement()
    inside = statement is not None and any(one is call for one in ast.walk(statement))
    return statement if inside else None


def _functional(program: Program, call: ast.Call, statement: ast.stmt | None) -> bool:
    # LSTM(...)(x), or lstm = LSTM(...) and lstm(x) later.
    names = set()
    if isinstance(statement, ast.Assign) and statement.value is call:
        names = {target.id for target in statement.targets if isinstance(target, ast.Name)}
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Call) and (node.func is call or _wraps(node, call)):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            return True
    return False


def _wraps(node: ast.Call, call: ast.Call) -> bool:
    # Bidirectional(LSTM(...))(x)
    return isinstance(node.func, ast.Call) and any(argument is call for argument in node.func.args)


def _add(statement: ast.stmt | None, call: ast.Call) -> ast.Call | None:
    outer = statement.value if isinstance(statement, ast.Expr) else None
    if (
        isinstance(outer, ast.Call)
        and isinstance(outer.func, ast.Attribute)
        and outer.func.attr == "add"
        and outer is not call
    ):
        return outer
    return None


def _in_list(program: Program, call: ast.Call) -> bool:
    return any(
        isinstance(node, ast.List) and any(one is call or call in ast.walk(one) for one in node.elts)
        for node in ast.walk(program.tree)
    )


def input_call(program: Program) -> ast.Call | None:
    """The call of keras.Input in a file, where there is just one."""
    found = [
        node for node in ast.walk(program.tree) if isinstance(node, ast.Call) and program.path(node.func) in _INPUTS
    ]
    return found[0] if len(found) == 1 else None
