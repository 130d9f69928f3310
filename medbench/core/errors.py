"""The two ways in which a verb ends early, and how an error says where it lies and what is wrong."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class UserError(Exception):
    """A mistake that a user can mend: one line that says what is wrong, where, and what to do (exit code 2)."""


class Interrupted(BaseException):
    """SIGTERM or SIGINT arrived; everything needed to go on has been saved (exit code 128 + signal).

    Not an Exception, like KeyboardInterrupt: other packages' `except Exception` must not swallow it.
    """

    def __init__(self, signal_number: int, message: str):
        super().__init__(message)
        self.signal_number = signal_number


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Within it, an error says where it lies."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def first_problem(problems: Mapping[str, bool]) -> str | None:
    """The first that holds."""
    return next((problem for problem, holds in problems.items() if holds), None)


def spelled_shape(shape: tuple[int, ...]) -> str:
    """
    >>> spelled_shape((28, 28, 3))
    '28×28×3'
    """
    return "×".join(map(str, shape)) or "()"
