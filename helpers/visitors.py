"""Serve `app`'s page to who may see it: a browser that opened its link, by a known host name.

Browsers keep the address of a link in their history, a redirected one too. So a link opens one
browser, which gets a cookie, and then there is another link.
"""

import html
import os
import secrets
import signal
import tempfile
import threading
import webbrowser
from pathlib import Path
from urllib.parse import urlencode

from jupyter_server.auth.identity import PasswordIdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.log import log_request  # without tokens
from tornado.ioloop import IOLoop
from tornado.web import Finish, HTTPError, RequestHandler
from voila.app import Voila
from voila.handler import VoilaHandler


def serve(page: Path, hosts: list[str], options: list[str]) -> None:
    """Serve until Ctrl+C, by these names as well; the environment tells kernels what to open."""
    looks = [str(page.parent), os.environ.get("JUPYTER_PATH")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, looks))
    own = {"identity_provider_class": Links, "config_file_paths": [str(page.parent)]}
    voila = Page.instance(token=secrets.token_urlsafe(), **own)
    voila.initialize([str(page), *options])
    names = ["localhost", *map(str.lower, hosts)]
    voila.tornado_settings |= {"local_hostnames": names, "log_function": log_request}
    signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))  # ends it without a traceback
    IOLoop.current().add_callback(voila.announce)  # when the port is known
    with tempfile.TemporaryDirectory(prefix="image-search-") as uploads:
        os.environ["UPLOAD_DIR"] = uploads  # of all visitors; a kernel may be killed
        voila.start()


class Links(PasswordIdentityProvider):
    """Knows a browser by its cookie, which it gets for a link and nothing else."""

    login_available = logout_available = False

    def get_token(self, handler: RequestHandler) -> str:
        """Return the token of a link; nothing but the page is opened by one."""
        return handler.get_argument("token", "") if isinstance(handler, VoilaHandler) else ""

    async def get_user(self, handler: RequestHandler) -> User:  # type: ignore[override]
        """Return who asks; send whoever came by the link on to the address without its token.

        Raises
        ------
        tornado.web.HTTPError
            If it is nobody who may see the page.
        """
        token = self.get_token(handler)
        user = await super().get_user(handler)  # type: ignore[misc]
        if user is None:
            raise HTTPError(403)
        if token == self.token:
            self.token = secrets.token_urlsafe()
            print(f"Another browser opens it by {self.link()}", flush=True)
        if token:
            asked = {k: v for k, v in handler.request.query_arguments.items() if k != "token"}
            page = handler.request.path.rpartition("/")[2]
            handler.redirect(f"./{page}{'?' * bool(asked)}{urlencode(asked, doseq=True)}")
            raise Finish
        return user

    def clear_login_cookie(self, handler: RequestHandler) -> None:
        """Leave it: a browser that was let in before a restart is told of that (`write_error`)."""

    def link(self) -> str:
        """Return the address that lets one more browser in."""
        return f"{self.parent.connection_url}?token={self.token}"  # type: ignore[union-attr]


class _Guarded(JupyterHandler):
    """What all handlers have in common, those of static files as well."""

    def check_host(self) -> bool:
        """Return whether the request names this machine, or a host that may be named."""
        return self.request.host_name in self.settings["local_hostnames"] or super().check_host()

    def write_error(self, status_code: int, **_: object) -> None:
        """Answer what cannot be answered with a page that says why."""
        page = self.settings["voila_jinja2_env"].get_template("no-link.html")
        name = self.identity_provider.get_cookie_name(self)
        states = {"was_in": name in self.request.cookies, "is_in": self.get_secure_cookie(name)}
        self.finish(page.render(failed=status_code >= 500, home=self.base_url, **states))


class Page(Voila):
    """Voila for those who have a link."""

    def init_handlers(self) -> list:
        """Return the handlers, guarded."""
        return [
            (path, type(handler.__name__, (_Guarded, handler), {}), *options)
            for path, handler, *options in super().init_handlers()
        ]

    def announce(self) -> None:
        """Print the link."""
        print(f"\nThe search is at {self.identity_provider.link()}")
        print("Only this machine can open it, and only with this link. Ctrl+C ends it.", flush=True)

    def launch_browser(self) -> None:
        """Open the link by a file: others on this machine see command lines."""
        page, link = Path(self.connection_dir) / "open.html", self.identity_provider.link()
        page.write_text(f"<meta http-equiv='refresh' content='0; url={html.escape(link)}'>")
        threading.Thread(target=webbrowser.open, args=[page.as_uri()], daemon=True).start()
