"""The stage `fetch`: a published file is here, proved, and unpacked if it is an archive; a record says so."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError
from medbench.data.archive import extract
from medbench.data.download.network import Network, is_web, shown
from medbench.data.download.transfer import Partial, Refused, from_folder, from_web
from medbench.data.fetched import Fetched, is_whole, read_manifest, write_manifest
from medbench.data.published import Note, Remote
from medbench.run.files import remove_all_stale, replacing, sha256_of, writable
from medbench.run.logs import say
from medbench.system.folder_lock import in_turn

PLACED = "here already"  # in place of the address of a file that was here
REBUILT = "if its publisher has rebuilt it, go on with it by accept: changed in its dataset's section"


class Provenance(Note):
    """Where a file came from, in `<file>.from.json`: the record is deleted before each new fetch, this is not."""

    address: str
    sha256: str  # of the file that came from there


def fetch(remote: Remote, accept_changed: bool, network: Network) -> Fetched:
    """Downloads a file, or finds it where a user has put it, and writes its record.

    One process does all of it; another that wants the same file waits, and finds it fetched and unpacked. With
    `accept_changed` it may have another hash or size than the published one.

    Raises:
        UserError: it cannot be had, is not what it should be, is an archive that is not safe to unpack, or a folder
            lies where it would be unpacked.
    """
    with in_turn(remote.path):
        _remove_leftovers(remote)
        wanted = remote.model_copy(update={"hash": None, "size": None}) if accept_changed else remote
        address = obtain(wanted, network)
        problem = remote.mismatch(remote.path) if accept_changed else None  # else it was proved on its way
        proof = None if problem else remote.hash
        algorithm, _, digits = (proof or "").partition(":")
        sha256 = digits if algorithm == "sha256" else sha256_of(remote.path)
        record = Fetched(
            file=remote.file,
            size=remote.path.stat().st_size,
            sha256=sha256,
            address=_first_address(remote, address, sha256),
            proved_by=proof,
            differs=f"{remote.file} {problem}" if problem else None,
            **(_unpacked(remote, sha256) if remote.extract else {}),
        )
        record.write(remote.record)
    return record


def _remove_leftovers(remote: Remote) -> None:
    """Removes what a killed process left half written, and nothing that a user has put here."""
    if remote.extract and remote.folder.exists() and not remote.manifest.is_file():
        raise UserError(
            f"{remote.folder}: is in the way: {remote.file} is unpacked there, and without {remote.manifest.name}"
            " beside it this may be a folder of yours; move it away and run again"
        )
    remove_all_stale(remote.path.parent)


def _first_address(remote: Remote, address: str, sha256: str) -> str:
    """Where the file with this hash came from: just now, or else as noted when it came."""
    if address != PLACED:
        Provenance(address=address, sha256=sha256).write(remote.provenance)
        return address
    provenance = Provenance.read(remote.provenance)  # None: a user has put the file there
    return provenance.address if provenance and provenance.sha256 == sha256 else PLACED


def _unpacked(remote: Remote, sha256: str) -> dict[str, Any]:
    """Unpacks the archive, unless that was done before and nothing has changed since."""
    if not is_whole(remote, sha256):
        with replacing(remote.folder) as folder:
            extract(remote.path, folder)
            write_manifest(remote, folder, sha256)  # first: a folder never lies here without one
    return {"members": len(read_manifest(remote).files), "manifest": sha256_of(remote.manifest)}


# From where it can be had: resumed after a break, proved before it is used --------------------------------------


def obtain(remote: Remote, network: Network) -> str:
    """Makes `remote.path` exist, verified. Returns the address it came from, or PLACED where it was there already.

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
