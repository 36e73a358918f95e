"""Serve the search panel as a page: `python -m helpers.app --collection photos`.

What is missing is said here, before anybody visits. Then Voila (see `visitors`) runs
`notebooks/app.py` for each visitor, in a kernel of its own. How the page looks is in
`notebooks/voila`, what the panel does in `views.panel`.
"""

import argparse
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .settings import PROFILES, Settings, project_root, require


def main() -> int:
    """Make ready and serve; return 0, or 2 if something is missing, or 130 if interrupted."""
    root = project_root()
    if root is None:
        print("The page is not here: run this in a clone of the project", file=sys.stderr)
        return 2
    given, for_voila = _parser().parse_known_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # some shells start it without
    try:
        require("voila", "ipykernel", "pymilvus")
        from .collection.store import ImageStore

        settings = Settings.resolve(given.profile, given.model, collection_name=given.collection)
        print("Making ready …", flush=True)
        # In a process of its own, which takes the memory of the model along when it ends.
        with ProcessPoolExecutor(1, get_context("spawn")) as child:
            os.environ |= child.submit(_make_ready, settings).result()
        # Open as long as the page is served, or else one visitor's kernel would hold the database
        # for all others.
        with ImageStore(os.environ["MILVUS_URI"], os.environ["COLLECTION_NAME"]) as store:
            print(f"{store.count():,} images in {store.collection_name}")
            from .visitors import serve

            serve(root / "notebooks" / "app.py", given.host, for_voila)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"The app cannot start: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    others = "Other options are Voila's, such as --port 9000 and --no-browser."
    parser = argparse.ArgumentParser("python -m helpers.app", epilog=others, allow_abbrev=False)
    parser.description = "Serve the search panel as a page."
    parser.add_argument("--profile", choices=["auto", *PROFILES])
    parser.add_argument("--model", metavar="NAME", help="default: the profile's")
    parser.add_argument("--collection", metavar="NAME", help="default: the profile's")
    parser.add_argument("--host", action="append", default=[], help="answer to this name as well")
    return parser


def _make_ready(settings: Settings) -> dict[str, str]:
    """Download, draw and ingest what may be; return variables that tell kernels what to open."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))  # the other process says it
    from .session import open_collection, prepare

    settings = prepare(settings)
    encoder, store = open_collection(settings)
    store.close()
    names = {"MODEL_NAME": encoder.model_name, "COLLECTION_NAME": settings.collection_name}
    names |= {"IMAGE_SEARCH_PROFILE": settings.profile, "MILVUS_URI": settings.milvus_uri}
    return names | {"IMAGE_SEARCH_DATA_DIR": str(settings.data_dir)}


if __name__ == "__main__":
    sys.exit(main())
