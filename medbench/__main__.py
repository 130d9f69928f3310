"""`python -m medbench`, the same as `medbench`."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the imports, too, without a traceback

from medbench.cli import main  # noqa: E402

main()
