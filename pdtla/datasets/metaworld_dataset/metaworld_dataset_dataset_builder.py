"""TFDS builder of Meta-World episodes, a config per task, of states or pictures.

    pip install -r requirements-beam.txt
    cd pdtla/datasets/metaworld_dataset && tfds build --config=reach --data_dir=...

builds with the default settings (every `tfds build` needs apache-beam);
`launch.build_dataset` sets others.
"""

import tensorflow_datasets as tfds

from pdtla.datasets import metaworld_settings, rlds_builder
from pdtla.environments import metaworld

_IMAGES, _NOISY = "-images", "-noisy"


class Builder(rlds_builder.RldsBuilder):
    """Meta-World played by its scripts; see `RldsBuilder`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name=task + kind, description=f"Episodes of {task}{kind}."
        )
        for task in metaworld.TASKS
        for kind in ("", _IMAGES, _NOISY, _IMAGES + _NOISY)
    ]
    DESCRIPTION = "Meta-World (Yu et al. 2019) played by its scripts, RLDS form."
    HOMEPAGE = "https://metaworld.farama.org"

    def default_settings(self) -> metaworld_settings.MetaworldSettings:
        name = self.builder_config.name
        noisy = name.endswith(_NOISY)
        name = name.removesuffix(_NOISY)
        return metaworld_settings.MetaworldSettings(
            env_id=name.removesuffix(_IMAGES),
            images=name.endswith(_IMAGES),
            epsilon=0.5 if noisy else 0.0,
            successes_only=not noisy,
        )
