"""The report shows the numbers it was given and needs nothing from outside."""

import base64
import json
import re

import numpy as np
import pytest
from test_summary import LABELS, RETURNS

from pdtla.analysis import page, plots, report, summary


@pytest.fixture
def experiment(tmp_path):
    """A summary with a run, a figure and a video on disk."""
    run = tmp_path / "runs" / "lam"
    run.mkdir(parents=True)
    metrics = [
        {"step": step, "split": "heldout", "time": 0.0, "loss": 1 / step}
        for step in (10, 20)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(m) + "\n" for m in metrics))
    (run / "operative_config.gin").write_text("NAME = '<b>&'\n")
    picture = plots.frames_grid({"o_t": np.zeros((2, 4, 4, 3), np.uint8)})
    (tmp_path / "frames.png").write_bytes(picture)
    (tmp_path / "video.gif").write_bytes(b"GIF89a, as it is")
    return {
        "env_id": "maze",
        "rows": summary.method_rows(RETURNS, LABELS),
        "health": {"copy_frame_ratio": 0.3217, "probe_linear": 0.8765, "other": 7.0},
        "wall_seconds": {"lam": 200.0, "relabel": 7.04},
        "data": {"episodes": 500, "frames": 12345},
        "runs": {"lam": "runs/lam", "bc": "runs/never_made"},
        "figures": {"True and predicted frames": "frames.png"},
        "videos": {"lapo_plus_128": "video.gif"},
        "commit": "abc1234",
        "command": "bash launch/quickstart.sh",
    }


def visible_text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_numbers_of_the_summary(experiment, tmp_path):
    page = report.render(experiment, base_dir=tmp_path)
    text = visible_text(page)
    assert "lapo_plus_128" in text and "cloning with all labels" in text
    assert "4 7.00 7.00 7.00 – 7.00 6.00 – 8.00 0.40 0.75" in text
    assert "0.32" in text and "0.88" in text and "12,345" in text
    assert "7.0 s" in text and "3 min 20 s" in text and "3 min 27 s" in text
    assert "abc1234" in text and "bash launch/quickstart.sh" in text
    assert "other 7.00" in text


def test_self_contained(experiment, tmp_path):
    output = tmp_path / "report.html"
    report.write_report(experiment, output, base_dir=tmp_path)
    page = output.read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 4  # bars, curves, figure, video
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?://|@import|url\(|<script|<link", page)
    video = base64.b64encode(b"GIF89a, as it is").decode()
    assert f"data:image/gif;base64,{video}" in sources


def test_text_is_escaped(experiment, tmp_path):
    page = report.render(experiment, base_dir=tmp_path)
    assert "NAME = &#39;&lt;b&gt;&amp;&#39;" in page


def test_smallest_summary():
    row = summary.method_rows({"random": [np.array([1.0])]}, {"random": 0})
    text = visible_text(report.render({"env_id": "maze", "rows": row}))
    assert "uniform random" in text and "Learning curves" not in text


def test_says_when_the_ground_is_missing(experiment, tmp_path):
    weak = RETURNS | {"bc_all": [np.array([3.0, 5.5])]}
    experiment["rows"] = summary.method_rows(weak, LABELS)
    text = visible_text(report.render(experiment, base_dir=tmp_path))
    assert "scores between the two say nothing" in text
    strong = visible_text(
        report.render(
            experiment | {"rows": summary.method_rows(RETURNS, LABELS)},
            base_dir=tmp_path,
        )
    )
    assert "say nothing" not in strong and "The ground:" in strong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": []}, "no rows"),
        ({"figures": {"x": "missing.png"}}, "does not exist"),
        ({"videos": {"x": "video.mp4"}}, "shows .png and .gif"),
    ],
)
def test_wrong_summary(experiment, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        report.render(experiment | change, base_dir=tmp_path)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.2 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (59.96, "60.0 s")],
)
def test_durations(seconds, text):
    assert page.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (0.0123, "0.012"), (12345, "12,345"), (2.5, "2.50"), ("x", "x")],
)
def test_numbers(value, text):
    assert page.format_number(value) == text
