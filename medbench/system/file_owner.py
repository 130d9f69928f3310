"""Whether somebody else could have put a file where it lies, or put another in its place.

A file of weights is trusted for its hash; that only its user and root can write where it lies is the second lock.
Folders that a group writes together are usual in a lab, and pass.
"""

import os
import pwd
import stat
from pathlib import Path
from shlex import quote

from medbench.core.errors import UserError


def require_trusted(path: Path) -> None:
    """Refuses a file of another user, in another user's folder, or at a place that everybody can write.

    Root's files are as good as the user's, and a folder with a sticky bit, as /tmp has it, is no such place.

    Raises:
        UserError: the first such file or folder, and what to do.
        OSError: the file does not exist.
    """
    file = Path(path).resolve(strict=True)
    for place in (file, *file.parents, *Path(path).absolute().parents):
        mode = place.stat().st_mode
        is_sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX
        if mode & stat.S_IWOTH and not is_sticky:
            raise UserError(
                f"{path}: everybody can write {place}: chmod o-w {quote(str(place))}, or copy the file to a folder that"
                " you alone can write and give its path"
            )
    for place in (file, file.parent):
        owner = place.stat().st_uid
        if owner not in (0, os.geteuid()):
            raise UserError(
                f"{path}: {place} belongs to {_name(owner)}, who may change it: copy the file to a folder of your own"
                " and give its path"
            )


def _name(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"
