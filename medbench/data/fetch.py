"""The fetch stage: a file from the net, verified before it is there under its name."""

from pathlib import Path

import pooch
from requests import RequestException

from medbench.errors import UserError


def fetch(url: str, output: Path, sha256: str) -> None:
    """Downloads `url` to `output`; a file that is there already with the right hash is kept.

    Raises:
        UserError: the host cannot be reached, or what it sent has another sha256; nothing is left at `output`.
    """
    try:
        pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=output.name, path=output.parent)
    except ValueError as error:
        raise UserError(f"{url}: what was downloaded does not have sha256 {sha256} (was the file replaced?)") from error
    except (RequestException, OSError) as error:
        raise UserError(
            f"{url}: cannot be downloaded ({type(error).__name__}); get the file yourself and put it at {output}"
        ) from error
