"""The pictures of the concepts: sequence, batch, state, chunk. SVG in the colours of the page around it."""

from __future__ import annotations

from html import escape

CELL, GAP = 24, 3
# Furo's own colours, so that a picture is dark on a dark page.
_STYLE = """<style>
.so-picture { max-width: 100%; height: auto; display: block; margin: 1rem 0 .4rem; }
.so-picture text { font: 13px var(--font-stack, sans-serif); fill: var(--color-foreground-primary, #1b2430); }
.so-picture .soft { fill: var(--color-foreground-muted, #64707d); }
.so-picture .line { stroke: var(--color-foreground-muted, #64707d); fill: none; stroke-width: 1.5; }
.so-picture .head { fill: var(--color-foreground-muted, #64707d); }
.so-picture .a { fill: #2f7fb8; } .so-picture .b { fill: #d07f2c; } .so-picture .c { fill: #3f9a68; }
.so-picture .none { fill: var(--color-background-border, #d9dee4); opacity: .75; }
.so-picture .box { fill: var(--color-background-secondary, #f5f6f8); stroke: var(--color-background-border, #d9dee4); }
.so-picture .cut { stroke: #c2372e; stroke-width: 2; stroke-dasharray: 5 4; }
</style>"""


class Picture:
    """Collects the parts of one SVG.

    Args:
        width: in pixels.
        height: in pixels.
        title: what it shows, for people who can't see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """Words at a place; ``y`` is their base line."""
        self._parts.append(f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def cells(self, x: float, y: float, kinds: str, size: int = CELL) -> None:
        """A row of steps: one letter each, "a", "b", "c", or "." for padding."""
        for number, kind in enumerate(kinds):
            name = "none" if kind == "." else kind
            self._parts.append(
                f'<rect x="{x + number * (size + GAP)}" y="{y}" width="{size}" height="{size}" rx="4" class="{name}"/>'
            )

    def box(self, x: float, y: float, width: float, height: float, words: str = "") -> None:
        """A frame with words in its middle."""
        self._parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" class="box"/>')
        if words:
            self.text(x + width / 2, y + height / 2 + 5, words, anchor="middle")

    def arrow(self, x: float, y: float, to_x: float, to_y: float, kind: str = "line") -> None:
        """A straight arrow."""
        flat = abs(to_x - x) >= abs(to_y - y)
        step = 6 if (to_x - x if flat else to_y - y) > 0 else -6
        head = (
            f"{to_x},{to_y} {to_x - step},{to_y - 4} {to_x - step},{to_y + 4}"
            if flat
            else f"{to_x},{to_y} {to_x - 4},{to_y - step} {to_x + 4},{to_y - step}"
        )
        self._parts.append(f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" class="{kind}"/>')
        self._parts.append(f'<polygon points="{head}" class="head"/>')

    def cut(self, x: float, y: float, to_y: float) -> None:
        """A dashed line from above to below."""
        self._parts.append(f'<line x1="{x}" y1="{y}" x2="{x}" y2="{to_y}" class="cut"/>')

    def svg(self) -> str:
        """The picture as text."""
        return (
            f'{_STYLE}\n<svg class="so-picture" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'role="img" aria-label="{escape(self.title)}">{"".join(self._parts)}</svg>\n'
        )


def sequence() -> str:
    """Three sequences of different lengths, and the features of one step."""
    picture = Picture(640, 170, "Three sequences of different lengths, each under its id; a step has several features")
    rows = [("engine-17", "a" * 9), ("engine-4", "b" * 4), ("engine-9", "c" * 6)]
    for number, (name, steps) in enumerate(rows):
        y = 34 + number * 34
        picture.text(96, y + 17, name, anchor="end")
        picture.cells(110, y, steps)
    picture.text(110, 22, "steps in time →", "soft")
    picture.text(110, 160, "one column is one step; lengths differ, nothing is padded", "soft")
    picture.arrow(110 + 9 * (CELL + GAP) + 4, 46, 440, 46)
    picture.box(446, 18, 170, 62)
    picture.text(456, 38, "features of a step")
    picture.text(456, 56, "speed 1.2, wear 0.2,", "soft")
    picture.text(456, 72, "pressure 641.8", "soft")
    return picture.svg()


def batch() -> str:
    """The same sequences in a batch (B, T, F), with padding that nobody reads."""
    picture = Picture(
        640, 180, "A batch: rows of different lengths in one rectangle; the padding at the ends is never read"
    )
    rows = [("row 0", "a" * 9, 9), ("row 1", "b" * 4 + "." * 5, 4), ("row 2", "c" * 6 + "." * 3, 6)]
    for number, (name, steps, length) in enumerate(rows):
        y = 34 + number * 34
        picture.text(96, y + 17, name, anchor="end")
        picture.cells(110, y, steps)
        picture.text(110 + 9 * (CELL + GAP) + 14, y + 17, f"length {length}", "soft")
    picture.text(110, 22, "time: T = 9 →", "soft")
    picture.text(2, 22, "batch: B = 3 ↓", "soft")
    picture.text(110, 164, "grey: padding. It fills the rectangle (B, T, F), and cannot change a result.", "soft")
    return picture.svg()


def state() -> str:
    """States that go by id, while the batch changes from call to call."""
    picture = Picture(
        700, 230, "A table of states by id; two calls with different batches read and write their ids' rows only"
    )
    picture.text(40, 22, "first call", "soft")
    picture.cells(40, 34, "a")
    picture.cells(40, 64, "b")
    picture.text(74, 51, "engine-17")
    picture.text(74, 81, "engine-4")
    picture.text(560, 22, "second call", "soft")
    picture.cells(560, 34, "c")
    picture.cells(560, 64, "a")
    picture.cells(560, 94, "b")
    picture.text(594, 51, "engine-9, new")
    picture.text(594, 81, "engine-17")
    picture.text(594, 111, "engine-4")
    picture.box(225, 28, 250, 150)
    picture.text(350, 50, "state by id", anchor="middle")
    for number, (kind, name) in enumerate((("a", "engine-17"), ("b", "engine-4"), ("c", "engine-9"))):
        y = 66 + number * 36
        picture.cells(245, y, kind)
        picture.text(280, y + 17, name)
        picture.text(380, y + 17, "h, c", "soft")
    picture.arrow(150, 60, 218, 60)
    picture.arrow(482, 60, 548, 60)
    picture.text(
        40, 212, "Another row, another order, another size of batch: each sequence goes on from its own state.", "soft"
    )
    return picture.svg()


def chunk() -> str:
    """Truncated backpropagation: lanes of chunks, states carried over the cuts, gradients stopped there."""
    picture = Picture(
        700, 190, "Chunks: long sequences in lanes; state is carried over each cut, the gradient stops there"
    )
    size, width = 20, 20 + GAP
    rows = [("lane 0", "a" * 15 + "b" * 5), ("lane 1", "c" * 10 + "." * 0 + "c" * 10)]
    left = 90
    for number, (name, steps) in enumerate(rows):
        y = 44 + number * 52
        picture.text(left - 14, y + 15, name, anchor="end")
        picture.cells(left, y, steps, size)
        for piece in (1, 2, 3):
            x = left + piece * 5 * width - GAP / 2
            fresh = number == 0 and piece == 3
            picture.text(x, y - 6, "h = 0" if fresh else "h →", "soft", "middle")
    for piece in range(4):
        picture.text(left + (piece * 5 + 2.5) * width, 22, f"batch {piece + 1}", "soft", "middle")
        if piece:
            x = left + piece * 5 * width - GAP / 2
            picture.cut(x, 42, 120)
    picture.text(
        left,
        152,
        "The state crosses each cut (h →), the gradient does not. Where a sequence ends, the next one",
        "soft",
    )
    picture.text(
        left,
        171,
        "takes its lane and begins at zero (h = 0). Shuffling shuffles sequences, never their chunks.",
        "soft",
    )
    return picture.svg()


ALL = {"sequence": sequence, "batch": batch, "state": state, "chunk": chunk}
