"""Pictures and times of a run."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from coppice_export.bundle import Rung
from coppice_export.plots import draw_tradeoff
from coppice_export.timing import DENSE, time_rungs

TIMES = {"full": 9.0, "half": 5.0, DENSE: 10.0}
SERIES = {"as it came": {"full": 70.0, "half": 60.0}, "fine-tuned": {"full": 70.0, "half": 69.0}, DENSE: {DENSE: 70.5}}


def test_tradeoff_is_drawn_for_screen_and_print(tmp_path):
    """The names of rungs and series are text in the SVG, and the PNG can be read."""
    draw_tradeoff(TIMES, SERIES, "top-1", 2, tmp_path)
    text = (tmp_path / "tradeoff.svg").read_text()
    words = {"full", "half", "as it came", "fine-tuned", DENSE, "top-1 in percent"}
    assert words | {"milliseconds a picture, 2 threads, this machine"} <= set(re.findall(r">([^<>]+)</text>", text))
    assert Image.open(tmp_path / "tradeoff.png").size[0] > 300


def test_points_stand_where_the_numbers_say(tmp_path):
    """Milliseconds grow to the right and percents upwards: the half rung is left of and below the full one."""
    draw_tradeoff(TIMES, {"one": {"full": 70.0, "half": 60.0}}, "top-1", 1, tmp_path)
    text = (tmp_path / "tradeoff.svg").read_text()
    lines = re.findall(r'<path d="M ([\d.]+) ([\d.]+) \s*L ([\d.]+) ([\d.]+) \s*" clip-path', text)
    assert any(float(x1) > float(x2) and float(y1) < float(y2) for x1, y1, x2, y2 in lines)


def test_same_numbers_draw_the_same_bytes(tmp_path, contents):
    """No date, no random identifiers, no version of the library."""
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        folder.mkdir()
        draw_tradeoff(TIMES, SERIES, "top-1", 1, folder)
    assert contents(folders[0]) == contents(folders[1])


def test_every_rung_and_the_dense_model_are_timed(tiny, tiny_state):
    """Milliseconds of a run, all above nothing; the tiny model has two stages."""
    times = time_rungs(tiny, tiny_state, [Rung("full", (16, 16)), Rung("half", (8, 4))], rounds=3)
    assert times.keys() == {"full", "half", DENSE}
    assert all(0 < ms < 1000 for ms in times.values())


@pytest.mark.parametrize("wrong", [(17, 16), (8,)])
def test_budget_that_the_model_does_not_have_is_not_timed(wrong, tiny, tiny_state):
    """ONNX Runtime refuses it by the operator's or the input's name."""
    with pytest.raises(Exception, match=r"keep|count"):
        time_rungs(tiny, tiny_state, [Rung("wrong", wrong)], rounds=1)
