"""Shows a training run from its folder, without ROS: its growing log, and episodes of its newest policy.

The run may still be in progress: new lines in the log appear, and a newly written policy is played next.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.control import SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.core.files import read_json
from sac_gmm.models import load_model
from sac_gmm.perception.pictures import sensor_picture
from sac_gmm.tasks import Task, task_class
from sac_gmm.view.collector import Collector, workspace
from sac_gmm.view.demonstrations import relative_paths
from sac_gmm.view.episode_log import ShownLog
from sac_gmm.view.playback import InterruptedPlaybackError, Playback
from sac_gmm.view.robot import iiwa_urdf
from sac_gmm.view.snapshot import EpisodeRow, Snapshot, Status

if TYPE_CHECKING:  # they load torch, which takes seconds, and the page should open first
    from sac_gmm.methods import Decoder, MacroEnv
    from sac_gmm.methods.episodes import Act

State = dict[str, NDArray[np.float64]]

_LOG_S = 0.5  # between two reads of the log
_PICTURE_STEPS = 6  # control steps per picture
_AGAIN = 10  # number of the log's last episodes that are played in turn
_REST_S = 1.5  # between two episodes
_RATE_HZ = 30.0  # control steps per second


class RunSource:
    """Follows a run of `sac-gmm train` or `sac-gmm demo`, and plays its episodes.

    Args:
        folder: The run's `config.json`, `skill.npz`, `episodes.jsonl` and, once it exists, `policy.bin`.
        demonstrations: Folder with one folder of bags per task; if missing, none are shown.

    Raises:
        UserError: The folder holds no run, or one of its files cannot be read.
    """

    def __init__(self, folder: Path, demonstrations: Path = Path("demos")) -> None:
        config = read_json(folder / "config.json")
        if not isinstance(config, dict) or "task" not in config:
            raise UserError(f"{folder / 'config.json'} names no task: is {folder} the folder of a run?")
        self._folder, self._config, self._task = folder, config, str(config["task"])
        base = load_model(folder / "skill.npz")
        limits = SafetyLimits()
        self.title = f"training run {folder}, task {self._task}"
        self.urdf = iiwa_urdf(self._task)
        self.controls = Playback("the episode")
        self._log = ShownLog(folder / "episodes.jsonl", 1 / _RATE_HZ)
        self._log.read()
        self._collector = Collector(
            base=base,
            current=base,
            workspace_m=workspace(limits.workspace_min_m, limits.workspace_max_m),
            demonstrations=relative_paths(demonstrations / task_class(self._task).demonstrations_folder()),
            status=Status("starting", "loading the policy and the simulation"),
            episodes=self._log.rows,
        )
        self._base = base
        self._stepped_s = 0.0  # end of the last control step
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._follow, self._play)]
        for thread in self._threads:
            thread.start()

    def snapshot(self) -> Snapshot:
        """What is visible now."""
        return self.controls.marked(self._collector.snapshot())

    def close(self) -> None:
        """Close the simulation."""
        self.controls.close()
        for thread in self._threads:
            thread.join(5.0)

    # The log ---------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        try:
            while not self.controls.ended:
                if self._log.read():
                    self._collector.change(episodes=self._log.rows)
                time.sleep(_LOG_S)
        except UserError as error:
            self._tell(Status("failed", str(error), troubled=True))

    # Episodes --------------------------------------------------------------------------------------------------

    def _play(self) -> None:
        try:
            for row in self._episodes():
                while not self._play_episode(row) and not self.controls.ended:
                    pass  # a restart was requested
                self.controls.idle(_REST_S / self.controls.speed)
        except UserError as error:
            self._tell(Status("failed", str(error), troubled=True))
        except Exception:
            traceback.print_exc()
            self._tell(Status("failed", "the simulation has ended with an error; see the terminal", troubled=True))

    def _episodes(self) -> Iterator[EpisodeRow]:
        """The newest episode of the log, then the earlier ones in turn; a newer one comes first."""
        newest, turn = -1, 0
        while not self.controls.ended:
            rows = self._log.rows[-_AGAIN:] or (EpisodeRow(0, "base", 0, False),)
            turn = 0 if rows[-1].number > newest else (turn + 1) % len(rows)
            newest = rows[-1].number
            yield rows[-1 - turn]

    def _play_episode(self, row: EpisodeRow) -> bool:
        """Play an episode again with the newest policy; return whether it was played to its end."""
        from sac_gmm.methods import run_episode

        env, policy, by = self._open_policy()
        task = env.task
        assert isinstance(task, Task)
        doing = f"seed {row.seed} of episode {row.number} ({row.mode}), played by the {by}"
        try:
            self._collector.begin_episode()
            self.controls.begin()
            self._stepped_s = time.perf_counter()
            env.on_state = partial(self._on_state, task, env.decoder, doing)
            outcome = run_episode(env, policy, row.seed)
        except InterruptedPlaybackError:
            return False
        finally:
            task.close()
        self._collector.end_episode(outcome.success)
        ended = "success" if outcome.success else "the time ran out"
        last = self._collector.snapshot().status
        self._tell(replace(last, state="idle", reason=f"{ended} after {outcome.steps * task.control_dt_s:.1f} s"))
        return True

    def _open_policy(self) -> tuple[MacroEnv, Act, str]:
        """The simulation, the policy as it is now, and its name."""
        import torch

        from sac_gmm.methods import make_env, method, open_skill
        from sac_gmm.methods.episodes import still
        from sac_gmm.methods.registry import UNNAMED

        torch.set_num_threads(1)  # leave the cores to a training run in progress
        options = dict(self._config.get("task_options", {}))
        if not (self._folder / "policy.bin").exists():
            chosen = method(method(self._config.get("skill", UNNAMED)).as_fitted)
            env = make_env(self._task, chosen, chosen.settings.from_json({}), self._base, options)
            return env, still(env.decoder.action_dim), "skill as fitted (there is no policy.bin)"
        found = open_skill(str(self._folder))
        env = make_env(self._task, found.method, found.settings, self._base, options)
        return env, found.act(env), f"policy after {found.about['episodes_trained']} training episodes"

    def _on_state(self, task: Task, decoder: Decoder, doing: str, state: State) -> None:
        """Report a control step, and wait until the next one is due."""
        compute_s = time.perf_counter() - self._stepped_s
        controls, collector = self.controls, self._collector
        controller = getattr(decoder, "controller", None)  # a skill without a mixture has no controller
        fields: dict[str, Any] = {"joints_rad": state["joint_position_rad"].copy()}
        if task.elapsed_steps == 0:
            fields["target_m"], fields["true_target_m"] = state["target_m"].copy(), task.true_target_m.copy()
        if controller is not None:
            fields["current"] = controller.model
        status = Status(
            "active",
            episode=doing,
            speed_m_s=float(np.linalg.norm(state["ee_velocity_m_s"])),
            speed_scale=controls.speed,
            version=0 if controller is None else controller.version,
        )
        collector.change(time_s=task.elapsed_steps * task.control_dt_s, status=status, **fields)
        collector.tip(state["ee_position_m"].copy())
        if task.elapsed_steps % _PICTURE_STEPS == 0:
            for name in ("fixed", "scene"):
                if name in task.cameras:
                    collector.picture(name, f"{name} camera", task.camera(name))
                    break
            for group in task.sensors:
                collector.picture(group, *sensor_picture(group, task.read(group)))
        collector.tick(time.monotonic(), compute_s, controls.wait(task.control_dt_s))
        self._stepped_s = time.perf_counter()

    def _tell(self, status: Status) -> None:
        self._collector.change(status=status)
