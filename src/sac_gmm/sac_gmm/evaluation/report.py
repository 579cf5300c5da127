"""One page about one run: learning curve, before and after, the mixture, every episode. Opens from disk, alone."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sac_gmm.evaluation.protocol import SuccessRate
from sac_gmm.files import atomic_file, read_json

_WINDOW = 20  # episodes of the moving average


def write_report(run_dir: Path | str) -> Path:
    """Write `report.html`, and its essence as `summary.png`, into the folder of a run.

    Args:
        run_dir: With `result.json`, `config.json`, `episodes.jsonl`, and, where there are any, `skill.png` and
            `films/base` and `films/evaluate` (strips named SEED_success.jpg or SEED_failure.jpg).

    Returns:
        The page's path.

    Raises:
        SacGmmError: A file is missing or not what it should be.
    """
    run_dir = Path(run_dir)
    result, config = read_json(run_dir / "result.json"), read_json(run_dir / "config.json")
    lines = (run_dir / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    episodes = [json.loads(line) for line in lines]
    by_mode = {mode: [e for e in episodes if e["mode"] == mode] for mode in ("base", "train", "evaluate")}
    base, adapted = _rate(by_mode["base"]), _rate(by_mode["evaluate"])
    sections = [
        f"<h1>{html.escape(result['task'])}: {100 * base.rate:.0f} % → {100 * adapted.rate:.0f} %</h1>",
        f"<p>Success of the skill as fitted: <b>{base}</b>. After {result['training_episodes']} episodes of "
        f"adaptation: <b>{adapted}</b>. In brackets the Wilson 95 % interval. The only reward was a marker seen by a "
        f"camera ({html.escape(result['reward_source'])}). Run number {result['seed']}, "
        f"{result['wall_s'] / 60:.1f} minutes, source {html.escape(result['git'])}.</p>",
        "<h2>Learning curve</h2>",
        _image(learning_curve(by_mode["train"], base, adapted), "success against training episodes", "png"),
        *_films(run_dir),
    ]
    picture = run_dir / "skill.png"
    if picture.exists():
        sections += ["<h2>The skill as fitted</h2>", _image(picture.read_bytes(), "mixture and demonstrations", "png")]
    sections += ["<h2>Every episode</h2>", *(_episode_table(title, by_mode[mode]) for mode, title in _TITLES.items())]
    sections += ["<h2>Configuration</h2>", f"<pre>{html.escape(json.dumps({**config, **result}, indent=2))}</pre>"]
    page = _PAGE.replace("{title}", f"SAC-GMM: {html.escape(result['task'])}").replace("{body}", "\n".join(sections))
    path = run_dir / "report.html"
    with atomic_file(path) as partial:
        partial.write_text(page, encoding="utf-8")
    with atomic_file(run_dir / "summary.png") as partial:
        partial.write_bytes(_summary(run_dir, by_mode["train"], base, adapted))
    return path


_TITLES = {"base": "as fitted", "train": "adapting", "evaluate": "adapted"}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
img { max-width: 100%; height: auto; } h2 { margin-top: 2.2rem; } figure { margin: 1rem 0; }
figcaption { color: #555; } pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; font-size: 13px; }
.episodes { display: flex; flex-wrap: wrap; gap: 2px; } .episodes span { width: 14px; height: 14px; }
.yes { background: #2e8b57; } .no { background: #d9d9d9; }
</style></head><body>
{body}
</body></html>
"""


def learning_curve(training: Sequence[dict[str, Any]], base: SuccessRate, adapted: SuccessRate) -> bytes:
    """Draw the success rate over the training episodes, as PNG bytes.

    Args:
        training: Episodes in their order, each with `success`.
        base: Of the skill as fitted.
        adapted: After training, deterministic.
    """
    figure, axes = _figure(1)
    _draw_curve(axes[0], training, base, adapted)
    return _png(figure)


