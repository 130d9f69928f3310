"""The two ways in which a verb ends early."""


class UserError(Exception):
    """A mistake that a user can mend: one line that says what is wrong, where, and what to do (exit code 2)."""


class Interrupted(Exception):
    """SIGTERM or SIGINT arrived; everything needed to go on has been saved (exit code 128 + signal)."""

    def __init__(self, signal_number: int, message: str):
        super().__init__(message)
        self.signal_number = signal_number
