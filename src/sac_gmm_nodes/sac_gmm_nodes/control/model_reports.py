"""What the controller reports of its skill: the model in force, and answers to updates."""

from __future__ import annotations

from typing import Any

from sac_gmm_interfaces.msg import MixtureModel, MixtureUpdate, MixtureUpdateAnswer

from sac_gmm.control import Verdict
from sac_gmm.models import SkillModel
from sac_gmm_nodes.common.conversions import header, model_message, stamp_of
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.qos import LATCHED, RELIABLE


class ModelReports:
    """The publishers, and counts of the answers.

    Attributes:
        model_id: Of the skill activated last; empty before.
        version: Of the model published last.

    Args:
        node: The controller.
        frame_id: The base frame.
    """

    def __init__(self, node: BaseNode, frame_id: str) -> None:
        self._frame_id = frame_id
        self._model = node.create_publisher(MixtureModel, "model", LATCHED)
        self._answers = node.create_publisher(MixtureUpdateAnswer, "model_update_answer", RELIABLE)
        self.model_id = ""
        self.version = 0
        self._accepted = self._refused = 0
        self._last_refusal = ""

    def publish_model(self, model: SkillModel, model_id: str, version: int, stamp_ns: int) -> None:
        """Publish the active model."""
        self.model_id, self.version = model_id, version
        self._model.publish(model_message(model, model_id, version, header(stamp_of(stamp_ns), self._frame_id)))

    def answer(self, update: MixtureUpdate, verdict: Verdict, tick: int) -> None:
        """Answer an update."""
        self._accepted += verdict.accepted
        self._refused += not verdict.accepted
        if not verdict.accepted:
            self._last_refusal = f"{verdict.answer.name}: {verdict.text}"
        self._answers.publish(
            MixtureUpdateAnswer(
                header=update.header,
                model_id=update.model_id,
                base_version=update.base_version,
                new_version=update.new_version,
                episode_id=update.episode_id,
                decision=update.decision,
                accepted=verdict.accepted,
                reason=int(verdict.answer),
                text=verdict.text,
                tick=tick,
            )
        )

    @property
    def diagnostics(self) -> dict[str, Any]:
        """Model and updates, for the diagnostics."""
        return {
            "model_id": self.model_id,
            "model_version": self.version,
            "updates_accepted": self._accepted,
            "updates_refused": self._refused,
            "last_refusal": self._last_refusal,
        }
