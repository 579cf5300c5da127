"""The exception whose message is written for the user."""


class UserError(Exception):
    """Something that the user can correct. The message says which file or field, what was expected and what to do.

    Commands and nodes print the message alone, without a traceback, and exit with a code other than 0.
    """
