import pytest

from helpers.images.leftovers import leftover


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("@eaDir", "leftovers of a NAS"),
        ("#recycle", "a recycle bin"),
        ("$RECYCLE.BIN", "a recycle bin"),
        (".Trash-1000", "a recycle bin"),
        ("__MACOSX", "leftovers of an operating system"),
        ("PaxHeaders.1234", "leftovers of an operating system"),
        ("FOUND.000", "leftovers of an operating system"),
        ("My Catalog Previews.lrdata", "thumbnails of another program"),
    ],
)
def test_a_folder_is_known_as_a_leftover_in_any_case(name, what):
    for written in (name, name.upper(), name.lower()):
        assert leftover(written, "photos", is_folder=True) == what


@pytest.mark.parametrize("name", ["2019", "eaDir", "recycling", "#summer", "@home", "found.photos"])
def test_a_folder_with_a_similar_name_is_none(name):
    assert leftover(name, "photos", is_folder=True) == ""


def test_files_are_known_by_names_of_their_own():
    assert leftover("._IMG_1.jpg", "photos", is_folder=False)
    assert leftover(".trashed-1700000000-IMG_1.jpg", "photos", is_folder=False) == "a recycle bin"
    assert leftover("SYNOPHOTO_THUMB_XL.jpg", "IMG_1.jpg", is_folder=False)
    for name in ("IMG_1.jpg", "@eaDir", "_IMG.jpg"):
        assert leftover(name, "photos", is_folder=False) == ""


def test_of_apples_library_only_the_originals_are_the_owners():
    library = "Photos Library.photoslibrary"
    for name in ("originals", "Masters"):
        assert leftover(name, library, is_folder=True) == ""
    for name in ("resources", "database", "Thumbnails"):
        assert leftover(name, library, is_folder=True) == "thumbnails of another program"
    assert leftover("resources", "photos", is_folder=True) == ""
