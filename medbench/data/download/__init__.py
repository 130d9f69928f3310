"""Published files: fetched once, resumed after a break, proved before they are used."""

from medbench.data.download.network import Network
from medbench.data.download.one_file import PLACED, alone, obtain
from medbench.data.download.verify import mismatch

__all__ = ["PLACED", "Network", "alone", "mismatch", "obtain"]
