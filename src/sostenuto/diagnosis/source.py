"""Where in the code of the user something happened: file, line, the expression, and what its arguments are called.

Everything here reads code and names; nothing of the user's is ever run a second time.
"""

from __future__ import annotations

import ast
import functools
import linecache
import re
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

_PACKAGE = str(Path(__file__).resolve().parents[1])


# What was typed into a shell or stands in a docstring; other files in angle brackets are generated code.
_TYPED = ("<ipython-input", "<python-input", "<stdin>", "<doctest")


@functools.cache
def _libraries() -> tuple[str, ...]:
    paths = [sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple({str(Path(path).resolve()) for path in paths} | {*paths})


@functools.cache
def is_users(file: str) -> bool:
    """Whether a file holds code of the user: not of Python, of an installed package or of Sostenuto."""
    if file.startswith(_TYPED) or "ipykernel_" in file:
        return True
    if file.startswith("<") or "site-packages" in file or "dist-packages" in file:
        return False
    return not file.startswith((_PACKAGE, *_libraries()))


def file_words(file: str) -> str:
    """A file's name for people: "train.py", "cell 3" of a notebook.

    Example:
        >>> file_words("/home/ada/train.py"), file_words("<ipython-input-3-27dd59bb1bd8>")
        ('train.py', 'cell 3')
    """
    if cell := re.match(r"<ipython-input-(\d+)", file):
        return f"cell {cell[1]}"
    return "cell" if "ipykernel_" in file else Path(file).name


@functools.lru_cache(maxsize=64)
def _tree(file: str, text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _text(file: str) -> str:
    return "".join(linecache.getlines(file))


@dataclass(frozen=True)
class Place:
    """A place in the user's code.

    Attributes:
        file: its path.
        line: of the expression's beginning, from 1.
        function: name of the function, "<module>" outside of all.
        names: the variables there, locals before globals; looked at, never kept longer than the diagnosis.
        span: (line, column, end line, end column) of the expression under way, columns in bytes as in ast; or None.
    """

    file: str
    line: int
    function: str = "<module>"
    names: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    span: tuple[int, int, int, int] | None = None

    @property
    def text(self) -> str:
        """The line as it stands."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def words(self) -> str:
        """File, line and expression for people.

        Example:
            >>> Place("forecast.py", 18).words
            'forecast.py, line 18'
        """
        shown = self.expression or self.text
        first = shown.splitlines()[0] if shown else ""
        if first and (len(shown) > len(first) or len(first) > 100):
            first = first[:100].rstrip() + " ..."
        return f"{file_words(self.file)}, line {self.line}" + (f":  {first}" if first else "")

    @property
    def expression(self) -> str:
        """The source of the expression under way, or "" where it is not known."""
        node = self.node()
        return self.source(node) if node is not None else ""

    def source(self, node: ast.AST) -> str:
        """The source of a node of this file, with the indentation of further lines as it stands."""
        return ast.get_source_segment(_text(self.file), node) or ""

    def node(self) -> ast.expr | None:
        """The expression under way."""
        tree = _tree(self.file, _text(self.file))
        if tree is None or self.span is None:
            return None
        for node in ast.walk(tree):
            if isinstance(node, ast.expr) and _span(node) == self.span:
                return node
        return None

    def module(self) -> ast.Module | None:
        """The syntax tree of the whole file, or None where it cannot be read."""
        return _tree(self.file, _text(self.file))

    def statement(self) -> ast.stmt | None:
        """The innermost statement around the line."""
        tree = _tree(self.file, _text(self.file))
        found: ast.stmt | None = None
        for node in ast.walk(tree) if tree is not None else ():
            if not isinstance(node, ast.stmt) or not node.lineno <= self.line <= (node.end_lineno or node.lineno):
                continue
            if found is None or node.lineno >= found.lineno:
                found = node
        return found

    def calls(self) -> Iterator[ast.Call]:
        """The call under way, then all others of its statement, outermost first."""
        node = self.node()
        if isinstance(node, ast.Call):
            yield node
        statement = self.statement()
        for other in _calls_in(statement) if statement is not None else ():
            if other is not node:
                yield other

    def call(self, *names: str) -> ast.Call | None:
        """The call under way, or the first one of its statement; with ``names``, only of a function called so.

        Args:
            names: last parts of names: "fit" finds ``model.fit(...)``.
        """
        for call in self.calls():
            if not names or called(call) in names:
                return call
        return None

    def argument(self, name: str, position: int | None = None, *functions: str) -> str:
        """The source of an argument of the call under way, or "".

        Args:
            name: as a keyword.
            position: or by position, from 0.
            functions: see ``call``.
        """
        call = self.call(*functions)
        if call is None:
            return ""
        for keyword in call.keywords:
            if keyword.arg == name:
                return self.source(keyword.value)
        plain = [one for one in call.args if not isinstance(one, ast.Starred)]
        if position is not None and position < len(call.args) == len(plain):
            return self.source(call.args[position])
        return ""

    def value(self, node: ast.AST | str | None) -> Any:
        """What a name, or a name's attribute, stands for now; None where that would mean running code."""
        if isinstance(node, str):
            try:
                node = ast.parse(node.strip(), mode="eval").body
            except SyntaxError:
                return None
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Attribute):
            # Through the instance's dictionary: a property would run code.
            return getattr(self.value(node.value), "__dict__", {}).get(node.attr)
        return None

    def bare(self) -> Place:
        """The same place without its variables, to be kept: they would keep the user's data alive."""
        return replace(self, names={})

    def names_of(self, value: Any) -> list[str]:
        """The user's names for an object."""
        return [name for name, one in self.names.items() if one is value and not name.startswith("_")]


def _span(node: ast.expr) -> tuple[int, int, int, int]:
    return node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0


def _calls_in(statement: ast.AST) -> Iterator[ast.Call]:
    # Not into the bodies of compound statements, which are statements of their own.
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls_in(child)


def called(call: ast.Call) -> str:
    """The last part of the name of what is called: "fit" for ``model.fit(...)``."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def with_keyword(source: str, keyword: str, value: str) -> str:
    """A call's source with a keyword added, or set anew.

    Example:
        >>> with_keyword("layers.LSTM(32)", "return_sequences", "True")
        'layers.LSTM(32, return_sequences=True)'
        >>> with_keyword("nn.LSTM(12, 16, batch_first=False)", "batch_first", "True")
        'nn.LSTM(12, 16, batch_first=True)'
    """
    call = _call(source)
    if call is None:
        return f"{source}  # with {keyword}={value}"
    call.keywords = [one for one in call.keywords if one.arg != keyword]
    call.keywords.append(ast.keyword(keyword, ast.parse(value, mode="eval").body))
    return ast.unparse(call)


def without_keyword(source: str, *keywords: str) -> str:
    """A call's source without some keywords.

    Example:
        >>> without_keyword("LSTM(32, stateful=True, batch_input_shape=(4, 10, 1))", "batch_input_shape")
        'LSTM(32, stateful=True)'
    """
    call = _call(source)
    if call is None:
        return source
    call.keywords = [one for one in call.keywords if one.arg not in keywords]
    return ast.unparse(call)


def _call(source: str) -> ast.Call | None:
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError:
        return None
    return tree if isinstance(tree, ast.Call) else None


# --- from frames to places -------------------------------------------------------------------------------------------


class Names(Mapping[str, Any]):
    """The variables of a frame, read when asked for.

    Args:
        frame: locals come before globals.
    """

    def __init__(self, frame: FrameType) -> None:
        self._locals, self._globals = frame.f_locals, frame.f_globals

    def __getitem__(self, name: str) -> Any:
        return self._locals[name] if name in self._locals else self._globals[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._locals
        if self._globals is not self._locals:
            yield from (name for name in self._globals if name not in self._locals)

    def __len__(self) -> int:
        return sum(1 for _ in self)


# What tf.function names the files of its copies.
_GENERATED = "__autograph_generated_file"


@functools.lru_cache(maxsize=4096)
def _position(code: CodeType, instruction: int) -> tuple[int, int, int, int] | None:
    for index, (line, end_line, column, end_column) in enumerate(code.co_positions()):
        if index == instruction // 2:
            if None in (line, end_line, column, end_column):
                return None
            return line, column, end_line, end_column  # type: ignore[return-value]
    return None


def _origin(frame: FrameType, line: int) -> tuple[str, int] | None:
    # tf.function runs a copy of the user's code from a file of its own, and keeps where each line came from.
    caller = frame.f_back
    for _ in range(8):
        if caller is None:
            return None
        lines = getattr(caller.f_locals.get("converted_f"), "ag_source_map", None)
        for generated, origin in lines.items() if isinstance(lines, dict) else ():
            if (generated.filename, generated.lineno) == (frame.f_code.co_filename, line):
                return origin.loc.filename, origin.loc.lineno
        caller = caller.f_back
    return None


def place_of(frame: FrameType, instruction: int | None = None, line: int | None = None) -> Place:
    """The place a frame has reached.

    Args:
        frame: of the user's code.
        instruction: of a traceback; by default where the frame is now.
        line: of a traceback; by default where the frame is now.
    """
    code = frame.f_code
    span = _position(code, frame.f_lasti if instruction is None else instruction)
    begun = span[0] if span else (line or frame.f_lineno)
    if _GENERATED in code.co_filename and (origin := _origin(frame, line or frame.f_lineno)) is not None:
        return Place(*origin, code.co_name.removeprefix("tf__"), Names(frame))
    return Place(code.co_filename, begun, code.co_name, Names(frame), span)


def place_now() -> Place | None:
    """The innermost place in the user's code on the way to the caller, or None."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return place_of(frame)
        frame = frame.f_back
    return None


def places_of(traceback: TracebackType | None) -> list[Place]:
    """The places in the user's code that an exception came through, outermost first."""
    places = []
    while traceback is not None:
        if is_users(traceback.tb_frame.f_code.co_filename):
            places.append(place_of(traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno))
        traceback = traceback.tb_next
    return places
