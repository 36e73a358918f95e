"""Who may see the page that `app` serves: a browser that opened its link, by a known host name.

Browsers keep the address of a link in their history, a redirected one too. So a link opens one
browser, which gets a cookie, and then there is another link.
"""

import secrets
from urllib.parse import urlencode

from jupyter_server.auth.identity import PasswordIdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import Finish, HTTPError, RequestHandler
from voila.app import Voila
from voila.handler import VoilaHandler


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
        self.finish(page.render(failed=status_code >= 500))


class Page(Voila):
    """Voila for those who have a link."""

    def init_handlers(self) -> list:
        """Return the handlers, guarded."""
        return [
            (path, type(handler.__name__, (_Guarded, handler), {}), *options)
            for path, handler, *options in super().init_handlers()
        ]
