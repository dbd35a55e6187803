r"""Imports a dataset of another format in RLDS form.

LAPO's published chunks (`.npz`) of one game, as `lapo_chunks/<env_id>`:

    python -m launch.import_dataset --format=lapo --path=expert_data/bigfish \
        --env_id=bigfish --data_dir=data

Parquet files as on the Hugging Face hub, as `parquet/<env_id>`:

    python -m launch.import_dataset --format=parquet --path=procgen/bigfish \
        --env_id=bigfish --data_dir=data --max_episodes=1000

A Minari dataset of the local storage, as `minari/<id>` with `-` in place of `/`:

    python -m launch.import_dataset --format=minari \
        --minari_id=mujoco/halfcheetah/expert-v0 --data_dir=data
"""

from absl import app, flags, logging

from pdtla.datasets import imported_dataset
from pdtla.environments import procgen
from pdtla.training import configs, set_up

_FORMAT = flags.DEFINE_enum(
    "format", None, ["lapo", "minari", "parquet"], "What is imported."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Directory of the datasets.")
_MAX_EPISODES = flags.DEFINE_integer(
    "max_episodes", -1, "Episodes of a split, -1 for all."
)
_PATH = flags.DEFINE_string("path", None, "Directory of the files (lapo, parquet).")
_ENV_ID = flags.DEFINE_string("env_id", None, "Name of the game (lapo, parquet).")
_DONE_MARKS_FIRST = flags.DEFINE_bool(
    "done_marks_first",
    False,
    "Whether done marks the step after an episode, not its last (lapo, parquet).",
)
_MINARI_ID = flags.DEFINE_string("minari_id", None, "Id of the dataset (minari).")
_OBSERVATION_KEYS = flags.DEFINE_list(
    "observation_keys", [], "Which of the observations that are dicts (minari)."
)
_COLUMNS = flags.DEFINE_list(
    "columns", [], "Columns of other names, as observation=image (parquet)."
)
_ROWS = flags.DEFINE_enum(
    "rows", "steps", ["steps", "episodes"], "What a row is (parquet)."
)
_NUM_ACTIONS = flags.DEFINE_integer(
    "num_actions", procgen.NUM_ACTIONS, "Number of discrete actions (parquet)."
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    needed = {
        "lapo": (_PATH, _ENV_ID),
        "minari": (_MINARI_ID,),
        "parquet": (_PATH, _ENV_ID),
        None: (_FORMAT,),
    }
    for flag in needed[_FORMAT.value]:
        if not flag.value:
            raise configs.ConfigError(f"--{flag.name} must be set.")
    with set_up.setting_up():
        directory = _open().write(_DATA_DIR.value, _MAX_EPISODES.value)
    logging.info("Dataset: %s", directory)


def _open() -> imported_dataset.ImportedDataset:
    """Imports the library of one format alone."""
    if _FORMAT.value == "minari":
        from pdtla.datasets import minari_dataset

        return minari_dataset.minari_dataset(
            minari_id=_MINARI_ID.value, observation_keys=_OBSERVATION_KEYS.value
        )
    settings = {
        "path": _PATH.value,
        "env_id": _ENV_ID.value,
        "done_marks_first": _DONE_MARKS_FIRST.value,
    }
    if _FORMAT.value == "lapo":
        from pdtla.datasets import lapo_chunks

        return lapo_chunks.lapo_chunks(**settings)
    from pdtla.datasets import parquet_files

    return parquet_files.parquet_files(
        **settings,
        columns=dict(_pair(text) for text in _COLUMNS.value),
        rows=_ROWS.value,
        num_actions=_NUM_ACTIONS.value,
    )


def _pair(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not equals:
        raise configs.ConfigError(f"--columns must be field=column, got {text!r}.")
    return field, column


if __name__ == "__main__":
    configs.run_main(main)
