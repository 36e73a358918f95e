"""What NAS makers, operating systems and programs leave in folders of photos: none of it is yours.

To add a kind, add a pattern of its name, in lower case.
"""

import re
from fnmatch import fnmatchcase, translate
from itertools import pairwise

_NAS, _BIN = "leftovers of a NAS", "a recycle bin"
_THUMBNAILS = "thumbnails of another program"
_SYSTEM = "leftovers of an operating system"
_SYNCED = "old versions of a program that keeps folders in step"

_FOLDERS = {
    "@eadir": _NAS,  # Synology
    "@tmp": _NAS,
    "@sharebin": _NAS,
    "#recycle": _BIN,
    "#snapshot": _NAS,
    "@recycle": _BIN,  # QNAP
    "@recently-snapshot": _NAS,
    ".@__thumb": _NAS,
    "@__thumb": _NAS,
    ".@upload_cache": _NAS,
    "@snapshots": _NAS,
    ".snapshot": _NAS,  # NetApp
    ".snapshots": _NAS,
    ".zfs": _NAS,
    ".recycle": _BIN,  # Samba's, as on Unraid and TrueNAS
    ".wdmc": _NAS,  # Western Digital
    ".mediaartlocal": _NAS,
    "$recycle.bin": _BIN,
    "recycler": _BIN,
    "recycled": _BIN,
    "system volume information": _SYSTEM,
    "found.[0-9][0-9][0-9]": _SYSTEM,  # pieces that Windows found on a broken disk
    "lost+found": _SYSTEM,
    "lost.dir": _SYSTEM,  # Android
    ".trash": _BIN,
    ".trashes": _BIN,
    ".trash-*": _BIN,
    ".dtrash": _BIN,  # digiKam
    ".globaltrash": _BIN,
    ".trashed*": _BIN,
    ".thumbnails": _THUMBNAILS,
    ".thumbdata*": _THUMBNAILS,
    ".xvpics": _THUMBNAILS,
    ".pics": _THUMBNAILS,
    ".comments": _SYSTEM,
    "__macosx": _SYSTEM,
    ".appledouble": _SYSTEM,
    ".temporaryitems": _SYSTEM,
    "network trash folder": _BIN,
    "temporary items": _SYSTEM,
    ".documentrevisions-v100": _SYSTEM,
    "paxheader": _SYSTEM,  # of an archive, unpacked by a program that does not know it
    "paxheaders": _SYSTEM,
    "paxheaders.*": _SYSTEM,
    "ipod photo cache": _THUMBNAILS,
    "*.lrdata": _THUMBNAILS,  # Lightroom's previews
    ".stversions": _SYNCED,  # Syncthing
    ".sync": _SYNCED,  # Resilio
    ".dropbox.cache": _SYNCED,
    ".tmp.drivedownload": _SYNCED,
    ".tmp.driveupload": _SYNCED,
}
_FILES = {
    "._*": _SYSTEM,  # what macOS could not put anywhere else
    "~$*": _SYSTEM,
    ".trashed-*": _BIN,  # Android
    ".pending-*": _SYSTEM,
    "synophoto_thumb_*": _NAS,
    "synofile_thumb_*": _NAS,
    "zbthumbnail.info": _THUMBNAILS,
}
_ANY = {
    True: re.compile("|".join(map(translate, _FOLDERS))),
    False: re.compile("|".join(map(translate, _FILES))),
}
_PHOTOS_LIBRARY = (".photoslibrary", ".photolibrary", ".aplibrary", ".migratedphotolibrary")
_ORIGINALS = ("originals", "masters")


def leftover(name: str, parent: str, is_folder: bool) -> str:
    """Return what a file or folder is a leftover of, by its name; empty if it is none.

    Of a library of Apple Photos (`parent`) only the folder of the originals is the owner's.
    """
    name = name.casefold()
    if is_folder and parent.casefold().endswith(_PHOTOS_LIBRARY):
        return "" if name in _ORIGINALS else _THUMBNAILS
    if not _ANY[is_folder].match(name):
        return ""
    patterns = _FOLDERS if is_folder else _FILES
    return next(what for pattern, what in patterns.items() if fnmatchcase(name, pattern))


def lies_in_leftovers(filepath: str) -> bool:
    """Return whether a file is a leftover, or in a folder of leftovers."""
    *folders, name = filepath.split("/")
    inside = any(leftover(each, parent, True) for parent, each in pairwise(["", *folders]))
    return inside or bool(leftover(name, "", False))
