"""`prepare`: make the images and the model's weights of a profile be there, or choose the demo."""

import html

from IPython.display import HTML, display

from .demo.drawings import draw_demo_images
from .images.tutorial import fetch_tutorial_images
from .models.encoder import fetch
from .settings import Settings, remember_profile, remembered_profile

__all__ = ["prepare"]


def prepare(settings: Settings, again: bool = False, images: bool = True) -> Settings:
    """Fetch or draw the images, and fetch the weights, where they are not there yet.

    A folder of images given as a parameter is yours and is left as it is.

    Parameters
    ----------
    settings : Settings
    again : bool
        With the profile "auto": try the tutorial once more, whatever was prepared before. This
        is what `01_setup` does.
    images : bool
        False where the model is enough: to search a collection that is filled already.

    Returns
    -------
    Settings
        The same; or, with the profile "auto" and no network, those of the demo, with a banner
        that says so.

    Raises
    ------
    ConnectionError
        If something cannot be downloaded and the profile is not "auto", or the images are your
        own (the demo's model knows only its drawings).
    """
    own_images = settings.given("image_dir") and not settings.given("model_name")
    remembered = remembered_profile(settings.data_dir)
    undecided = settings.auto and (again or own_images or not remembered)
    if undecided:
        settings = settings.switch("tutorial")
    try:
        _fetch(settings, images)
    except ConnectionError as error:
        if not undecided or settings.given("image_dir"):
            raise
        settings = settings.switch("demo")
        _fetch(settings, images)
        _show_banner(
            "<b>This is the demo.</b> The tutorial's photos and OpenAI's CLIP could not be "
            "downloaded, so this run uses drawings made on this machine and a tiny CLIP trained "
            "on such drawings. Its answers are real, but it knows nothing else; run "
            "01_setup again with a network to get the tutorial."
            f"<br><small>{html.escape(str(error))}</small>"
        )
    if undecided or again:
        remember_profile(settings)
    drawings = settings.profile == "demo" and not settings.given("image_dir")
    if settings.model_name == "tiny" and not drawings:
        _show_banner(
            "<b>These are not CLIP's answers.</b> The tiny model knows only this project's "
            "drawings; on other images it shows that everything runs, and nothing more."
        )
    return settings


def _fetch(settings: Settings, images: bool) -> None:
    folder = settings.data_dir / settings.profile
    folder.mkdir(parents=True, exist_ok=True)
    fetch(settings.model_name)
    if settings.given("image_dir") or not images:
        return
    if settings.profile == "demo":
        draw_demo_images(settings.image_dir)
    else:
        fetch_tutorial_images(folder)


def _show_banner(message: str) -> None:
    style = "border-left:5px solid #e08a00;background:#e08a0022;padding:8px 12px"
    display(HTML(f"<div style='{style}'>{message}</div>"))
