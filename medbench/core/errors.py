"""The two ways in which a verb ends early, and how an error spells the shape of an array."""


class UserError(Exception):
    """A mistake that a user can mend: one line that says what is wrong, where, and what to do (exit code 2)."""


class Interrupted(BaseException):
    """SIGTERM or SIGINT arrived; everything needed to go on has been saved (exit code 128 + signal).

    Not an Exception, like KeyboardInterrupt: other packages' `except Exception` must not swallow it.
    """

    def __init__(self, signal_number: int, message: str):
        super().__init__(message)
        self.signal_number = signal_number


def spelled_shape(shape: tuple[int, ...]) -> str:
    """
    >>> spelled_shape((28, 28, 3))
    '28×28×3'
    """
    return "×".join(map(str, shape)) or "()"