def _summary(run_dir: Path, training: Sequence[dict[str, Any]], base: SuccessRate, adapted: SuccessRate) -> bytes:
    """Strips before and after, where there are any, over the learning curve."""
    strips = [(strip, caption) for strip, caption in _strips(run_dir) if strip is not None]
    figure, axes = _figure(1 + len(strips))
    for panel, (strip, caption) in zip(axes, strips, strict=False):
        panel.imshow(image.imread(strip))
        panel.set_title(caption, loc="left", fontsize=10)
        panel.axis("off")
    _draw_curve(axes[-1], training, base, adapted)
    return _png(figure)


def _figure(rows: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8.5, 4.0 + 1.2 * (rows - 1)), layout="constrained")
    panels = figure.subplots(rows, 1, squeeze=False, height_ratios=[1.0] * (rows - 1) + [3.2])
    return figure, list(panels[:, 0])


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _draw_curve(axes: Axes, training: Sequence[dict[str, Any]], base: SuccessRate, adapted: SuccessRate) -> None:
    outcomes = np.array([episode["success"] for episode in training], dtype=float)
    if outcomes.size:
        ends = np.arange(min(5, outcomes.size), outcomes.size + 1)  # a mean of fewer says nothing
        windows = [outcomes[max(0, end - _WINDOW) : end] for end in ends]
        bands = np.array([SuccessRate(int(w.sum()), w.size).interval for w in windows])
        label = f"while exploring, mean of the last {_WINDOW}"
        axes.fill_between(ends, 100 * bands[:, 0], 100 * bands[:, 1], color="tab:blue", alpha=0.15, lw=0)
        axes.plot(ends, [100 * w.mean() for w in windows], color="tab:blue", label=label)
        axes.plot(
            np.arange(1, outcomes.size + 1),
            np.where(outcomes > 0, 102, -2),
            "|",
            color="0.4",
            ms=5,
            label="single episodes",
        )
    for rate, name, colour in ((base, "as fitted", "tab:red"), (adapted, "adapted", "tab:green")):
        if rate.episodes:
            low, high = rate.interval
            axes.axhspan(100 * low, 100 * high, color=colour, alpha=0.08, lw=0)
            axes.axhline(100 * rate.rate, color=colour, ls="--", label=f"{name}: {100 * rate.rate:.0f} %")
    axes.set(xlabel="training episode", ylabel="success (%)", ylim=(-5, 105))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4, fontsize=9, frameon=False)
    axes.grid(alpha=0.25)


def _rate(episodes: Sequence[dict[str, Any]]) -> SuccessRate:
    return SuccessRate(sum(episode["success"] for episode in episodes), len(episodes))


def _strips(run_dir: Path) -> list[tuple[Path | None, str]]:
    """A failure before and a success after, from the fixed camera, each where there is one, and what to say of it."""
    wanted = (
        ("base", "failure", "Before: the skill as fitted misses the handle"),
        ("evaluate", "success", "After: the adapted skill opens the door, and the marker comes into view"),
    )
    found = [(sorted((run_dir / "films" / mode).glob(f"*_{outcome}.jpg")), text) for mode, outcome, text in wanted]
    return [(strips[0] if strips else None, text) for strips, text in found]


def _films(run_dir: Path) -> list[str]:
    sections = []
    for strip, caption in _strips(run_dir):
        if strip is not None:
            picture = _image(strip.read_bytes(), caption, "jpeg")
            sections.append(f"<figure>{picture}<figcaption>{caption} (episode {strip.stem}).</figcaption></figure>")
    return ["<h2>Before and after, seen by the fixed camera</h2>", *sections] if sections else []


def _episode_table(title: str, episodes: Sequence[dict[str, Any]]) -> str:
    cells = "".join(
        f'<span class="{"yes" if e["success"] else "no"}" title="episode {e["seed"]}: '
        f'{"success" if e["success"] else "failure"}, {e["duration_s"]:.1f} s"></span>'
        for e in episodes
    )
    return f'<p>{title}: {_rate(episodes)}</p><div class="episodes">{cells}</div>'


def _image(data: bytes, text: str, kind: str) -> str:
    encoded = base64.b64encode(data).decode("ascii")
    return f'<img alt="{html.escape(text)}" src="data:image/{kind};base64,{encoded}">'
