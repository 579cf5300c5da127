"""The state of a scene as bytes: its own memory as JSON, followed by the state of its physics engine.

JSON keeps every float64 to the last bit. A checksum precedes the content, so a damaged state is rejected.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from sac_gmm.core.errors import UserError

_MAGIC = b"sac_gmm/scene_state 1\n"
_DIGEST, _LENGTH = hashlib.sha256().digest_size, 8


def pack(memory: dict[str, Any], engine: bytes) -> bytes:
    """Pack a scene's memory and its engine's state into bytes.

    Args:
        memory: Numbers, texts, lists, dictionaries and arrays; arrays come back as lists.
        engine: State from the physics engine; may be empty.
    """
    text = json.dumps(memory, default=_plain).encode()
    body = len(text).to_bytes(_LENGTH, "little") + text + engine
    return _MAGIC + hashlib.sha256(body).digest() + body


def unpack(state: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the memory and the engine state from bytes that `pack` made.

    Raises:
        UserError: The bytes are not such a state, or are damaged.
    """
    digest, body = state[len(_MAGIC) :][:_DIGEST], state[len(_MAGIC) + _DIGEST :]
    if not state.startswith(_MAGIC):
        raise UserError("these bytes are no state of a scene: expected what `save_state` gave")
    if hashlib.sha256(body).digest() != digest:
        raise UserError("the state of the scene is damaged (its checksum is wrong): save it again")
    end = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
    return json.loads(body[_LENGTH:end]), body[end:]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a scene's memory holds numbers, texts, lists and arrays, not {type(value).__name__}")
