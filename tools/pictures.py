"""Draw the pictures of the documentation that show what the code does: `make pictures`.

    python tools/pictures.py concepts   docs/images/concepts: field, adaptation, blend
    python tools/pictures.py report     docs/images/report: a page about a real training run, photographed by Chromium
    python tools/pictures.py view       docs/images/view: the live page of two training runs and of the simulation
    python tools/pictures.py diagrams   docs/images/diagrams: the mermaid diagrams of the pages as SVG

Without a name, all are drawn. The report takes some minutes: it trains the door for a hundred episodes.
"""

from __future__ import annotations

import base64
import html
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from mermaid import BLOCK, diagram_name
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SIDE = [0, 2]  # x to the right, z up
MERMAID = "mermaid@11.12.0"


def concepts() -> None:
    """What a skill is, what an action changes, how a change takes over."""
    from sac_gmm.demos import find_bags, read_demonstration, to_training_set
    from sac_gmm.methods.sac_gmm.base_skill import fit_base_skill
    from sac_gmm.methods.sac_gmm.settings import CONTROL_RATE_HZ

    skill = fit_base_skill("door", demonstrations=ROOT / "demos")
    demonstrations = [read_demonstration(path) for path in find_bags((ROOT / "demos" / "door",))]
    x, _, lengths = to_training_set(demonstrations, CONTROL_RATE_HZ)
    demos = np.split(x, np.cumsum(lengths)[:-1])
    folder = IMAGES / "concepts"
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in (
        ("field", field_figure(skill, x, demos)),
        ("adaptation", adaptation_figure(skill, x, demos)),
        ("blend", blend_figure(skill)),
    ):
        figure.savefig(folder / f"{name}.png", dpi=110)
        print(f"wrote {folder / name}.png")


def field_figure(skill, x, demos) -> Figure:
    """Demonstrations; which component is responsible where; the field and where it leads."""
    from sac_gmm.report.skill_figure import draw_plane

    figure = Figure(figsize=(14.0, 5.2), layout="constrained")
    shown, gates, field = figure.subplots(1, 3, sharex=True, sharey=True)
    for demo in demos:
        shown.plot(*(1e3 * demo[:, SIDE].T), lw=2)
        shown.plot(*(1e3 * demo[0, SIDE]), "k.", ms=8)
    shown.set_title("1  Five demonstrations (dots: starts)")
    draw_responsibilities(gates, skill, x)
    gates.set_title(f"2  {skill.mixture.n_components} Gaussians share the motion out")
    draw_plane(field, skill, x, demos, rollouts(skill, demos), *SIDE)
    field.set_title("3  The field, and where it leads from each start")
    field.legend(loc="upper left", fontsize=9)
    for axes in (shown, gates, field):
        label(axes)
    shown.set_ylabel("z (mm)")
    return figure


def draw_responsibilities(axes, skill, x) -> None:
    """Which component is responsible where, with all ellipses."""
    from matplotlib import colormaps
    from scipy.spatial import cKDTree

    low, high = x[:, SIDE].min(axis=0) - 0.02, x[:, SIDE].max(axis=0) + 0.02
    grid = [np.linspace(low[a], high[a], 200) for a in range(2)]
    points = np.stack(np.meshgrid(*grid), axis=-1).reshape(-1, 2)
    states = x[cKDTree(x[:, SIDE]).query(points)[1]].copy()
    states[:, SIDE] = points
    weights = skill.mixture.marginal(slice(0, 3)).responsibilities(states)
    colours = colormaps["tab10"](np.arange(skill.mixture.n_components))[:, :3]
    picture = (1.0 - 0.45 * (1.0 - weights @ colours)).reshape(200, 200, 3)
    extent = [1e3 * low[0], 1e3 * high[0], 1e3 * low[1], 1e3 * high[1]]
    axes.imshow(picture, origin="lower", extent=extent, interpolation="bilinear")
    for outline, colour in zip(1e3 * skill.mixture.outlines(SIDE, 2.0), colours, strict=True):
        axes.plot(*outline.T, color=0.7 * colour, lw=1.5)


