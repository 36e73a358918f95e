"""Where the project is, where a typed path leads, and what is installed.

Not about what is in those places: that is `settings`.
"""

import os
import re
from importlib.util import find_spec
from pathlib import Path

DATA_DIR_VARIABLE = "IMAGE_SEARCH_DATA_DIR"
"""The environment variable that names the data folder."""


def project_root() -> Path | None:
    """Return the project's folder, or None where only the package is installed.

    The search goes upward from the working directory (papermill and `python -m helpers` run in
    the caller's, JupyterLab in the notebook's), then looks at the folder that holds this package.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / "helpers" / "paths.py").is_file() and (folder / "notebooks").is_dir():
            return folder
    return None


def data_folder() -> Path:
    """Return the data folder of the environment, else `data`. It may not exist."""
    return resolve_path(os.environ.get(DATA_DIR_VARIABLE) or "data")


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
