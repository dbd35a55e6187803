"""`MetaworldSettings`, what a Meta-World dataset holds."""

import dataclasses
from typing import ClassVar

from pdtla import specs
from pdtla.datasets import rlds_writer, single_player_settings
from pdtla.environments import levels, metaworld
from pdtla.experts import collect, metaworld_expert
from pdtla.experts import expert as expert_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetaworldSettings(single_player_settings.SinglePlayerSettings):
    """Episodes of one Meta-World task, by its script.

    The dataset is `<task>`, or `<task>-noisy` if some of the actions are random.

    Attributes:
      images: observe pictures instead of states; the dataset is `<task>-images` then.
      camera: where pictures are taken from.
      end_on_success: end episodes at their first success.
      successes_only: store no episode without a success; more are played for it.
    """

    images: bool = False
    camera: str = "corner"
    end_on_success: bool = False
    successes_only: bool = True
    max_episode_steps: int = 500

    dataset_name: ClassVar[str] = "metaworld_dataset"
    # Side by side these environments are no faster, and pictures take memory.
    slots: ClassVar[int] = 1
    # A script that solves less than one episode in so many is given up.
    attempts: ClassVar[int] = 10
    episode_fields: ClassVar[tuple[str, ...]] = (rlds_writer.SUCCESS,)

    def __post_init__(self):
        # The many names of a task name one dataset.
        object.__setattr__(self, "env_id", metaworld.task_name(self.env_id))
        metaworld.check_camera(self.camera)
        super().__post_init__()

    @property
    def config_name(self) -> str:
        images = "-images" if self.images else ""
        noisy = "-noisy" if self.epsilon else ""
        return f"{self.env_id}{images}{noisy}"

    @property
    def observation_spec(self) -> specs.ArraySpec:
        return metaworld.IMAGE_SPEC if self.images else metaworld.STATE_SPEC

    @property
    def action_spec(self) -> specs.ArraySpec:
        return metaworld.ACTION_SPEC

    def players(
        self, expert: expert_lib.Expert | None = None
    ) -> tuple[expert_lib.Expert, ...]:
        return (expert or metaworld_expert.MetaworldExpert(self.env_id),)

    def make_environment(
        self, num_envs: int, level_range: levels.LevelRange, seed: int
    ) -> metaworld.MetaWorld:
        return metaworld.MetaWorld(
            env_id=self.env_id,
            num_envs=num_envs,
            start_level=level_range.start_level,
            num_levels=level_range.num_levels,
            max_episode_steps=self.max_episode_steps,
            end_on_success=self.end_on_success,
            images=self.images,
            camera=self.camera,
            seed=seed,
        )

    def keeps(self, episode: collect.Episode) -> bool:
        return bool(episode.success) or not self.successes_only
