"""TFDS builder of Procgen episodes, a config per game.

    pip install -r requirements-beam.txt
    cd pdtla/datasets/procgen_dataset && tfds build --config=maze --data_dir=...

builds with the default settings (every `tfds build` needs apache-beam);
`launch.build_dataset` sets others.
"""

import tensorflow_datasets as tfds

from pdtla.datasets import procgen_settings, rlds_builder
from pdtla.environments import procgen


class Builder(rlds_builder.RldsBuilder):
    """Procgen played by an expert; see `RldsBuilder`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=game, description=f"Episodes of {game}.")
        for game in procgen.GAMES
    ]
    DESCRIPTION = "Procgen (Cobbe et al. 2020) played by an expert, RLDS form."
    HOMEPAGE = "https://github.com/openai/procgen"

    def default_settings(self) -> procgen_settings.ProcgenSettings:
        return procgen_settings.ProcgenSettings(env_id=self.builder_config.name)
