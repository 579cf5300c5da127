"""Where the executables of `sac_gmm_nodes` come from."""

from importlib.metadata import entry_points


def module_of(executable: str) -> str:
    """The module behind an executable, as the entry points say."""
    (found,) = entry_points(group="console_scripts", name=executable)
    return found.module
