"""`prepare`: make the images and the model's weights of a profile be there, or choose the demo."""

import html

from IPython.display import HTML, display

from .datasets import fetch_tutorial_images
from .drawings import draw_demo_images
from .encoder import checkpoint_path
from .settings import Settings, remember_profile, remembered_profile

__all__ = ["prepare"]


def prepare(settings: Settings, again: bool = False) -> Settings:
    """Fetch or draw the images, and fetch the weights, where they are not there yet.

    A folder of images given as a parameter is yours and is left as it is.

    Parameters
    ----------
    settings : Settings
    again : bool
        With the profile "auto": try the tutorial once more, whatever was prepared before. This
        is what `01_setup` does.

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
    undecided = settings.auto and (again or not remembered_profile(settings.data_dir))
    if undecided:
        settings = settings.switch("tutorial")
    try:
        _fetch(settings)
    except ConnectionError as error:
        if not undecided or settings.given("image_dir"):
            raise
        settings = settings.switch("demo")
        _fetch(settings)
        _show_banner(
            "<b>This is the demo.</b> The tutorial's photos and OpenAI's CLIP could not be "
            "downloaded, so this run uses drawings made on this machine and a tiny CLIP trained "
            "on such drawings. Its answers are real, but it knows nothing else; run this "
            "notebook again with a network to get the tutorial."
            f"<br><small>{html.escape(str(error))}</small>"
        )
    if undecided or again:
        remember_profile(settings)
    if settings.model_name == "tiny" and settings.given("image_dir"):
        _show_banner(
            "<b>These are not CLIP's answers.</b> The tiny model knows only this project's "
            "drawings; on other images it shows that everything runs, and nothing more."
        )
    return settings


def _fetch(settings: Settings) -> None:
    folder = settings.data_dir / settings.profile
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint_path(settings.model_name)
    if settings.given("image_dir"):
        return
    if settings.profile == "demo":
        draw_demo_images(settings.image_dir)
    else:
        fetch_tutorial_images(folder)


def _show_banner(message: str) -> None:
    style = "border-left:5px solid #e08a00;background:#e08a0022;padding:8px 12px"
    display(HTML(f"<div style='{style}'>{message}</div>"))
