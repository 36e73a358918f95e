"""The values of a run: from where each comes, and of which type; and where paths lead.

`Settings` are profile, model, images and database, resolved once and shown as a table. Not about
fetching or making these things: that is `session`.
"""

import csv
import html
import json
import os
import re
from collections.abc import Callable, Mapping, MutableMapping, Set
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import partial
from importlib.util import find_spec
from numbers import Integral, Number
from pathlib import Path
from typing import Any, Literal

PROFILES: dict[str, dict[str, str]] = {
    "tutorial": {
        "model_name": "ViT-B/32",
        "collection_name": "image_collection",
        "query_text": "a white dog",
        "image_dir": "images/train",
    },
    "demo": {
        "model_name": "tiny",
        "collection_name": "demo_collection",
        "query_text": "a red star",
        "image_dir": "images",
    },
}
YesNoAll = bool | Literal["all"]
"""What a flag may be that has something in reserve."""

_NOT_CLIP = ". It knows this project's drawings and nothing else: these are not CLIP's answers"
_ENVIRONMENT = {
    "profile": "IMAGE_SEARCH_PROFILE",
    "milvus_uri": "MILVUS_URI",
    "data_dir": "IMAGE_SEARCH_DATA_DIR",
}
_NOTHING = ("none", "null", "<na>")  # as programs write it
_BLANK = (*_NOTHING, "nan", "nat", "", "~")
# Words for yes and no, as people type them and as spreadsheets write them in their languages.
_YES = """true yes on y t 1 1.0 j wahr ja vrai oui verdadero sí si vero sì verdadeiro sim waar
    prawda tak истина да doğru evet sand sann sant tosi kyllä igaz igen pravda ano はい 是 예"""
_NO = """false no off n f 0 0.0 falsch nein faux non falso não onwaar nee fałsz nie ложь нет yanlış
    yanliş hayır hayir falsk usand usann falskt nej nei epätosi ei hamis nem nepravda ne いいえ"""
FLAGS = dict.fromkeys(_YES.split(), True) | dict.fromkeys(_NO.split(), False)
# What is in a text that Python or NumPy made of a tuple, a set, an array, an Index, a generator.
_MADE = r"[({]b?['\"]|[([][([)]|[({]\d+[,}]|^\['[^']*' |^\[[\d. ]+ [\d.]+]|^b'.*'$|\bnp\.| at 0x"


