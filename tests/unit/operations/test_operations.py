"""Operations, all of them: who may not is turned away before anything else is looked at."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import monitor.operations
from monitor.errors import Refused
from monitor.operations.actor import Actor, Door

NOBODY = Actor("key:nobody", Door.API, frozenset())


def _operations():
    for found in pkgutil.iter_modules(monitor.operations.__path__):
        module = importlib.import_module(f"monitor.operations.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__ or name.startswith("_"):
                continue
            if inspect.signature(function).parameters.get("actor", inspect.Parameter).annotation == "Actor":
                yield pytest.param(function, id=f"{found.name}.{name}")


@pytest.mark.parametrize("operation", list(_operations()))
async def test_who_may_not_is_refused_before_anything_is_touched(operation):
    # Nothing is given that could be looked at, let alone changed: whatever is done first would fail.
    parameters = inspect.signature(operation).parameters.values()
    wanted = {one.name: None for one in parameters if one.default is one.empty}
    with pytest.raises(Refused, match="key:nobody may not do this: it needs "):
        done = operation(**wanted | {"actor": NOBODY})
        if inspect.isasyncgen(done):
            await anext(done)
        elif inspect.isawaitable(done):
            await done


def test_there_are_operations():
    assert len(list(_operations())) > 30
