"""TFDS builder of locomotion episodes, a config per task and mix of policies.

    pip install -r requirements-beam.txt
    cd pdtla/datasets/mujoco_dataset && tfds build --config=hopper-medium --data_dir=...

builds with the default settings (every `tfds build` needs apache-beam);
`launch.build_dataset` sets others.
"""

import tensorflow_datasets as tfds

from pdtla.datasets import mujoco_settings, rlds_builder
from pdtla.environments import locomotion


class Builder(rlds_builder.RldsBuilder):
    """MuJoCo locomotion by trained policies; see `RldsBuilder`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name=f"{task}-{mix}", description=f"Episodes of {task}, mix {mix}."
        )
        for task in locomotion.TASKS
        for mix in mujoco_settings.MIXES
    ]
    DESCRIPTION = "Gymnasium's MuJoCo v5 locomotion by trained policies, RLDS form."
    HOMEPAGE = "https://gymnasium.farama.org/environments/mujoco"

    def default_settings(self) -> mujoco_settings.MujocoSettings:
        tasks = sorted(locomotion.TASKS, key=len)
        name = self.builder_config.name
        env_id = [task for task in tasks if name.startswith(f"{task}-")][-1]
        mix = name.removeprefix(f"{env_id}-")
        return mujoco_settings.MujocoSettings(env_id=env_id, mix=mix)
