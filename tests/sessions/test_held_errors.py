"""What a hold refuses, and that nothing has changed then."""

from __future__ import annotations

import numpy as np
import pytest

import sostenuto as so
from tests.sessions.models import TOKENS, case

FOUND = case("stacked")
X, RIGHT = FOUND.values, FOUND.right


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def same(one: dict, two: dict) -> None:
    """States by name, to the last bit."""
    assert {layer: list(of) for layer, of in one.items()} == {layer: list(of) for layer, of in two.items()}
    for layer in one:
        for state in one[layer]:
            np.testing.assert_array_equal(one[layer][state], two[layer][state])


CALLS = {
    "step": lambda session: session.step({"free": X[0, 0], "a": X[0, 0]}),
    "peek": lambda session: session.peek({"a": X[0, 0]}),
    "reset": lambda session: session.reset(["free", "a"]),
    "forget": lambda session: session.forget("a"),
    "copy from": lambda session: session.copy("a", "free"),
    "copy to": lambda session: session.copy("free", "a"),
    "get_state": lambda session: session.get_state("a"),
    "set_state": lambda session: session.set_state("a", {}),
    "steps": lambda session: session.steps("a"),
    "evict": lambda session: session.evict(["a"]),
    "hold": lambda session: session.hold(["free", "a"]),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_names_a_held_id(call):
    session = FOUND.model.session()
    session.step(["a", "free"], X[:2, 0])
    with session.hold(["b", "a"]) as rows:
        rows.step(X[1::-1, 1])
        before = session.store.read(["a", "b", "free"])
        with pytest.raises(so.SessionError) as caught:
            CALLS[call](session)
        assert session.store.read(["a", "b", "free"]) == before
    assert str(caught.value) == (
        "'a' is held.\n"
        "  where   the session of SequenceModel 'stacked'\n"
        "  got     a call with 'a' while session.hold has them\n"
        "  wanted  ids that no open hold has: their newest steps are in its arrays\n"
        "  fix     step them there, or close it first: leave its with block, or call its close()\n"
        "  more    sostenuto explain SO316"
    )
    CALLS[call](session)


def bad(value) -> np.ndarray:
    x = X[:2, 1].copy()
    x[1, 2] = value
    return x


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (bad(np.nan), "where   step -> session, id 'b', step 0, feature "),
        (bad(np.inf), "got     inf (as float32)"),
        (np.array([[np.inf, -np.inf, 0], [0, 0, 0]], "float32"), "where   step -> session, id 'a', step 0, feature "),
        (X[:2, 1].astype("float64") * 1e300, "SO205"),
        (X[:2, 1, :2], "SO103"),
        (X[:3, 1], "SO315"),
        (X[0, 1], "SO315"),
        (X[:2, 1:2], "got     x (2, 1, 3) float32"),
        (X[:2, 1:4], "A hold takes one step of each id."),
        ([["text"] * 3] * 2, "SO204"),
        ([X[0, 1], X[1, 1:3]], "SO315"),
        (None, "SO315"),
    ],
)
def test_what_step_refuses(x, said):
    session = FOUND.model.session()
    with session.hold(["a", "b"]) as rows:
        rows.step(X[:2, 0])
        before = rows.get_state()
        with pytest.raises(so.SostenutoError) as caught:
            rows.step(x)
        assert said in str(caught.value)
        same(rows.get_state(), before)
        assert rows.steps.tolist() == [1, 1]
    # The refused one left no trace in what is recorded of the last step either.
    close(session.step(["a", "b"], X[:2, 0], step=0), RIGHT[:2, 0])


def test_large_numbers_are_finite():
    x = np.full((1, 3), np.finfo("float32").max, "float32")
    session = FOUND.model.session()
    with session.hold(["a"]) as rows, np.errstate(all="raise"):
        np.testing.assert_array_equal(rows.step(x)[0], FOUND.model.session().step({"a": x[0]})["a"])


@pytest.mark.parametrize("form", ["int32", "int64", "list"])
def test_tokens_that_step_refuses(form):
    found = case("tokens")
    with found.model.session().hold(["a", "b"]) as rows:
        rows.step(found.values[:2, 0].astype("int32"))
        for tokens, code in (([0, TOKENS], "SO502"), ([-1, 0], "SO502"), ([0.5, 1.0], "SO501"), ([[0], [1]], "SO315")):
            x = tokens if form == "list" or code == "SO501" else np.array(tokens, form)
            with pytest.raises(so.SostenutoError, match=code):
                rows.step(x)
        close(rows.step(found.values[:2, 1].astype("int32")), found.right[:2, 1])


@pytest.mark.parametrize(
    ("out", "got"),
    [(np.zeros((3, 2), "float32"), "(3, 2) float32"), (np.zeros((2, 2)), "(2, 2) float64"), ([[0, 0]] * 2, "list"),
     (np.broadcast_to(np.float32(0), (2, 2)), "an array that may only be read")],
)  # fmt: skip
def test_an_array_that_cannot_take_the_answers(out, got):
    with FOUND.model.session().hold(["a", "b"]) as rows:
        with pytest.raises(so.SessionError) as caught:
            rows.step(X[:2, 0], out=out)
        assert "The answers cannot be written there.\n  where   argument 'out'\n" in str(caught.value)
        assert f"got     {got}" in str(caught.value)
        close(rows.step(X[:2, 0]), RIGHT[:2, 0])


@pytest.mark.parametrize("rows", [2, -1, [0, 5], [0.0], ["a"], [True, False]])
def test_rows_that_are_not_there(rows):
    with FOUND.model.session().hold(["a", "b"]) as held:
        held.step(X[:2, 0])
        with pytest.raises(so.StateError) as caught:
            held.reset(rows)
        assert str(caught.value).endswith(
            "  wanted  numbers of the 2 rows, counted from 0\n"
            "  fix     rows.ids shows which id is in which row\n"
            "  more    sostenuto explain SO304"
        )
        close(held.step(X[:2, 1]), RIGHT[:2, 1])


def test_ids_that_a_strict_session_does_not_know():
    session = FOUND.model.session(strict=True)
    session.reset("a")
    with pytest.raises(so.UnknownIdError, match="SO212"):
        session.hold(["a", "b"])
    with pytest.raises(so.SessionError, match="SO312"):
        session.hold(["a", "a"])
    with session.hold(["a"]) as rows:
        close(rows.step(X[:1, 0]), RIGHT[:1, 0])
