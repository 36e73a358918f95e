"""Serve the search panel as a page: `python -m helpers.app --collection photos`.

What is missing is said here, before anybody visits. Then Voila runs `notebooks/app.py` for each
visitor, in a kernel of its own. How the page looks is in `notebooks/voila`, what the panel does in
`views.panel`.
"""

import argparse
import html
import os
import secrets
import signal
import sys
import tempfile
import threading
import webbrowser
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .settings import PROFILES, Settings, project_root, require


def main() -> int:
    """Make ready and serve; return 0, or 2 if something is missing, or 130 if interrupted."""
    root = project_root()
    if root is None:
        print("The page is not here: run this in a clone of the project", file=sys.stderr)
        return 2
    options, for_voila = _parser().parse_known_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # some shells start it without
    try:
        require("voila", "ipykernel", "pymilvus")
        from .collection.store import ImageStore

        settings = Settings.resolve(
            options.profile, model_name=options.model, collection_name=options.collection
        )
        print("Making ready …", flush=True)
        # In a process of its own, which takes the memory of the model along when it ends.
        quiet = (signal.SIGINT, _end)
        with ProcessPoolExecutor(1, get_context("spawn"), signal.signal, quiet) as child:
            settings = child.submit(_make_ready, settings).result()
        # Open as long as the page is served, or else one visitor's kernel would hold the database
        # for all others.
        with ImageStore(settings.milvus_uri, settings.collection_name) as store:
            print(f"{store.count():,} images in {settings.collection_name}")
            _serve(root / "notebooks" / "app.py", settings, options.host, for_voila)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"The app cannot start: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.app",
        description="Serve the search panel as a page.",
        epilog="Other options are Voila's, such as --port 9000 and --no-browser.",
        allow_abbrev=False,
    )
    parser.add_argument("--profile", choices=["auto", *PROFILES])
    parser.add_argument("--model", metavar="NAME", help="default: the profile's")
    parser.add_argument("--collection", metavar="NAME", help="default: the profile's")
    parser.add_argument("--host", action="append", default=[], help="answer to this name as well")
    return parser


def _end(*_: object) -> None:
    sys.exit(130)


def _make_ready(settings: Settings) -> Settings:
    """Download, draw and ingest what may be; return the settings with which a kernel opens it."""
    from .session import open_collection, prepare

    settings = prepare(settings)
    encoder, store = open_collection(settings)
    store.close()
    return Settings.resolve(
        settings.profile,
        encoder.model_name,
        milvus_uri=settings.milvus_uri,
        collection_name=settings.collection_name,
        data_dir=settings.data_dir,
    )


def _serve(page: Path, settings: Settings, hosts: list[str], options: list[str]) -> None:
    """Serve until Ctrl+C. The environment tells kernels what to open, and Voila how it looks."""
    from jupyter_server.log import log_request  # without tokens
    from tornado.ioloop import IOLoop

    from .visitors import Links, Page

    places = [str(page.parent), os.environ.get("JUPYTER_PATH")]
    os.environ |= {
        "IMAGE_SEARCH_PROFILE": settings.profile,
        "IMAGE_SEARCH_DATA_DIR": str(settings.data_dir),
        "MILVUS_URI": settings.milvus_uri,
        "MODEL_NAME": settings.model_name,
        "COLLECTION_NAME": settings.collection_name,
        "JUPYTER_PATH": os.pathsep.join(filter(None, places)),
    }
    own = {"identity_provider_class": Links, "config_file_paths": [str(page.parent)]}
    voila = Page.instance(token=secrets.token_urlsafe(), **own)
    voila.initialize([str(page), *options])
    names = ["localhost", *map(str.lower, hosts)]
    voila.tornado_settings |= {"local_hostnames": names, "log_function": log_request}
    signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))  # ends it without a traceback
    opens, voila.open_browser = voila.open_browser, False  # without the token it would be in vain
    IOLoop.current().add_callback(lambda: _announce(voila, opens))  # when the port is known
    with tempfile.TemporaryDirectory(prefix="image-search-") as uploads:
        os.environ["UPLOAD_DIR"] = uploads  # of all visitors; a kernel may be killed
        voila.start()


def _announce(voila: Any, opens: bool) -> None:
    """Print the link, and open it by a file: others on this machine see command lines."""
    link = voila.identity_provider.link()
    print(f"\nThe search is at {link}")
    print("Only this machine can open it, and only with this link. Ctrl+C ends it.", flush=True)
    if opens:
        page = Path(voila.connection_dir) / "open.html"
        page.write_text(f"<meta http-equiv='refresh' content='0; url={html.escape(link)}'>")
        threading.Thread(target=webbrowser.open, args=[page.as_uri()], daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
