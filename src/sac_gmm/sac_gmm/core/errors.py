"""The one exception that is written for a person."""


class UserError(Exception):
    """Something the user can put right. The message says which file or field, what was expected and what to do.

    Commands and nodes print the message alone, without a traceback, and exit with a code other than 0.
    """
