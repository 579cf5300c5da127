"""docs/robot.md speaks of files, arguments, parameters and reasons that exist."""

import re
from pathlib import Path

import yaml

from sac_gmm.control import Limit, Reason, remedy
from sac_gmm.control.joint_limits import JointSettings
from sac_gmm.control.lbr_state import LbrSettings
from sac_gmm_nodes.simulation.simulated_lbr import FAULTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "robot.md").read_text()


def test_every_file_it_names_exists():
    named = set(re.findall(r"`((?:config|launch)/[\w.]+)`", TEXT))
    assert {"config/robot.yaml", "config/lbr_controllers.yaml"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_reason_in_its_tables_has_a_remedy():
    reasons = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", TEXT))
    assert {"SESSION_LOST", "SAFETY_STOP", "POOR_CONNECTION", "POOR_TRACKING", "DRIVES_OFF"} <= reasons
    assert all(remedy(Reason[name], Limit.NONE) for name in reasons)


def test_every_parameter_it_names_is_in_a_configuration_file_or_the_code():
    known = set(JointSettings.__dataclass_fields__) | set(LbrSettings.__dataclass_fields__)
    for path in (ROOT / "config").glob("*.yaml"):
        for node in yaml.safe_load(path.read_text()).values():
            known |= set(node["ros__parameters"])
    for name in ("tip_offset_m", "twist_gain", "response_s", "joint_margin_rad", "recovery_s", "realtime_priority"):
        assert f"`{name}`" in TEXT and name in known


def test_it_names_every_fault_of_the_simulated_robot():
    assert [fault for fault in FAULTS if f"`{fault}`" not in TEXT] == []
