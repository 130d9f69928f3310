"""What a verb cost: time and peak memory, as the last line of its log."""

import resource
import sys
import time

STARTED = time.monotonic()


def report_usage(*results: object, **options: object) -> None:
    """Prints seconds since the process began to work, and its peak memory (and the GPU's, where it used one)."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    line = f"medbench: done in {time.monotonic() - STARTED:.1f} s, peak memory {kilobytes / 1024:.0f} MiB"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        line += f", on the GPU {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB"
    print(line, file=sys.stderr)
