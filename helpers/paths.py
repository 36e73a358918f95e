"""Where the project is, and where a path that somebody typed points to.

Not about what is in those places: that is `settings`.
"""

import os
import re
from pathlib import Path

__all__ = ["project_root", "resolve_path", "without_password"]


def project_root() -> Path:
    """Find the project's folder.

    Upward from the working directory (papermill runs in the caller's, JupyterLab in the
    notebook's); else the folder that holds the installed `helpers` package.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "helpers" / "paths.py").is_file() and (folder / "notebooks").is_dir():
            return folder
    return Path(__file__).resolve().parent.parent


def resolve_path(path: str | os.PathLike) -> Path:
    """Make a path absolute, with `~` expanded.

    A relative one counts from the working directory where it exists there, else from the
    project's folder.
    """
    expanded = Path(path).expanduser()
    if not expanded.is_absolute() and not expanded.exists():
        expanded = project_root() / expanded
    return expanded.resolve()


def without_password(uri: str) -> str:
    """Give an address that may be shown: `user:password@` left out."""
    return re.sub(r"//.*@", "//…@", uri)
