"""`ProcgenSettings`, what a Procgen dataset holds."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar

from pdtla import specs
from pdtla.datasets import build_settings
from pdtla.environments import levels, procgen
from pdtla.experts import collect, default_expert
from pdtla.experts import expert as expert_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcgenSettings(build_settings.BuildSettings):
    """Episodes of one of the 16 games; see `BuildSettings`.

    Attributes:
      distribution_mode: Procgen's difficulty.
      use_backgrounds: whether background images are drawn.
      restrict_themes: whether each kind of object has one image only.
      epsilon: probability of a uniformly random action instead of the expert's.
    """

    distribution_mode: str = "easy"
    use_backgrounds: bool = True
    restrict_themes: bool = False
    epsilon: float = 0.0

    dataset_name: ClassVar[str] = "procgen_dataset"

    def __post_init__(self):
        procgen.check_game(self.env_id, self.distribution_mode)
        if not 0.0 <= self.epsilon <= 1.0:
            raise ValueError(f"epsilon must be 0 to 1, got {self.epsilon}.")
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

    def play(
        self,
        players: Sequence[expert_lib.Expert],
        *,
        slots: int,
        episodes_per_slot: int,
        first_episode: int,
        level_range: levels.LevelRange,
        seeds: tuple[int, int],
    ) -> Iterator[collect.Episode]:
        del first_episode
        env = procgen.Procgen(
            env_id=self.env_id,
            num_envs=slots,
            start_level=level_range.start_level,
            num_levels=level_range.num_levels,
            distribution_mode=self.distribution_mode,
            use_backgrounds=self.use_backgrounds,
            restrict_themes=self.restrict_themes,
            max_episode_steps=self.max_episode_steps,
            seed=seeds[0],
        )
        (player,) = players
        player.reseed(seeds[1])
        try:
            yield from collect.collect_episodes(
                env,
                player,
                episodes_per_slot=episodes_per_slot,
                epsilon=self.epsilon,
                seed=seeds[1],
            )
        finally:
            env.close()
