"""Why no hand was found: what the pictures show in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from sac_gmm.perception.hands.observation import Side

# Brightness from 0 to 255: of the brightest pixels of a black picture, on average of a dark and of an overexposed one.
_BLACK, _DARK, _OVEREXPOSED = 24.0, 30.0, 245.0
_EVEN_STD = 3.0  # in brightness: less contrast than this is an empty picture
_STEP = 8  # pixels: each eighth row and column tells enough


class Unseen:
    """Collects what pictures without the hand show, since it was seen last.

    Args:
        side: The hand that is looked for.
        marker: What is looked for in place of a bare hand, such as `marker 7 of DICT_4X4_50`; empty for a hand.
    """

    def __init__(self, side: Side | Literal["any"] = "any", marker: str = "") -> None:
        self._side = side
        self._marker = marker
        self.begin()

    def begin(self) -> None:
        """Forget all pictures."""
        self._pictures = self._black = self._even = self._without_pose = 0
        self._brightness = 0.0
        self._sides: Counter[Side] = Counter()
        self._near_misses: Counter[str] = Counter()

    def take(
        self, picture: npt.NDArray[np.uint8], *, placed: bool, sides: Iterable[Side] = (), near_miss: str = ""
    ) -> None:
        """Take a picture.

        Args:
            picture: (H, W, 3) RGB or (H, W) grey.
            placed: The hand has a pose in it, so that there is nothing to explain.
            sides: Of the hands in it.
            near_miss: What was there in place of the marker.
        """
        if placed:
            self.begin()
            return
        small = picture[::_STEP, ::_STEP]
        brightness = float(small.mean())
        self._pictures += 1
        self._brightness += brightness
        self._black += bool(np.quantile(small, 0.99) < _BLACK)
        self._even += bool(small.std() < _EVEN_STD)
        found = set(sides)
        self._sides.update(found)
        self._without_pose += self._side in found or (self._side == "any" and bool(found))
        if near_miss:
            self._near_misses[near_miss] += 1

    def why(self) -> str:
        """What was seen in place of the hand, and what to do; empty where there was no picture."""
        n = self._pictures
        if not n:
            return ""
        if self._black > 0.5 * n:
            return (
                f"{self._black} of {n} pictures are black: the lens is covered, or the pictures cannot be decoded here "
                "(a film: convert it, `ffmpeg -i FILM -pix_fmt yuv420p NEW.mp4`)"
            )
        if self._even > 0.5 * n:
            return (
                f"{self._even} of {n} pictures show nothing but one even colour: check the camera or the film's codec"
            )
        if self._near_misses:
            text, count = self._near_misses.most_common(1)[0]
            return f"in {count} of {n} pictures {text}"
        if self._without_pose:
            return (
                f"a hand was seen in {self._without_pose} of {n} pictures, but at no distance from 0.05 to 5 m: are "
                "the calibration (or focal length) and the palm's width right?"
            )
        if self._sides:
            other, count = self._sides.most_common(1)[0]
            return (
                f"a {other} hand was seen in {count} of {n} pictures, a {self._side} one in none: set the side to "
                f"{other} or any; where it is your {self._side} hand, the pictures are mirrored, as selfie cameras "
                "show them: switch that off, or turn a film back (`ffmpeg -i FILM -vf hflip NEW.mp4`)"
            )
        return self._nothing_found(self._brightness / n)

    def _nothing_found(self, brightness: float) -> str:
        level = f"brightness {brightness:.0f} of 255"
        if brightness < _DARK:
            return f"the pictures are dark ({level}): give more light"
        if brightness > _OVEREXPOSED:
            return f"the pictures are overexposed ({level}): give less light or a shorter exposure"
        if self._marker:
            return (
                f"the pictures are neither dark nor overexposed ({level}), and no marker of the dictionary is found in "
                f"them: is it {self._marker}, sharp, larger than 12 pixels, with a white margin of a module?"
            )
        return (
            f"the pictures are neither dark nor overexposed ({level}), and the hand model finds no hand in them: is a "
            "whole bare hand in view? A lower min_confidence takes what is less sure"
        )
