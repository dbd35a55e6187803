"""Latents that mean the same action in every game, and some that do not."""

import numpy as np
import pytest

from pdtla.analysis import game_consistency, latent_sample
from pdtla.analysis.action_probe import ActionProbe

ACTIONS = 4


def examined(shift, seed, games=2):
    """Latents are the action, which the second game counts from `shift`."""
    rng = np.random.default_rng(seed)
    action, parts = rng.integers(ACTIONS, size=400), rng.integers(games, size=400)
    meant = (action + shift * parts) % ACTIONS
    latents = np.eye(ACTIONS)[meant] + 0.1 * rng.standard_normal((400, ACTIONS))
    nothing = np.zeros((400, 1), "float32")
    sample = latent_sample.LatentSample(
        bases=np.arange(400),
        episodes=np.arange(400),
        parts=parts,
        now=nothing,
        following=nothing,
        inferred=latents.astype("float32"),
        quantized=latents.astype("float32"),
        frozen=nothing,
        codes=None,
        errors={},
        actions={0: action},
        known={},
    )
    return latent_sample.Examined(sample, sample.inferred)


@pytest.mark.parametrize(("shift", "verdict"), [(0, "good"), (1, "broken")])
def test_it_tells_what_another_game_means(shift, verdict):
    probe = ActionProbe(ACTIONS)
    sets = examined(shift, 0), examined(shift, 1)
    item = game_consistency.check_games(*sets, probe, ("maze", "heist"))
    assert item.verdict == verdict, item.finding
    for game in ("maze", "heist"):
        assert item.values[f"{game}_own"] > 0.95
    assert item.values["share"] == pytest.approx(1.0 - shift, abs=0.1)


def test_one_game_has_nothing_to_compare():
    sets = examined(0, 0, games=1), examined(0, 1, games=1)
    assert game_consistency.check_games(*sets, ActionProbe(ACTIONS), ("maze",)) is None
