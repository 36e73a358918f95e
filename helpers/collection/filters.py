"""Conditions on images, written as Milvus expressions with every value quoted."""

import math
import re
import unicodedata
from collections.abc import Mapping

import numpy as np

__all__ = ["build_filter", "names_in"]

_TEXT = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_NAME = re.compile(r"(?<![\w$])[A-Za-z_]\w*\b(?!\s*\()")  # before a parenthesis: a function
_KEYWORDS = {"and", "or", "not", "in", "like", "is", "null", "exists", "true", "false"}

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def build_filter(where: Mapping[str, object] | None) -> str:
    """Return conditions as a Milvus expression, empty if there are none.

    Parameters
    ----------
    where : dict
        From field to value (equal), list (any of these) or tuple (lowest, highest), with None
        for an open end: `{"label": ["goldfish", "tench"], "width": (640, None)}`. A text is found
        in both forms that Unicode has for accents: é as one letter, or as a letter and an accent.

    Raises
    ------
    ValueError
        If a field's name is not valid, a list is empty, a tuple is no range, or a value is neither
        a text nor a finite number.
    TypeError
        If `where` is not a dict.
    """
    if where is not None and not isinstance(where, Mapping):
        raise TypeError(f"where must be a dict of fields and values, not {where!r}; or use filter")
    return " and ".join(_condition(name, value) for name, value in (where or {}).items())


def names_in(expression: str) -> set[str]:
    """Return the names of fields in a Milvus expression."""
    without_texts = _TEXT.sub("", expression)
    return {name for name in _NAME.findall(without_texts) if name.lower() not in _KEYWORDS}


def _condition(name: str, value: object) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError(f"{name!r} is not a field name: use letters, digits and _, no digit first")
    if isinstance(value, list):
        if not value:
            raise ValueError(f"the list of values for {name!r} is empty: name at least one")
        values = dict.fromkeys(form for each in value for form in _forms(each))
        return f"{name} in [{', '.join(map(_literal, values))}]"
    if isinstance(value, tuple):
        if len(value) != 2 or value == (None, None):
            raise ValueError(f"a range for {name!r} must be (lowest, highest), got {value!r}")
        sides = zip((">=", "<="), value, strict=True)
        return " and ".join(f"{name} {op} {_literal(v)}" for op, v in sides if v is not None)
    if len(forms := _forms(value)) > 1:
        return _condition(name, forms)
    return f"{name} == {_literal(value)}"


def _forms(value: object) -> list[object]:
    """Return a value and, if it is a text, its normal forms NFC and NFD."""
    if not isinstance(value, str):
        return [value]
    return list(dict.fromkeys([value, *(unicodedata.normalize(f, value) for f in ("NFC", "NFD"))]))


def _literal(value: object) -> str:
    """Write a value, with only the escapes that both Milvus Lite and a server understand."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is neither a text nor a finite number")
    return repr(value).lower()  # true, not True
