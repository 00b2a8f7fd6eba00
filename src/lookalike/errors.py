"""The ways a command can end badly, each with the exit code that scripts see."""


class LookalikeError(Exception):
    """A problem told to the user in one line: what is wrong, and what to do about it."""

    exit_code = 1


class UsageError(LookalikeError, ValueError):
    """The command asks for something that cannot be: an unknown option, a missing folder."""

    exit_code = 2


class DataError(LookalikeError):
    """The images are the problem: none found, or too many that cannot be read."""

    exit_code = 3


class TrainingError(LookalikeError):
    """Training went wrong in itself: representations collapsed, or a loss is not finite."""

    exit_code = 4


class PreemptedError(LookalikeError):
    """A signal asked the run to stop; its state is saved, and the same command goes on."""

    exit_code = 75
