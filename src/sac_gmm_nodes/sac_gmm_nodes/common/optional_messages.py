"""Message types of a robot's machine that other machines may lack: each is None where its package is not installed."""

from __future__ import annotations

import importlib
from typing import Any


def _message(package: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except ImportError:
        return None


LBRState = _message("lbr_fri_idl", "LBRState")
LBRJointPositionCommand = _message("lbr_fri_idl", "LBRJointPositionCommand")
TFMessage = _message("tf2_msgs", "TFMessage")
