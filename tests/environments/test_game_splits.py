import pytest

from pdtla.environments import game_splits, levels, procgen


def test_the_split_covers_every_game_once():
    both = game_splits.RAPARTHY_TRAIN + game_splits.RAPARTHY_TEST
    assert sorted(both) == sorted(procgen.GAMES) and len(both) == 16
    assert len(game_splits.RAPARTHY_TRAIN) == 12


def test_games_of_splits():
    games = ["maze", "heist"]
    for split in ("train", "test"):
        assert game_splits.training_games(split, games) == ("maze", "heist")
        assert game_splits.evaluation_games(split, games) == ("maze", "heist")
    held_out = game_splits.evaluation_games("raparthy", game_splits.RAPARTHY_TRAIN)
    assert held_out == ("climber", "ninja", "plunder", "jumper")


def test_levels_of_splits_never_meet():
    trained, others = levels.training_levels(200), levels.evaluation_levels(100)
    assert game_splits.evaluation_levels("train", trained, others) == trained
    assert game_splits.unseen_levels("train", trained) is None
    for split in ("test", "raparthy"):
        assert game_splits.unseen_levels(split, trained) == trained
        assert game_splits.evaluation_levels(split, trained, others) == others


def test_levels_trained_on_must_be_told():
    every, others = levels.training_levels(), levels.evaluation_levels()
    with pytest.raises(ValueError, match="set NUM_TRAIN_LEVELS as when they were buil"):
        game_splits.evaluation_levels("train", every, others)


@pytest.mark.parametrize(
    ("split", "games", "message"),
    [
        ("valid", ["maze"], "ENV_SPLIT must be of train, test, raparthy, got valid"),
        ("raparthy", ["maze", "climber"], "holds out climber, .* got games climber to"),
        ("test", [], "must be some different ones"),
        ("test", ["maze", "maze"], "must be some different ones"),
    ],
)
def test_wrong_splits_are_refused(split, games, message):
    with pytest.raises(ValueError, match=message):
        game_splits.evaluation_games(split, games)
