"""The native module: found or not, what is said then, and what the environment asks of it."""

from __future__ import annotations

import importlib
import importlib.machinery
import re
import shutil
import sys
import types
import warnings

import pytest

from sostenuto.errors import BackendError
from sostenuto.kernels import native_module

pytestmark = pytest.mark.plain

VARIABLES = ("SOSTENUTO_NATIVE", "SOSTENUTO_THREADS", "SOSTENUTO_TARGET")


@pytest.fixture
def environment(monkeypatch):
    """Sets variables, of which none is set at first; load() and why_not() then read them anew."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    native_module._outcome.cache_clear()
    yield monkeypatch.setenv
    native_module._outcome.cache_clear()


@pytest.fixture
def stand_in(environment, monkeypatch):
    """Puts a module in the place of the native one."""

    def place(**names):
        module = types.ModuleType(native_module.NAME)
        module.__spec__ = importlib.machinery.ModuleSpec(native_module.NAME, loader=None)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, native_module.NAME, module)
        return module

    return place


@pytest.fixture
def real(environment):
    """The module that was built, left as it was found."""
    if importlib.util.find_spec(native_module.NAME) is None and not (shutil.which("c++") or shutil.which("g++")):
        pytest.skip("no C++ compiler, hence no native module")
    module = importlib.import_module(native_module.NAME)
    threads, target = module.threads(), module.target()
    yield module
    module.set_threads(threads)
    module.set_target(target)


def refused(name: str) -> str:
    with pytest.raises(BackendError) as caught:
        native_module.load()
    assert caught.value.where == f"environment variable {name}"
    assert str(caught.value).startswith("The native kernels cannot run as the environment asks.\n  where")
    return f"{caught.value.got} | {caught.value.wanted}"


def test_the_built_module_is_loaded_without_a_word(real):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert native_module.load() is real
    assert native_module.why_not() is None
    assert real.interface == native_module.INTERFACE


def test_threads_and_target_are_set(real, environment):
    environment("SOSTENUTO_THREADS", "3")
    environment("SOSTENUTO_TARGET", "generic")
    assert native_module.load() is real
    assert (real.threads(), real.target()) == (3, "generic")


def test_threads_below_one_are_the_default_again(real):
    real.set_threads(0)  # an adapter may have taken those of its backend
    default = real.threads()
    real.set_threads(5)
    assert real.threads() == 5
    real.set_threads(0)
    assert real.threads() == default


def test_an_unknown_target_is_not_taken(real):
    before = real.target()
    assert real.set_target("avx1024") is False
    assert real.target() == before


def test_switched_off(environment):
    environment("SOSTENUTO_NATIVE", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert native_module.load() is None
    assert native_module.why_not() == "SOSTENUTO_NATIVE=0 is set"


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²", "1025", "99999999999999999999"])
@pytest.mark.parametrize("switch", ["0", "1"])
def test_a_number_of_threads_that_is_none(environment, value, switch):
    environment("SOSTENUTO_NATIVE", switch)
    environment("SOSTENUTO_THREADS", value)
    assert refused("SOSTENUTO_THREADS") == f"{value!r} | a whole number from 1 to 1024"
    assert refused("SOSTENUTO_THREADS")  # not only the first time


def test_a_target_that_is_none(environment):
    environment("SOSTENUTO_TARGET", "AVX2")
    assert refused("SOSTENUTO_TARGET") == "'AVX2' | one of avx512, avx2, generic"


def test_a_target_that_is_not_here(environment, stand_in):
    module = stand_in(interface=native_module.INTERFACE, now="avx2", target=lambda: module.now)

    def set_target(name):
        module.now = name if name in ("avx2", "generic") else module.now
        return module.now == name

    module.set_target = set_target
    environment("SOSTENUTO_TARGET", "avx512")
    assert refused("SOSTENUTO_TARGET") == "'avx512' | what this processor and this build have: avx2, generic"
    assert module.now == "avx2"


def test_a_switch_that_is_none(environment):
    environment("SOSTENUTO_NATIVE", "false")
    assert refused("SOSTENUTO_NATIVE") == "'false' | 0 (off) or 1 (on)"


def test_empty_variables_are_as_good_as_none(real, environment):
    before = real.threads(), real.target()
    for name in VARIABLES:
        environment(name, "")
    assert native_module.load() is real
    assert (real.threads(), real.target()) == before


def missing(reason: str) -> None:
    """The module is not there for this reason, which is told in one warning and no second one."""
    with pytest.warns(RuntimeWarning) as caught:
        assert native_module.load() is None
    assert re.fullmatch(reason, native_module.why_not())
    assert native_module.load() is None
    assert len(caught) == 1
    said = str(caught[0].message)
    assert said.startswith(f"Sostenuto does without its native kernels, which is slower: {native_module.why_not()}.")
    assert "To have them: run 'make native' in " in said
    assert said.endswith("SOSTENUTO_NATIVE=0.")


def test_not_built(environment, monkeypatch):
    monkeypatch.setattr(native_module, "NAME", "sostenuto._never_built")
    missing(r"the native module was not built \(no C\+\+ compiler when Sostenuto was installed\?\)")


def test_an_import_that_fails(environment, monkeypatch, tmp_path):
    (tmp_path / "broken_native.py").write_text("raise ImportError('libstdc++.so.6: version not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(native_module, "NAME", "broken_native")
    missing(r"its import failed: libstdc\+\+\.so\.6: version not found")


@pytest.mark.parametrize("names", [{"interface": native_module.INTERFACE - 1}, {}])
def test_built_from_other_sources(stand_in, names):
    stand_in(**names)
    got = names.get("interface")
    wanted = native_module.INTERFACE
    missing(rf"the native module was built from other sources \(its interface is {got}, wanted is {wanted}\)")


def test_what_an_installed_package_is_told(environment, monkeypatch, tmp_path):
    monkeypatch.setattr(native_module, "NAME", "sostenuto._never_built")
    monkeypatch.setattr(native_module, "__file__", str(tmp_path / "a" / "sostenuto" / "kernels" / "native_module.py"))
    with pytest.warns(RuntimeWarning, match="To have them: pip install --force-reinstall --no-cache-dir --no-deps"):
        native_module.load()