@dataclass(frozen=True, repr=False)
class Settings:
    """What a run works with. Call `Settings.resolve` to make one; a notebook shows it as a table.

    The token of a Milvus server is not a field: it is read from the environment variable
    `MILVUS_TOKEN` when a connection is opened, and is never shown or stored.
    """

    profile: str
    model_name: str
    image_dir: Path
    milvus_uri: str
    collection_name: str
    query_text: str
    data_dir: Path
    auto: bool = field(default=False, compare=False)
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def resolve(
        cls,
        profile: str | None = None,
        model_name: str | os.PathLike | None = None,
        image_dir: str | os.PathLike | None = None,
        milvus_uri: str | os.PathLike | None = None,
        collection_name: str | None = None,
        *,
        query_text: str | None = None,
        data_dir: str | os.PathLike | None = None,
    ) -> "Settings":
        """Return settings: each value from its parameter, else the environment, else the profile.

        Parameters
        ----------
        profile : {"tutorial", "demo", "auto"}, optional
            None means `IMAGE_SEARCH_PROFILE`, or "auto" if that is not set. "auto" is the
            profile that `01_setup` prepared (`prepared.json` in the data folder), or the
            tutorial if nothing has been prepared yet.
        model_name, image_dir, milvus_uri, collection_name, query_text, data_dir : optional
            None means the value from the environment (`IMAGE_SEARCH_DATA_DIR`, `MILVUS_URI`) or
            the profile. For relative paths see `resolve_path`.

        Raises
        ------
        ValueError
            If the profile is unknown.
        """
        given = {name: as_text(name, value) for name, value in locals().items() if name in _NAMES}
        values: dict[str, Any] = {name: text for name, text in given.items() if text is not None}
        sources = dict.fromkeys(values, "parameter")
        for name, variable in _ENVIRONMENT.items():
            if name not in values and os.environ.get(variable):
                values[name], sources[name] = os.environ[variable], variable
        folder = resolve_path(values.get("data_dir", "data"))
        if auto := values.get("profile", "auto") == "auto":
            remembered = remembered_profile(folder)
            values["profile"] = remembered or "tutorial"
            sources["profile"] = "auto: as prepared" if remembered else "auto"
        values = _defaults(values["profile"], folder) | values | {"data_dir": folder}
        values["image_dir"] = resolve_path(values["image_dir"])
        if "://" not in values["milvus_uri"]:
            values["milvus_uri"] = str(resolve_path(values["milvus_uri"]))
        return cls(auto=auto, sources=sources, **values)

    @classmethod
    def read(cls, namespace: MutableMapping[str, Any], **defaults: Any) -> "Settings":
        """Read all parameters of a notebook, see `read_parameters`, and settle what is in them.

        Parameters
        ----------
        namespace : dict
            `globals()` of the notebook. A text that is empty counts as None here.
        **defaults
            What a parameter is instead of None, by its name.

        Raises
        ------
        ValueError
            If a parameter cannot be read, or the profile is unknown.
        """
        read_parameters(namespace)
        namespace.update({name: defaults[name] for name in defaults if namespace[name] is None})
        declared = [name for name in _NAMES if name in namespace.get("__annotations__", {})]
        return cls.resolve(**{name: namespace[name] or None for name in declared})

    def switch(self, profile: str, source: str = "auto") -> "Settings":
        """Return the settings of another profile, with the same parameters and the same `auto`."""
        given = {name: getattr(self, name) for name in _NAMES if self.given(name)}
        switched = Settings.resolve(**given | {"profile": profile})
        return replace(switched, auto=self.auto).completed(source, profile=profile)

    def completed(self, source: str, **values: Any) -> "Settings":
        """Return these settings with other values, and a note of where they come from."""
        return replace(self, sources={**self.sources, **dict.fromkeys(values, source)}, **values)

    def given(self, name: str) -> bool:
        """Return whether a parameter set this value, not the environment or the profile."""
        return self.sources.get(name) == "parameter"

    @property
    def has_own_images(self) -> bool:
        """Whether the images are another folder than the one that the profile makes."""
        return self.image_dir != resolve_path(_defaults(self.profile, self.data_dir)["image_dir"])

    def remember(self) -> None:
        """Write which profile was prepared to `prepared.json`, where "auto" finds it."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        draft = self.data_dir / f"prepared.{os.getpid()}"
        draft.write_text(json.dumps({"profile": self.profile}) + "\n", encoding="utf-8")
        draft.replace(self.data_dir / "prepared.json")

    def __repr__(self) -> str:
        profile = f"Profile {self.profile} ({self.sources['profile']})"
        model = self.model_name + _NOT_CLIP * (self.model_name == "tiny")
        made = f"images of {self.image_dir}, by the model {model}"
        return f"{profile}\nCollection {self.collection_name}: {made}"

    def _repr_html_(self) -> str:
        shown = {name: without_password(str(getattr(self, name))) for name in _NAMES}
        rows = [(name, text, self.sources.get(name, "profile")) for name, text in shown.items()]
        token = "set, not shown" if os.environ.get("MILVUS_TOKEN") else "not set"
        rows = [("setting", "value", "comes from"), *rows, ("server token", token, "MILVUS_TOKEN")]
        line = "<tr>" + 3 * "<td style='text-align:left'>{}</td>" + "</tr>"
        head, *body = (line.format(*map(html.escape, row)) for row in rows)
        head = head.replace("td", "th")
        return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"


_NAMES = [each.name for each in fields(Settings) if each.compare]


def remembered_profile(data_dir: Path) -> str | None:
    """Return the profile that `Settings.remember` wrote, or None."""
    try:
        profile = json.loads((data_dir / "prepared.json").read_text(encoding="utf-8"))["profile"]
        return profile if profile in PROFILES else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_parameters(namespace: MutableMapping[str, Any]) -> None:
    """Read all parameters of a notebook, in place, before anything is done with them.

    They come from a command line or a YAML file, often as text, or from a program that has them
    of NumPy or pandas, whose empty cells are None.

    - A `str` stays as it was typed, but None and null are None. A number is its digits (2019.0 is
      "2019"), a date its ISO text. True and False are refused: YAML makes them of no and yes.
    - An `int` is a whole number, and may be written as 5.0.
    - A `bool` is one of the words for yes and no in the large languages; None is no. A `YesNoAll`
      may also be "all".
    - A `list` is a list of texts, see `listed`, without blanks at their ends and without what is
      empty; or one text, or several with commas between them (in double quotes, if they have
      commas of their own). There, None, null and ~ are nothing; a list may name a label so.

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


