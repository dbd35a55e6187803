"""`ProcgenSettings`, what a Procgen dataset holds."""

import dataclasses
from typing import ClassVar

from pdtla import specs
from pdtla.datasets import single_player_settings
from pdtla.environments import levels, procgen
from pdtla.experts import default_expert
from pdtla.experts import expert as expert_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcgenSettings(single_player_settings.SinglePlayerSettings):
    """Episodes of one of the 16 games; see `SinglePlayerSettings`.

    Attributes:
      distribution_mode: Procgen's difficulty.
      use_backgrounds: whether background images are drawn.
      restrict_themes: whether each kind of object has one image only.
    """

    distribution_mode: str = "easy"
    use_backgrounds: bool = True
    restrict_themes: bool = False

    dataset_name: ClassVar[str] = "procgen_dataset"

    def __post_init__(self):
        procgen.check_game(self.env_id, self.distribution_mode)
        super().__post_init__()

    @property
    def observation_spec(self) -> specs.ArraySpec:
        return specs.ArraySpec((64, 64, 3), "uint8")

    @property
    def action_spec(self) -> specs.ArraySpec:
        return specs.ArraySpec((), "int32", num_values=procgen.NUM_ACTIONS)

    def players(
        self, expert: expert_lib.Expert | None = None
    ) -> tuple[expert_lib.Expert, ...]:
        return (expert or default_expert.default_expert(self.env_id, self.seed),)

    def make_environment(
        self, num_envs: int, level_range: levels.LevelRange, seed: int
    ) -> procgen.Procgen:
        return procgen.Procgen(
            env_id=self.env_id,
            num_envs=num_envs,
            start_level=level_range.start_level,
            num_levels=level_range.num_levels,
            distribution_mode=self.distribution_mode,
            use_backgrounds=self.use_backgrounds,
            restrict_themes=self.restrict_themes,
            max_episode_steps=self.max_episode_steps,
            seed=seed,
        )
