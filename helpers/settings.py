"""The settings of a run: profile, model, images, database, resolved once and shown as a table.

Not about fetching or making these things: that is `session`.
"""

import html
import json
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .parameters import read_parameters
from .paths import DATA_DIR_VARIABLE, data_folder, resolve_path, without_password

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
_NOT_CLIP = ". It knows this project's drawings and nothing else: these are not CLIP's answers"
_ENVIRONMENT = {"data_dir": DATA_DIR_VARIABLE, "milvus_uri": "MILVUS_URI"}
_NAMES = ("model_name", "image_dir", "milvus_uri", "collection_name", "query_text", "data_dir")


@dataclass(frozen=True)
class Settings:
    """What a run works with. Call `Settings.resolve` to make one; a notebook shows it as a table.

    The token of a Milvus server is not a field: it is read from the environment variable
    `MILVUS_TOKEN` when a connection is opened, and is never shown or stored.
    """

    profile: str
    model_name: str
    image_dir: Path
    milvus_uri: str = field(repr=False)
    collection_name: str
    query_text: str
    data_dir: Path
    auto: bool = field(default=False, repr=False, compare=False)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

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
        parameters = (model_name, image_dir, milvus_uri, collection_name, query_text, data_dir)
        pairs = zip(_NAMES, parameters, strict=True)
        values: dict[str, Any] = {name: str(value) for name, value in pairs if value is not None}
        sources = dict.fromkeys(values, "parameter")
        for name, variable in _ENVIRONMENT.items():
            if name not in values and os.environ.get(variable):
                values[name], sources[name] = os.environ[variable], variable
        data_dir = resolve_path(values["data_dir"]) if "data_dir" in values else data_folder()

        profile, auto, sources["profile"] = _resolve_profile(profile, data_dir)
        defaults: dict[str, Any] = PROFILES[profile] | {
            "image_dir": _images_of(profile, data_dir),
            "milvus_uri": str(data_dir / "milvus.db"),
            "data_dir": data_dir,
        }
        values = defaults | values | {"data_dir": data_dir}
        values["image_dir"] = resolve_path(values["image_dir"])
        values["milvus_uri"] = _resolve_uri(str(values["milvus_uri"]))
        return cls(profile=profile, auto=auto, sources=sources, **values)

    @classmethod
    def read(cls, namespace: MutableMapping[str, Any]) -> "Settings":
        """Read all parameters of a notebook, see `read_parameters`, and settle what is in them.

        Parameters
        ----------
        namespace : dict
            `globals()` of the notebook. A text that is empty counts as None here.

        Raises
        ------
        ValueError
            If a parameter cannot be read, or the profile is unknown.
        """
        read_parameters(namespace)
        declared = [n for n in ("profile", *_NAMES) if n in namespace.get("__annotations__", {})]
        return cls.resolve(**{name: namespace[name] or None for name in declared})

    def switch(self, profile: str) -> "Settings":
        """Return the settings of another profile, with the same parameters and the same `auto`."""
        given = {name: getattr(self, name) for name in _NAMES if self.given(name)}
        switched = Settings.resolve(profile, **given)
        return replace(switched, auto=self.auto).completed("auto", profile=profile)

    def completed(self, source: str, **values: Any) -> "Settings":
        """Return these settings with other values, and a note of where they come from."""
        return replace(self, sources={**self.sources, **dict.fromkeys(values, source)}, **values)

    def given(self, name: str) -> bool:
        """Return whether a parameter set this value, not the environment or the profile."""
        return self.sources.get(name) == "parameter"

    @property
    def has_own_images(self) -> bool:
        """Whether the images are another folder than the one that the profile makes."""
        return self.image_dir != resolve_path(_images_of(self.profile, self.data_dir))

    def __str__(self) -> str:
        demo = self.model_name == PROFILES["demo"]["model_name"]
        return (
            f"Profile {self.profile} ({self.sources['profile']})\n"
            f"Collection {self.collection_name}: images of {self.image_dir}, by the model "
            f"{self.model_name}" + _NOT_CLIP * demo
        )

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))  # in a terminal, where a notebook has a table

    def _rows(self) -> list[tuple[str, str, str]]:
        shown = {"profile": self.profile} | {name: getattr(self, name) for name in _NAMES}
        shown["milvus_uri"] = without_password(self.milvus_uri)
        rows = [(k, str(v), self.sources.get(k, "profile")) for k, v in shown.items()]
        token = "set, not shown" if os.environ.get("MILVUS_TOKEN") else "not set"
        return [*rows, ("server token", token, "MILVUS_TOKEN")]

    def _repr_html_(self) -> str:
        rows = [("setting", "value", "comes from"), *self._rows()]
        cell = "<td style='text-align:left'>{}</td>"
        lines = ("".join(cell.format(html.escape(text)) for text in row) for row in rows)
        head, *body = (f"<tr>{line}</tr>" for line in lines)
        head = head.replace("td", "th")
        return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"


def remember_profile(settings: Settings) -> None:
    """Write which profile was prepared to `prepared.json`, where "auto" finds it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    note = settings.data_dir / "prepared.json"
    draft = note.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"profile": settings.profile}) + "\n", encoding="utf-8")
    draft.replace(note)


def remembered_profile(data_dir: Path) -> str | None:
    """Return the profile that `remember_profile` wrote, or None."""
    try:
        profile = json.loads((data_dir / "prepared.json").read_text(encoding="utf-8"))["profile"]
        return profile if profile in PROFILES else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _resolve_profile(profile: str | None, data_dir: Path) -> tuple[str, bool, str]:
    source = "parameter"
    if profile is None:
        profile = os.environ.get("IMAGE_SEARCH_PROFILE") or "auto"
        source = "auto" if profile == "auto" else "IMAGE_SEARCH_PROFILE"
    if profile == "auto":
        remembered = remembered_profile(data_dir)
        return remembered or "tutorial", True, "auto: as prepared" if remembered else "auto"
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}, auto")
    return profile, False, source


def _images_of(profile: str, data_dir: Path) -> Path:
    return data_dir / profile / PROFILES[profile]["image_dir"]


def _resolve_uri(uri: str) -> str:
    return uri if "://" in uri else str(resolve_path(uri))