def listed(value: Any) -> Any:
    """Return an array of one dimension, a Series, an Index or a set as a list; all else as it is.

    The keys of a dict are a set; a dict and a table are not.
    """
    is_row = isinstance(value, Set) or getattr(value, "ndim", 0) == 1
    return list(value) if is_row else value


def as_text(name: str, value: object) -> str | None:
    """Return a parameter that is one text, or None; see `read_parameters`."""
    return None if str(value).strip().lower() in _NOTHING else _text(name, value)


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


def project_root() -> Path | None:
    """Return the project's folder, or None where only the package is installed.

    The search goes upward from the working directory (papermill and `python -m helpers` run in
    the caller's, JupyterLab in the notebook's), then looks at the folder that holds this package.
    """
    for folder in (*(Path.cwd() / "helpers").parents, Path(__file__).resolve().parent.parent):
        if (folder / "helpers" / "settings.py").is_file() and (folder / "notebooks").is_dir():
            return folder
    return None


def data_folder() -> Path:
    """Return the data folder of the environment, else `data`. It may not exist."""
    return resolve_path(os.environ.get(_ENVIRONMENT["data_dir"]) or "data")


def resolve_path(path: str | os.PathLike, base: Path | None = None) -> Path:
    """Return an absolute path, with `~` expanded.

    A relative path that exists in the working directory counts from there. Any other counts from
    `base`, by default the project's folder; without a project, from the working directory.
    """
    expanded = Path(path).expanduser()
    if not expanded.is_absolute() and not expanded.exists():
        expanded = (base or project_root() or Path.cwd()) / expanded
    return expanded.resolve()


def without_password(uri: str) -> str:
    """Return an address that is safe to show, with `user:password` hidden."""
    return re.sub(r"//.*@", "//…@", uri)


def require(*modules: str) -> None:
    """Check that what only a command needs is installed: libraries of the extra `run`.

    Raises
    ------
    ModuleNotFoundError
        If one of them is missing; it says what to do.
    """
    for name in modules:
        if not find_spec(name):
            raise ModuleNotFoundError(
                f'{name} is missing: `make run`, or pip install -c constraints.txt -e ".[run]"'
            )


def _defaults(profile: str, data_dir: Path) -> dict[str, Any]:
    """Return what a profile says of each value; ValueError if it is unknown."""
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}, auto")
    values = PROFILES[profile]
    images = data_dir / profile / values["image_dir"]
    return values | {"image_dir": str(images), "milvus_uri": str(data_dir / "milvus.db")}


def _text(name: str, value: object) -> str | None:
    """Return a value as a text; None for an empty cell."""
    if not isinstance(value, str | os.PathLike) and str(value).lower() in _BLANK:
        return None
    if isinstance(value, bool) or not isinstance(value, str | os.PathLike | Number | date):
        raise ValueError(f'{name} is a text, not {value!r}: put "no" and such in quotes, or use -r')
    return str(value).removesuffix(".0" if isinstance(value, Number) else "")


def _texts(name: str, value: object) -> list[str] | None:
    values = listed(_split(name, value) if isinstance(value, str) else value)
    values = values if isinstance(values, list | tuple) else [values]
    texts = [(_text(f"each of {name}", each) or "").strip() for each in values]
    return [text for text in texts if text not in ("", "~", "<NA>", "NaT")] or None


def _split(name: str, text: str) -> list[str | None]:
    if re.search(_MADE, text):  # as papermill hands them on
        raise ValueError(f"{name} is no list, but the text {text:.99}: make it one by list()")
    inside = re.sub(r"\A\s*\[(.*)\]\s*\Z", r"\1", text, flags=re.DOTALL).strip()
    rows = csv.reader(inside.splitlines(), skipinitialspace=True)
    return [as_text(name, cell.strip().strip("'")) for row in rows for cell in row]


def _whole(name: str, value: object) -> int | None:
    word = str(value).strip().lower()
    if word in _BLANK:
        return None
    with suppress(ValueError):
        if (number := float(word)).is_integer():
            return int(number)
    raise ValueError(f"{name} is a whole number, not {value!r}")


def _flag(name: str, value: object, words: Mapping[str, YesNoAll] = FLAGS) -> YesNoAll:
    word = str(value).strip().casefold()
    if word not in words and word not in _BLANK:
        raise ValueError(f"{name} is yes or no (true or false), not {value!r}")
    return words.get(word, False)


_READERS: dict[Any, Callable] = {str: as_text, list: _texts, int: _whole, bool: _flag}
_READERS[YesNoAll] = partial(_flag, words={**FLAGS, "all": "all"})
