"""The methods by name: those of the package, and your own in files listed in SAC_GMM_METHODS."""

from __future__ import annotations

import importlib
import os
from functools import cache
from pathlib import Path

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import load_module
from sac_gmm.methods.method import Method

OWN_METHODS = "SAC_GMM_METHODS"  # environment variable: Python files, separated as in PATH

# Name of a method -> where its value is defined. A new method needs one line here, and a folder.
METHODS = {
    "gmm": "sac_gmm.methods.baselines.method:GMM",
    "random_gmm": "sac_gmm.methods.baselines.method:RANDOM_GMM",
    "spiral_gmm": "sac_gmm.methods.baselines.method:SPIRAL_GMM",
    "sac": "sac_gmm.methods.baselines.method:SAC",
    "residual_gmm": "sac_gmm.methods.baselines.method:RESIDUAL_GMM",
    "residual_gmm_paper": "sac_gmm.methods.baselines.method:RESIDUAL_GMM_PAPER",
    "sac_gmm": "sac_gmm.methods.sac_gmm.method:SAC_GMM",
}


UNNAMED = "sac_gmm"  # the method of runs that do not name one, such as those of `sac-gmm demo`


def method(name: str) -> Method:
    """A method by its name.

    Raises:
        UserError: There is none of that name.
    """
    if name in METHODS:
        return _of_the_package(name)
    if name in own_methods():
        return own_methods()[name][0]
    raise UserError(f"there is no method '{name}'; choose one of: {', '.join(method_names())}")


def _of_the_package(name: str) -> Method:
    module, _, value = METHODS[name].partition(":")
    found: Method = getattr(importlib.import_module(module), value)
    return found


def method_names() -> list[str]:
    """All names, the package's own first."""
    return [*METHODS, *own_methods()]


def own_folder(name: str) -> Path | None:
    """Folder of the file that defines a user's method; None for the package's own."""
    return own_methods()[name][1] if name in own_methods() else None


@cache
def own_methods() -> dict[str, tuple[Method, Path]]:
    """The methods in the files listed in the environment variable, each with the folder of its file.

    Child processes inherit the environment, and with it the methods.

    Raises:
        UserError: A file is missing, fails to import or has no method, or the name of its method is taken.
    """
    found: dict[str, tuple[Method, Path]] = {}
    for file in filter(None, os.environ.get(OWN_METHODS, "").split(os.pathsep)):
        module = load_module(Path(file), "sac_gmm_method", OWN_METHODS)
        values = [value for value in vars(module).values() if isinstance(value, Method)]
        # Methods that a file imports from the package are not its own.
        own = [value for value in values if value.name not in METHODS or value is not _of_the_package(value.name)]
        if not own:
            raise UserError(f"{file} holds no method: expected a value of sac_gmm.methods.Method")
        for value in own:
            if value.name in METHODS or value.name in found:
                raise UserError(f"{file}: there is a method '{value.name}' already: give this one another name")
            found[value.name] = value, Path(file).resolve().parent
    return found
