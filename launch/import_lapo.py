r"""Imports LAPO's published chunks of one game (`.npz`) as an RLDS dataset.

    python -m launch.import_lapo --chunks_dir=expert_data/bigfish --env_id=bigfish \
        --data_dir=data --max_chunks=80

The dataset is `lapo_chunks/<env_id>`: train on it with --gin.DATASET_NAME=lapo_chunks.
"""

from absl import app, flags, logging

from pdtla.datasets import lapo_chunks
from pdtla.training import configs, set_up

_CHUNKS_DIR = flags.DEFINE_string(
    "chunks_dir", None, "Directory with train/<number>.npz and test/<number>.npz."
)
_ENV_ID = flags.DEFINE_string("env_id", None, "Name of the game.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Directory of the datasets.")
_MAX_CHUNKS = flags.DEFINE_integer("max_chunks", -1, "Chunks of a split, -1 for all.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if not _CHUNKS_DIR.value or not _ENV_ID.value:
        raise configs.ConfigError("--chunks_dir and --env_id must be set.")
    with set_up.setting_up():
        directory = lapo_chunks.import_lapo_chunks(
            chunks_dir=_CHUNKS_DIR.value,
            env_id=_ENV_ID.value,
            data_dir=_DATA_DIR.value,
            max_chunks=_MAX_CHUNKS.value,
        )
    logging.info("Dataset: %s", directory)


if __name__ == "__main__":
    configs.run_main(main)
