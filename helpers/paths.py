"""Where the project is, and where a path that somebody typed points to.

Not about what is in those places: that is `settings`.
"""

import os
import re
from pathlib import Path

__all__ = ["project_root", "resolve_path", "without_password"]


def project_root() -> Path | None:
    """Find the project's folder; None where only the package is installed.

    Upward from the working directory (papermill and `python -m helpers` run in the caller's,
    JupyterLab in the notebook's); else the folder that holds this package.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / "helpers" / "paths.py").is_file() and (folder / "notebooks").is_dir():
            return folder
    return None


def resolve_path(path: str | os.PathLike, base: Path | None = None) -> Path:
    """Make a path absolute, with `~` expanded.

    A relative one counts from the working directory where it exists there; else from `base`, by
    default the project's folder; else, where there is no project, from the working directory.
    """
    expanded = Path(path).expanduser()
    if not expanded.is_absolute() and not expanded.exists():
        expanded = (base or project_root() or Path.cwd()) / expanded
    return expanded.resolve()


def without_password(uri: str) -> str:
    """Give an address that may be shown: `user:password@` left out."""
    return re.sub(r"//.*@", "//…@", uri)
