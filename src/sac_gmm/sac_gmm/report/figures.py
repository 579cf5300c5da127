"""The pictures of a report: the learning curve, and the mixture before and after."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sac_gmm.evaluation.rates import SuccessRate
from sac_gmm.models import SkillModel
from sac_gmm.report.film import Watched

WINDOW = 20  # episodes of the moving average
BEFORE, AFTER = "tab:red", "tab:green"
_N_SIGMA = 2.0
_NAMES = "xyz"


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def draw_curve(axes: Axes, training: Sequence[bool], base: SuccessRate, adapted: SuccessRate) -> None:
    """Draw the success rate over the training episodes.

    Args:
        axes: Where to draw.
        training: Success of each training episode, in order.
        base: Success rate of the skill as fitted.
        adapted: Success rate after training, deterministic policy.
    """
    outcomes = np.array(training, dtype=float)
    if outcomes.size:
        ends = np.arange(min(5, outcomes.size), outcomes.size + 1)  # a mean over fewer episodes says nothing
        windows = [outcomes[max(0, end - WINDOW) : end] for end in ends]
        bands = np.array([SuccessRate(int(w.sum()), w.size).interval for w in windows])
        label = f"while exploring, mean of the last {WINDOW}, 95 % interval"
        axes.fill_between(ends, 100 * bands[:, 0], 100 * bands[:, 1], color="tab:blue", alpha=0.15, lw=0)
        axes.plot(ends, [100 * w.mean() for w in windows], color="tab:blue", label=label)
        axes.plot(
            np.arange(1, outcomes.size + 1),
            np.where(outcomes > 0, 102, -2),
            ls="",
            marker="|",
            ms=6,
            color="0.5",
            label="each episode",
        )
    for rate, name, colour in ((base, "as fitted", BEFORE), (adapted, "adapted", AFTER)):
        if rate.episodes:
            low, high = rate.interval
            axes.axhspan(100 * low, 100 * high, color=colour, alpha=0.08, lw=0)
            axes.axhline(100 * rate.rate, color=colour, ls="--", label=f"{name}: {100 * rate.rate:.0f} %")
    axes.set(xlabel="training episode", ylabel="success (%)", ylim=(-5, 105))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4, fontsize=9, frameon=False)
    axes.grid(alpha=0.25)


def learning_curve(training: Sequence[bool], base: SuccessRate, adapted: SuccessRate) -> bytes:
    """`draw_curve` as the bytes of a PNG file."""
    figure = Figure(figsize=(8.5, 4.0), layout="constrained")
    draw_curve(figure.subplots(), training, base, adapted)
    return png(figure)


def mixture_figure(base: SkillModel, adapted: SkillModel, before: Watched | None, after: Watched | None) -> bytes:
    """Draw the mixture as fitted and as adapted, seen from the side and from behind, as PNG bytes.

    Args:
        base: The skill as fitted.
        adapted: The skill at the end of an episode.
        before: That episode with the skill as fitted, if it was played.
        after: The same with the adapted skill; its decisions are then drawn over time, with the error that they
            compensate.
    """
    decisions = after is not None and len(after.models) > 0
    figure = Figure(figsize=(13.0 if decisions else 9.5, 5.4), layout="constrained")
    panels = figure.subplots(1, 3 if decisions else 2)
    for axes, plane in zip(panels, ((0, 2), (1, 2)), strict=False):
        _draw_plane(axes, list(plane), base, adapted, before, after)
    if after is not None and decisions:
        _draw_decisions(panels[2], base, after)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return png(figure)


def _draw_plane(
    axes: Axes,
    plane: list[int],
    base: SkillModel,
    adapted: SkillModel,
    before: Watched | None,
    after: Watched | None,
) -> None:
    for model, colour, name in ((base, BEFORE, "as fitted"), (adapted, AFTER, "adapted")):
        for k, outline in enumerate(1e3 * model.mixture.outlines(plane, _N_SIGMA)):
            axes.fill(*outline.T, color=colour, alpha=0.13, label=f"Gaussians {name} (2 sigma)" if k == 0 else None)
            axes.plot(*outline.T, color=colour, lw=0.7, alpha=0.7)
    for watched, colour, name in ((before, BEFORE, "as fitted"), (after, AFTER, "adapted")):
        if watched is not None:
            axes.plot(*(1e3 * watched.tip_m[:, plane].T), color=colour, lw=2.0, label=f"path of the fingertip {name}")
    axes.plot(0.0, 0.0, "kx", ms=9, mew=2, label="target as detected")
    watched = after or before
    if watched is not None:
        axes.plot(*(-1e3 * watched.error_m[plane]), "k*", ms=12, label="true target")
    axes.set(xlabel=f"{_NAMES[plane[0]]} relative to the detected target (mm)", ylabel=f"{_NAMES[plane[1]]} (mm)")
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.25)


def _draw_decisions(axes: Axes, base: SkillModel, after: Watched) -> None:
    """How far the skill's attractor has been moved at each decision, and how far it should be."""
    shifts_mm = 1e3 * np.array([model.attractor - base.attractor for _, model in after.models])
    time_s = [*(decided_s for decided_s, _ in after.models), after.duration_s]
    for axis, colour in enumerate(("tab:blue", "tab:orange", "tab:purple")):
        held = np.append(shifts_mm[:, axis], shifts_mm[-1, axis])
        axes.step(time_s, held, where="post", color=colour, lw=2, label=f"shift along {_NAMES[axis]}")
        axes.axhline(-1e3 * after.error_m[axis], color=colour, ls=":", lw=1.5)
    axes.plot([], [], color="0.4", ls=":", label="compensates the hidden error")
    axes.set(xlabel="time in the episode (s)", ylabel="the agent's shift of the skill (mm)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9, frameon=False)
    axes.grid(alpha=0.25)
