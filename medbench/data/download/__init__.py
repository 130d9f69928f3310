"""Published files: fetched once, resumed after a break, proved before they are used."""

import os
from collections.abc import Iterable
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.download.network import Network, is_web, shown
from medbench.data.download.transfer import Partial, Refused, from_folder, from_web
from medbench.data.published import Remote
from medbench.run.files import sha256_of, writable
from medbench.run.logs import say

PLACED = "here already"  # in place of the address of a file that was here
REBUILT = "if its publisher has rebuilt it, go on with it by accept: changed in its dataset's section"


def obtain(remote: Remote, network: Network) -> str:
    """Makes `remote.path` exist, verified.

    Returns:
        the address it came from; PLACED where it was there already.

    Raises:
        UserError: what is there is not the file (it is left alone), no address gives it, or the disk is full.
    """
    if remote.path.exists():
        if problem := remote.mismatch(remote.path):
            raise _refusal(remote, f"{problem}; move it away and run again, or", [REBUILT])
        return PLACED
    addresses = network.mirrored(remote)
    if addresses is None:
        addresses = [*_cached(remote), *(() if network.offline else remote.urls)]
    if not addresses:
        why = "nothing is downloaded offline" if remote.urls else "it is published under no direct address"
        raise _refusal(remote, f"is not here, and {why};")
    with writable(remote.path):
        remote.path.parent.mkdir(parents=True, exist_ok=True)
        return _download(addresses, remote, network)


def _cached(remote: Remote) -> list[str]:
    """Where medmnist or torch have already put the very file, by its hash, for this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    checkpoints = os.path.join(os.environ.get("TORCH_HOME") or f"{cache}/torch", "hub/checkpoints")
    paths = [os.path.expanduser(f"{folder}/{remote.file}") for folder in ("~/.medmnist", checkpoints)]
    return [path for path in paths if remote.hash and not remote.mismatch(Path(path))]


def _download(addresses: list[str], remote: Remote, network: Network) -> str:
    """From the first address that gives the file; returns that address."""
    part, refusals = Partial(remote.path), dict[str, Refused]()
    for address in addresses:
        try:
            if is_web(address):
                from_web(address, remote, part, network)
            else:
                from_folder(Path(address), part)
            _prove(remote, part)
            return shown(address)
        except Refused as refusal:
            refusals[shown(address)] = refusal
            if address != addresses[-1]:
                say(f"medbench: {shown(address)}: {refusal}; trying the next address")
    tried = "; ".join(f"{address} ({refusal})" for address, refusal in refusals.items())
    raise _refusal(remote, f"cannot be had from {tried};", (refusal.advice for refusal in refusals.values()))


def _prove(remote: Remote, part: Partial) -> None:
    """Puts a whole file in its place; a wrong one goes to `<file>.wrong-<first 8 digits of its sha256>`."""
    problem, place = remote.mismatch(part.path), remote.path
    if problem:
        place = place.with_name(f"{remote.file}.wrong-{sha256_of(part.path)[:8]}")
    os.replace(part.path, place)
    part.clear()
    if problem:
        raise Refused(f"what it sent {problem}; kept as {place}, not used", REBUILT)


def _refusal(remote: Remote, problem: str, advice: Iterable[str] = ()) -> UserError:
    """A problem, how to get the file by hand, and what else to do about it."""
    where = remote.page or (shown(remote.urls[0]) if remote.urls else None)
    facts = ", ".join(fact for fact in (remote.hash, remote.size and f"{remote.size} bytes") if fact)
    by_hand = f"get it {f'from {where}' if where else 'yourself'} and put it there" + (f" ({facts})" if facts else "")
    # What was never described cannot have been rebuilt.
    more = [text for text in dict.fromkeys(advice) if text and (facts or text != REBUILT)]
    return UserError("; ".join([f"{remote.path}: {problem} {by_hand}", *more]))
