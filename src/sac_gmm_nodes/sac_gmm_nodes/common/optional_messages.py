"""Message classes by type name, including those of packages that may not be installed."""

from __future__ import annotations

import importlib
from typing import Any

from sac_gmm.core.errors import UserError


def message_type(kind: str) -> Any:
    """The class of a message type, for example sensor_msgs/msg/Image.

    Raises:
        UserError: It is not installed.
    """
    try:
        package, _, name = kind.split("/")
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"there is no message type {kind} here: expected one like sensor_msgs/msg/Image") from error


def _optional(kind: str) -> Any:
    """The class of a message type; None if its package is not installed."""
    try:
        return message_type(kind)
    except UserError:
        return None


# Installed on a robot's machine; other machines may lack them.
LBRState = _optional("lbr_fri_idl/msg/LBRState")
LBRJointPositionCommand = _optional("lbr_fri_idl/msg/LBRJointPositionCommand")
TFMessage = _optional("tf2_msgs/msg/TFMessage")
