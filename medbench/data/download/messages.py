"""What is said about a file that cannot be had, and how to bring it by hand."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.download.failures import Refused
from medbench.data.remote import Remote

MIB = 2**20
REBUILT = "if its publisher has rebuilt it, go on with it by accept: changed in its dataset's section"
NO_NETWORK = "without a network set MEDBENCH_OFFLINE=1, or set MEDBENCH_MIRROR to a copy that can be reached"


def say(text: str) -> None:
    """One line of the log."""
    print(f"medbench: {text}", file=sys.stderr, flush=True)


def shown(address: str) -> str:
    """An address without the user name and password that it may hold."""
    return re.sub(r"^(\w+://)[^/]*@", r"\1", address)


def nothing_to_download(remote: Remote, offline: bool) -> UserError:
    """The file is not here, and no address may be asked or is known."""
    why = "nothing is downloaded offline" if offline and remote.urls else "it is published under no direct address"
    return UserError(f"{remote.path}: is not here, and {why}; {_by_hand(remote)}")


def all_failed(remote: Remote, reasons: Sequence[tuple[str, Refused]]) -> UserError:
    """`reasons`: each address with why it gave no file."""
    tried = "; ".join(f"{address} ({refusal})" for address, refusal in reasons)
    advice = dict.fromkeys(refusal.advice for _, refusal in reasons if refusal.advice)
    return UserError("; ".join([f"{remote.path}: cannot be had from {tried}", _by_hand(remote), *advice]))


def wrong_file(remote: Remote, wrong: str) -> UserError:
    """What lies at the file's place is not the file."""
    advice = [f"{remote.path}: {wrong}; move it away and run again, or {_by_hand(remote)}", rebuilt(remote)]
    return UserError("; ".join(filter(None, advice)))


def rebuilt(remote: Remote) -> str | None:
    """What to do about a file that its publisher has made anew; None: nothing of it is published."""
    return REBUILT if remote.hash or remote.size else None


def no_space(path: Path, needed: int, free: int) -> UserError:
    """Bytes that are missing on the disk, told in MiB."""
    room = f"needs {needed / MIB:.1f} MiB more, and the disk has {free / MIB:.1f} MiB free"
    return UserError(f"{path}: {room}; free some and run again")


def disk_full(path: Path, kept: int) -> UserError:
    """The disk ran full in the middle; `kept` bytes are here."""
    return UserError(f"{path}: the disk is full after {kept / MIB:.1f} MiB, which are kept; free some and run again")


def _by_hand(remote: Remote) -> str:
    where = remote.page or (shown(remote.urls[0]) if remote.urls else None)
    facts = ", ".join(fact for fact in (remote.hash, remote.size and f"{remote.size} bytes") if fact)
    return f"get it {f'from {where}' if where else 'yourself'} and put it there" + (f" ({facts})" if facts else "")
