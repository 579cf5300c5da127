"""Print the lock: every installed distribution as `name==version`, one per line.

`pip freeze` is not enough here: the ROS 2 wheels carry egg-info folders (`rclpy`, `std_msgs`, …) that it lists as if
they were packages to install, and it freezes a CPU build of torch as `2.13.0+cpu`, which few machines can find.
"""

from __future__ import annotations

import importlib.metadata
import re

X86_64_ONLY = {"embreex", "mediapipe"}  # other machines have no wheels of them


def main() -> None:
    """Write the lock to standard output."""
    pins = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        came_with_a_wheel = distribution.read_text("INSTALLER") is None
        if name != "pip" and not came_with_a_wheel:
            pins[name] = distribution.version.split("+")[0]
    print("# The lock: every package of .venv with its exact version, installed by `make setup`.")
    print("# Made from requirements.in, which says how to renew it.")
    for name in sorted(pins):
        where = ' ; platform_machine == "x86_64"' if name in X86_64_ONLY else ""
        print(f"{name}=={pins[name]}{where}")


if __name__ == "__main__":
    main()
