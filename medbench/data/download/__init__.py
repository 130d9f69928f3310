"""Published files: fetched once, resumed after a break, proved before they are used."""

from medbench.data.download.network import Network
from medbench.data.download.one_file import obtain

__all__ = ["Network", "obtain"]