def adaptation_figure(skill, x, demos) -> Figure:
    """The fitted mixture, the whole of it moved, and single components moved."""
    from sac_gmm.methods.sac_gmm import make_adaptation
    from sac_gmm.report.skill_figure import draw_plane

    figure = Figure(figsize=(14.0, 5.6), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    whole = make_adaptation("translation", skill)
    single = make_adaptation("positions", skill)
    one = np.zeros((skill.mixture.n_components, 3))
    one[np.linalg.norm(skill.mixture.means[:, :3] - [0.0, 0.0, 0.02], axis=1).argmin(), 0] = 0.3
    shown = (
        ("as fitted (action 0)", skill),
        ("translation: 3 numbers move the whole skill", whole.apply([0.5, 0.0, 0.5])),
        (
            f"positions: one of {len(one)} Gaussians moved by 9 mm",
            single.apply(one.ravel()),
        ),
    )
    for axes, (title, changed) in zip(panels, shown, strict=True):
        for k, outline in enumerate(1e3 * skill.mixture.outlines(SIDE, 2.0)):
            axes.plot(*outline.T, color="0.35", lw=1.0, ls="--", label="as fitted" if k == 0 else None)
        draw_plane(axes, changed, x, demos, rollouts(changed, demos), *SIDE)
        axes.set_title(title)
        label(axes)
        axes.set(xlim=(-180, 40), ylim=(-60, 160))
    panels[0].set_ylabel("z (mm)")
    handles, labels = panels[2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    return figure


def blend_figure(skill) -> Figure:
    """A decision in mid-motion: the commanded velocity with and without blending."""
    from sac_gmm.control import ArmState, BlendSettings, VelocityController
    from sac_gmm.models import translate

    dt_s, at_s, shift_m = 1 / 100, 1.0, np.array([0.03, 0.0, 0.0])
    start = np.array([-0.02, 0.0, 0.12])
    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    axes = figure.subplots()
    for blend_s, colour in ((0.0, "tab:red"), (BlendSettings().blend_s, "tab:green")):
        controller = VelocityController(skill, dt_s=dt_s, blend=BlendSettings(blend_s=blend_s))
        tip_m, commanded = start.copy(), []
        for step in range(round(2.2 / dt_s)):
            if step == round(at_s / dt_s):
                controller.swap(translate(skill, shift_m), 1)
            twist = controller.tick(ArmState(tip_m, np.zeros(3))).twist[:3].copy()
            tip_m = tip_m + dt_s * twist
            commanded.append(1e3 * twist[0])
        title = f"blended over {blend_s:g} s" if blend_s else "at once, held back by the limits alone"
        axes.plot(dt_s * np.arange(len(commanded)), commanded, color=colour, lw=2, label=title)
    axes.axvline(at_s, color="0.5", ls=":", label="the decision: 3 cm along x")
    axes.set(xlabel="time (s)", ylabel="commanded velocity along x (mm/s)")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def rollouts(skill, demos):
    """Where the field leads from the start of each demonstration, (T, n, 3)."""
    from sac_gmm.models import rollout

    starts = np.array([demo[0] for demo in demos])
    return rollout(skill, starts, 1 / 30, 400, integrator="rk4", check_step=False)


def label(axes) -> None:
    """Label the axes and keep the aspect ratio."""
    axes.set_xlabel("x relative to the target (mm)")
    axes.set_ylabel("")
    axes.set_aspect("equal")


def report() -> None:
    """Train, measure, report, and take a screenshot of the page."""
    run_dir = ROOT / "runs" / "pictures"
    resume = ["--resume"] if (run_dir / "config.json").exists() else []
    sac_gmm("train", "door", "--episodes", "100", "--out", run_dir, *resume)
    sac_gmm("evaluate", run_dir, "--json", run_dir / "test.json")
    sac_gmm("report", run_dir)
    shot = IMAGES / "report" / "training.png"
    photograph(run_dir / "report.html", shot, 1060, 3200)
    episode = IMAGES / "concepts" / "episode.png"
    episode.write_bytes(picture_in(run_dir / "report.html", "the mixture as fitted and after"))
    print(f"wrote {shot} and {episode}")


def view() -> None:
    """Take screenshots of the live page: two training runs, and the simulation over ROS 2."""
    door, peg = Path("runs/pictures"), Path("runs/pictures_peg")
    for run_dir, task, episodes in ((door, "door", 100), (peg, "peg", 40)):
        resume = ["--resume"] if (ROOT / run_dir / "config.json").exists() else []
        sac_gmm("train", task, "--episodes", episodes, "--out", run_dir, *resume)
    folder = IMAGES / "view"
    folder.mkdir(parents=True, exist_ok=True)
    sac_gmm("view", door, "--screenshot", folder / "skill.png", "--look-at", "skill", "--after-s", "13")
    sac_gmm("view", door, "--screenshot", folder / "learning.png", "--tab", "Learning", "--after-s", "6")
    sac_gmm("view", peg, "--screenshot", folder / "sensors.png", "--tab", "Sensors", "--after-s", "6")
    os.environ.update(ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST", ROS_DOMAIN_ID=str(1 + os.getpid() % 50))
    arguments = (f"model:={door / 'skill.npz'}", "adapt:=false", "lockstep:=false")
    nodes = subprocess.Popen(
        [sys.executable, "-m", "sac_gmm.cli.main", "up", "launch/simulation.launch.yaml", *arguments], cwd=ROOT
    )
    client = [
        sys.executable,
        "-m",
        "sac_gmm_nodes.learning.skill_client",
        "base",
        "--episodes",
        "20",
        "--first-seed",
        "0",
    ]
    running = subprocess.Popen(client, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        for tab in ("Scene", "Timing"):
            sac_gmm("view", "--screenshot", folder / f"live_{tab.lower()}.png", "--tab", tab, "--after-s", "20")
    finally:
        for process in (running, nodes):
            process.send_signal(signal.SIGINT)
            process.wait()


def picture_in(page: Path, caption: str) -> bytes:
    """The PNG on a page whose caption contains these words."""
    found = re.search(
        rf'alt="[^"]*{caption}[^"]*" src="data:image/png;base64,([^"]+)"', page.read_text(encoding="utf-8")
    )
    if found is None:
        raise SystemExit(f"{page} has no picture with the words '{caption}'")
    return base64.b64decode(found[1])


def diagrams() -> None:
    """Draw each mermaid block of the pages as an SVG named after its text; needs npm and Chromium."""
    folder = IMAGES / "diagrams"
    folder.mkdir(parents=True, exist_ok=True)
    pages = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md"))]
    blocks = {diagram_name(text): text for page in pages for text in BLOCK.findall(page)}
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["npm", "pack", "--silent", MERMAID], cwd=work, check=True)
        subprocess.run(["tar", "-xzf", *[path.name for path in Path(work).glob("*.tgz")]], cwd=work, check=True)
        for name, text in blocks.items():
            page = Path(work) / "page.html"
            page.write_text(_MERMAID_PAGE.replace("{text}", html.escape(text)), encoding="utf-8")
            dumped = chromium("--virtual-time-budget=20000", "--dump-dom", page.as_uri())
            drawn = re.search(r"<svg.*?</svg>", dumped, flags=re.DOTALL)
            if drawn is None:
                raise SystemExit(f"mermaid did not draw:\n{text}")
            (folder / name).write_text(drawn[0] + "\n", encoding="utf-8")
            print(f"wrote {folder / name}")
    for old in set(folder.glob("*.svg")) - {folder / name for name in blocks}:
        old.unlink()


_MERMAID_PAGE = """<!doctype html><meta charset="utf-8"><pre class="mermaid">{text}</pre>
<script src="package/dist/mermaid.min.js"></script><script>
mermaid.initialize({startOnLoad: true, theme: "neutral", htmlLabels: false, flowchart: {htmlLabels: false}});
</script>"""


def sac_gmm(*arguments: object) -> None:
    """Run a sac-gmm command."""
    subprocess.run([sys.executable, "-m", "sac_gmm.cli.main", *map(str, arguments)], cwd=ROOT, check=True)


def photograph(page: Path, picture: Path, width: int, height: int) -> None:
    """Screenshot of the top `width` x `height` pixels of a page in a browser, with films at their last frames."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        still = Path(work) / "still.html"
        text = page.read_text(encoding="utf-8")
        still.write_text(re.sub(r"data:image/gif;base64,([^\"]+)", last_frame, text), encoding="utf-8")
        chromium(f"--window-size={width},{height}", "--hide-scrollbars", f"--screenshot={picture}", still.as_uri())


def last_frame(film: re.Match[str]) -> str:
    """The last frame of a GIF, both as data URLs."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(film[1]))) as frames:
        frames.seek(frames.n_frames - 1)
        frames.convert("RGB").save(buffer, format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def chromium(*options: str) -> str:
    """Run a headless Chromium without network access; return its output."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("there is no Chromium on this machine: sudo apt install chromium")
    with tempfile.TemporaryDirectory() as profile:
        fixed = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--proxy-server=127.0.0.1:9",
            "--allow-file-access-from-files",
        ]
        command = [found, *fixed, f"--user-data-dir={profile}", *options]
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=True).stdout


DRAWN = {"concepts": concepts, "report": report, "view": view, "diagrams": diagrams}


if __name__ == "__main__":
    for wanted in sys.argv[1:] or DRAWN:
        DRAWN[wanted]()
