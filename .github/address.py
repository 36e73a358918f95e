"""Write the address of the repository wherever it stands: `make address REPOSITORY=...`.

Without make: `python .github/address.py https://github.com/owner/name`. The old one is read from
pyproject.toml; files keep everything else, byte for byte.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ("pyproject.toml", "*.md", "notebooks/*.ipynb")
HOST = "https://github.com/"


def main() -> int:
    """Replace `owner/name`, which is in every form of the address; 2 where there is none."""
    given = " ".join(sys.argv[1:])
    found = re.fullmatch(re.escape(HOST) + r"([\w-]+/[\w.-]*?[\w-])(\.git)?/?", given, re.ASCII)
    if not found:
        print(f"REPOSITORY is to be {HOST}owner/name, not {given!r}", file=sys.stderr)
        return 2
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    old = project["urls"]["Repository"].removeprefix(HOST).encode()
    whole = re.compile(rb"(?<![\w.-])" + re.escape(old) + rb"(?![\w-])")
    for path in sorted(path for pattern in FILES for path in ROOT.glob(pattern)):
        before = path.read_bytes()
        if (after := whole.sub(found[1].encode(), before)) != before:
            path.write_bytes(after)
            print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
