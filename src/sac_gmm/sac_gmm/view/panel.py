"""The side panel of the page: status, buttons, pictures, curves, tables."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import viser
from viser import uplot

from sac_gmm.core.errors import UserError
from sac_gmm.view.scene import LAYERS, SkillScene
from sac_gmm.view.snapshot import Array, Controls, EpisodeRow, Picture, Snapshot, Status, Ticks

LOST_S = 2.5  # silence after which the robot counts as lost
_TEXT_S = 0.2  # between two updates of text that people read
_PICTURE_S = 0.2
_PLOT_S = 1.0
_BEAT_S = 1.0
_PAGE_LOST_S = 4.0  # silence after which the browser counts the page as lost
_WINDOW = 20  # episodes in the moving average
_FEWEST = 5  # with fewer, an average is meaningless
_ROWS = 12  # rows in the table of episodes
_PICTURE_PX = (320, 180)  # pictures are scaled to fit; a small one is enlarged so that its pixels are visible
VIEWS = ("robot", "skill")
_GREY, _GREEN, _AMBER, _RED = "#6b7280", "#1a7f37", "#b45309", "#b91c1c"
_BLUE_LINE, _ORANGE_LINE, _GREEN_LINE = "#4682c8", "#d97706", "#1a7f37"
_MODES = {"base": ("as fitted", _BLUE_LINE), "train": ("training", _ORANGE_LINE), "evaluate": ("adapted", _GREEN_LINE)}


class Panel:
    """The page's side panel.

    Args:
        gui: The page's GUI.
        title: Describes what is shown.
        controls: The actions of the buttons.
        scene: The scene whose layers can be hidden.
        look: Called with a browser and the view (one of `VIEWS`) that it selects.
    """

    def __init__(
        self,
        gui: viser.GuiApi,
        title: str,
        controls: Controls,
        scene: SkillScene,
        look: Callable[[viser.ClientHandle, str], None],
    ) -> None:
        self._gui, self._title, self._controls = gui, title, controls
        self._shown = Snapshot()
        self._due_s: dict[str, float] = {}
        self._pictures: dict[str, Any] = {}
        self._page_lost = gui.add_html("")
        self._status = gui.add_html("")
        self._add_buttons()
        tabs = gui.add_tab_group()
        with tabs.add_tab("Scene"):
            gui.add_html(_legend_html())
            views = gui.add_button_group("Look at", VIEWS)
            views.on_click(lambda event: None if event.client is None else look(event.client, views.value))
            self._numbers = gui.add_html("")
            with gui.add_folder("Show and hide", expand_by_default=False):
                for layer, (_, name) in LAYERS.items():
                    self._add_layer(layer, name, scene)
            ghost = gui.add_checkbox("See through the robot", False)
            ghost.on_update(lambda _: scene.see_through_robot(ghost.value))
        with tabs.add_tab("Sensors") as self._sensors:
            self._no_picture = gui.add_html(_note("No picture has come yet."))
        with tabs.add_tab("Learning"):
            self._curve = self._add_plot(
                f"success, share of the last {_WINDOW} episodes (%)",
                "episode",
                [_line(name, colour) for name, colour in _MODES.values()],
                (0.0, 100.0),
            )
            self._table = gui.add_html(_note("No episode has ended yet."))
        with tabs.add_tab("Timing"):
            lines = [_line("computing", _BLUE_LINE), _line("late", _ORANGE_LINE)]
            self._tick_plot = self._add_plot("control ticks (ms)", "time since the first one shown (s)", lines)
            self._digest = gui.add_html(_note("No control tick has been heard of yet."))
        self.show(Snapshot())

    def show(self, snapshot: Snapshot) -> None:
        """Show what has changed, each kind no more often than people can read it."""
        now_s, before = time.monotonic(), self._shown
        if self._is_due("beat", now_s, _BEAT_S):
            self._page_lost.content = _page_lost_html(now_s)
        if self._is_due("text", now_s, _TEXT_S):
            lost_s = 0.0 if snapshot.heard_s is None else now_s - snapshot.heard_s
            _put(self._status, _status_html(self._title, snapshot.status, lost_s))
            _put(self._numbers, _numbers_html(snapshot))
        scale = snapshot.status.speed_scale
        if scale is not None and scale != before.status.speed_scale:  # changed elsewhere, or the value at the start
            self._speed.value = scale
        if snapshot.pictures is not before.pictures and self._is_due("pictures", now_s, _PICTURE_S):
            self._show_pictures(before.pictures, snapshot.pictures)
        else:
            snapshot = replace(snapshot, pictures=before.pictures)  # still waiting to be shown
        if snapshot.episodes is not before.episodes:
            self._curve.data, self._curve.visible = _curve(snapshot.episodes), True
            _put(self._table, _table_html(snapshot.episodes))
        if snapshot.ticks is not None and self._is_due("plot", now_s, _PLOT_S):
            self._tick_plot.data, self._tick_plot.visible = _tick_data(snapshot.ticks), True
            _put(self._digest, _rows_html(list(snapshot.timing)))
        self._shown = snapshot

    def _is_due(self, what: str, now_s: float, period_s: float) -> bool:
        if now_s < self._due_s.get(what, 0.0):
            return False
        self._due_s[what] = now_s + period_s
        return True

    def _show_pictures(self, before: Mapping[str, Picture], now: Mapping[str, Picture]) -> None:
        self._no_picture.visible = not now
        for sensor, picture in now.items():
            shown = self._pictures.get(sensor)
            if shown is None:
                with self._sensors:
                    self._pictures[sensor] = self._gui.add_image(
                        _to_size(picture.rgb), label=picture.title, format="jpeg", jpeg_quality=85
                    )
            elif before.get(sensor) is not picture:
                shown.image = _to_size(picture.rgb)
                if shown.label != picture.title:
                    shown.label = picture.title

    # Buttons ---------------------------------------------------------------------------------------------------

    def _add_buttons(self) -> None:
        gui, controls = self._gui, self._controls
        stop = gui.add_button("Stop", color="red", hint=controls.names["stop"])
        stop.on_click(lambda _: self._ask("Stop", controls.stop))
        actions = {"Pause": controls.pause, "Resume": controls.resume, "Reset": controls.reset}
        hint = "; ".join(f"{name}: {controls.names[name.lower()]}" for name in actions)
        others = gui.add_button_group("Or", tuple(actions), hint=hint)
        others.on_click(lambda _: self._ask(others.value, actions[others.value]))
        low, high = controls.speed_range()
        self._speed: Any = gui.add_slider(
            "Speed ×", low, high, round((high - low) / 100, 6), min(max(1.0, low), high), hint=controls.names["speed"]
        )
        self._speed.on_update(self._on_speed)
        self._answer = gui.add_html("")

    def _on_speed(self, event: viser.GuiEvent) -> None:
        if event.client is not None:  # moved by the user, not by `show`
            speed = float(self._speed.value)
            self._ask("Speed", lambda: self._controls.set_speed(speed))

    def _ask(self, name: str, action: Callable[[], str]) -> None:
        """Run the action of a button; runs in a separate thread."""
        try:
            text, colour = action(), _GREY
        except UserError as error:
            text, colour = f"refused: {error}", _RED
        self._answer.content = _box(f"<b>{name}</b>: {html.escape(text)}", colour)

    def _add_layer(self, layer: str, name: str, scene: SkillScene) -> None:
        box = self._gui.add_checkbox(name, True)
        box.on_update(lambda _: scene.hide(layer, not box.value))

    def _add_plot(
        self, title: str, x_label: str, lines: list[uplot.Series], y_range: tuple[float, float] | None = None
    ) -> viser.GuiUplotHandle:
        """A plot that is hidden until it has data."""
        nothing = tuple(np.zeros(2) for _ in range(1 + len(lines)))
        y_scale = uplot.Scale(auto=True) if y_range is None else uplot.Scale(range=y_range)
        return self._gui.add_uplot(
            nothing,
            (uplot.Series(label=x_label), *lines),
            title=title,
            scales={"x": uplot.Scale(time=False, auto=True), "y": y_scale},
            axes=(uplot.Axis(label=x_label, labelSize=20, size=34), uplot.Axis(size=46)),
            legend=uplot.Legend(show=True, live=False),
            padding=(14, 14, 0, 0),
            aspect=1.5,
            visible=False,
        )


def _put(handle: viser.GuiHtmlHandle, content: str) -> None:
    if handle.content != content:
        handle.content = content


def _line(label: str, colour: str) -> uplot.Series:
    return uplot.Series(label=label, stroke=colour, width=2, spanGaps=False)


# Texts -------------------------------------------------------------------------------------------------------


def _status_html(title: str, status: Status, lost_s: float) -> str:
    """State, reason and remedy; a lost connection comes first, because everything shown is then old."""
    if lost_s > LOST_S:
        head = f"connection lost: nothing heard for {lost_s:.0f} s"
        body = "What is shown is old, and the buttons may do nothing. Check that robot or simulation is still running."
        colour = _RED
    else:
        head, body = status.state, status.reason
        colour = _AMBER if status.troubled else _GREEN if status.state == "active" else _GREY
    lines = [f'<div style="font-weight:600">{html.escape(head)}</div>']
    lines += [f"<div>{html.escape(text)}</div>" for text in (body, status.remedy if lost_s <= LOST_S else "") if text]
    if status.episode:
        lines.append(f'<div style="margin-top:0.3em">{html.escape(status.episode)}</div>')
    caption = f'<div style="font-size:0.8em;color:{_GREY};padding:0 0.8em">{html.escape(title)}</div>'
    return caption + _box("".join(lines), colour)


def _page_lost_html(now_s: float) -> str:
    """A banner that appears unless it is replaced in time: only the browser can tell that it hears nothing any more."""
    text = "<b>This page has lost its server.</b> What is shown is old, and the buttons do nothing."
    hidden = f"max-height:0;overflow:hidden;animation:page-lost 0s linear {_PAGE_LOST_S:g}s forwards"
    style = "<style>@keyframes page-lost{to{max-height:10em}}</style>"
    return f'{style}<div id="page-lost" data-beat="{now_s:.0f}" style="{hidden}">{_box(text, _RED)}</div>'


def _box(content: str, colour: str) -> str:
    style = f"border-left:4px solid {colour};padding:0.25em 0.6em;margin:0.2em 0.8em;font-size:0.85em;line-height:1.35"
    return f'<div style="{style}">{content}</div>'


def _note(text: str) -> str:
    return f'<div style="font-size:0.85em;color:{_GREY};padding:0.3em 0.8em">{html.escape(text)}</div>'


def _legend_html() -> str:
    """The colour legend of the scene."""
    swatch = (
        "display:inline-block;width:0.8em;height:0.8em;border-radius:2px;margin-right:0.5em;background:rgb({},{},{})"
    )
    rows = [
        f'<div style="break-inside:avoid"><span style="{swatch.format(*colour)}"></span>{html.escape(name)}</div>'
        for colour, name in LAYERS.values()
    ]
    return f'<div style="columns:2;column-gap:1em;font-size:0.75em;margin:0.4em 0.8em">{"".join(rows)}</div>'


def _numbers_html(snapshot: Snapshot) -> str:
    status, rows = snapshot.status, []
    if snapshot.base is not None:
        components = snapshot.base.mixture.n_components
        rows.append(("skill", f"{snapshot.base.kind}, {components} Gaussians, version {status.version} in force"))
    if snapshot.time_s is not None:
        rows.append(("time of the robot", f"{snapshot.time_s:.1f} s"))
    if status.speed_m_s is not None:
        rows.append(("commanded speed", f"{status.speed_m_s:.3f} m/s"))
    if status.speed_scale is not None:
        rows.append(("speed scale", f"{status.speed_scale:.2f}"))
    if snapshot.tip_m is not None and snapshot.target_m is not None:
        gap = np.linalg.norm(snapshot.tip_m - snapshot.target_m)
        rows.append(("tip to detected target", f"{1e3 * gap:.0f} mm"))
    if snapshot.target_m is not None and snapshot.true_target_m is not None:
        error = np.linalg.norm(snapshot.target_m - snapshot.true_target_m)
        rows.append(("error of the detection", f"{1e3 * error:.1f} mm"))
    if snapshot.base is not None and snapshot.current is not None:
        moved = snapshot.current.attractor - snapshot.base.attractor
        if moved.any():
            rows.append(("skill moved by (x, y, z)", ", ".join(f"{1e3 * v:+.1f}" for v in moved) + " mm"))
    return _rows_html(rows)


def _rows_html(rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><td style="color:{_GREY};padding-right:0.8em">{html.escape(name)}</td><td>{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table style="font-size:0.8em;margin:0.2em 0.8em">{cells}</table>'


def _table_html(episodes: tuple[EpisodeRow, ...]) -> str:
    """The latest episodes, newest first."""
    style = f'style="text-align:left;font-weight:600;color:{_GREY};padding-right:0.9em"'
    head = "".join(f"<th {style}>{name}</th>" for name in ("episode", "what for", "seed", "outcome", "time"))
    rows = []
    for row in reversed(episodes[-_ROWS:]):
        outcome, colour = ("success", _GREEN) if row.success else ("failure", _RED)
        took = "" if row.duration_s is None else f"{row.duration_s:.1f} s"
        mode = _MODES.get(row.mode, (row.mode, ""))[0]
        cells = [str(row.number), mode, str(row.seed), f'<span style="color:{colour}">{outcome}</span>', took]
        rows.append("<tr>" + "".join(f'<td style="padding-right:0.9em">{cell}</td>' for cell in cells) + "</tr>")
    total = f"{sum(row.success for row in episodes)} of {len(episodes)} episodes succeeded"
    return _note(total) + f'<table style="font-size:0.8em;margin:0 0.8em"><tr>{head}</tr>{"".join(rows)}</table>'


# Numbers -----------------------------------------------------------------------------------------------------


def _curve(episodes: tuple[EpisodeRow, ...]) -> tuple[Array, ...]:
    """Success over the last episodes of the same kind, in percent, one line per kind; NaN for other kinds."""
    modes = np.array([row.mode for row in episodes])
    success = np.array([100.0 * row.success for row in episodes])
    lines = []
    for mode in _MODES:
        line, own = np.full(len(episodes), np.nan), modes == mode
        sums = np.concatenate(([0.0], np.cumsum(success[own])))
        n = np.arange(1, len(sums))
        first = np.maximum(n - _WINDOW, 0)
        line[own] = np.where(n >= _FEWEST, (sums[n] - sums[first]) / (n - first), np.nan)
        lines.append(line)
    return np.arange(1, len(episodes) + 1, dtype=np.float64), *lines


def _tick_data(ticks: Ticks) -> tuple[Array, ...]:
    return ticks.time_s - ticks.time_s[0], ticks.compute_ms, ticks.late_ms


def _to_size(rgb: Array) -> Array:
    """Scale a picture to the size that is sent."""
    height, width = rgb.shape[:2]
    scale = min(_PICTURE_PX[0] / width, _PICTURE_PX[1] / height)
    way = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    return cv2.resize(rgb, (round(scale * width), round(scale * height)), interpolation=way)
