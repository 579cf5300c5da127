"""The exception whose message is written for the user."""


class UserError(Exception):
    """An error that the user can correct. The message says which file or field, what was expected and what to do.

    Commands and nodes print only the message, without a traceback, and exit with a non-zero code.
    """
