"""The one exception that is meant for a person."""


class SacGmmError(Exception):
    """Something a user can mend. The message says which file or field, what was expected and what to do.

    The command line and the nodes print the message alone, without a traceback, and exit with a code that is not 0.
    """
