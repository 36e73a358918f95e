"""Parameters of notebooks: whatever papermill or a shell made of them, read by their types.

The cell of parameters declares the types (`limit: int = 10`). Not about where the values come
from: that is `settings`.
"""

import csv
import os
from collections.abc import Callable, MutableMapping
from configparser import ConfigParser
from numbers import Integral
from typing import Any, Literal

YesNoAll = bool | Literal["all"]
"""What a flag may be that has something in reserve."""

_FLAGS = {**ConfigParser.BOOLEAN_STATES} | {"y": True, "n": False}
_NOTHING = ("", "none", "null")


def read_parameters(namespace: MutableMapping[str, Any]) -> None:
    """Read all parameters of a notebook, in place, before anything is done with them.

    From a command line they often arrive as text. A `str` stays as it was typed; an `int` is a
    whole number; a `bool` is one of the usual words for yes and no, and a `YesNoAll` also "all"; a
    `list` is a list of texts, or one text, or several with commas between them (in double quotes,
    if they have commas of their own). None stays None.

    Parameters
    ----------
    namespace : dict
        `globals()` of the notebook, whose annotations declare the types.

    Raises
    ------
    ValueError
        If a value cannot be read. Then nothing has changed.
    """
    kinds = namespace.get("__annotations__", {})
    given = {name: kind for name, kind in kinds.items() if kind in _READERS and name in namespace}
    namespace.update({name: _READERS[kind](name, namespace[name]) for name, kind in given.items()})


def check_flags(**flags: object) -> None:
    """Refuse a text where True or False is expected: "false" is not empty, and would count."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} is True or False, not {value!r}")


def check_whole(least: int, **numbers: object) -> None:
    """Refuse what is not a whole number, or is too small; None is left to its default."""
    for name, value in numbers.items():
        if value is not None and (not isinstance(value, Integral) or isinstance(value, bool)):
            raise TypeError(f"{name} is a whole number, not {value!r}")
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def _text(name: str, value: object) -> str | None:
    if value is None or isinstance(value, str | os.PathLike):
        return value if value is None else os.fspath(value)
    if not isinstance(value, int | float):
        raise ValueError(f"{name} is a text, not {value!r}")
    return str(value)


def _texts(name: str, value: object) -> list[str] | None:
    if isinstance(value, str):
        inside = value.strip()
        if inside.startswith("[") and inside.endswith("]"):
            inside = inside[1:-1].strip()
        rows = csv.reader(inside.splitlines(), skipinitialspace=True)
        value = [text.strip().removeprefix("'").removesuffix("'") for row in rows for text in row]
    if not isinstance(value, list | tuple):
        value = [] if value is None else [value]
    texts = [_text(f"each of {name}", text) for text in value]
    return [text for text in texts if text] or None


def _whole(name: str, value: object) -> int | None:
    word = str(value).strip().lower()
    if word in _NOTHING:
        return None
    try:
        if (number := float(word)).is_integer():
            return int(number)
    except ValueError:
        pass
    raise ValueError(f"{name} is a whole number, not {value!r}")


def _flag(name: str, value: object) -> bool:
    word = str(value).strip().lower()
    if word not in _FLAGS and word not in _NOTHING:
        raise ValueError(f"{name} is yes or no (true or false), not {value!r}")
    return _FLAGS.get(word, False)


def _flag_or_all(name: str, value: object) -> YesNoAll:
    return "all" if str(value).strip().lower() == "all" else _flag(name, value)


_READERS: dict[Any, Callable[[str, object], Any]] = {
    str: _text,
    list: _texts,
    int: _whole,
    bool: _flag,
    YesNoAll: _flag_or_all,
}
