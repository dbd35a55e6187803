"""`Expert`, a policy that may read the simulator's state."""

import abc

import numpy as np

from pdtla.environments import procgen, vector_environment


class Expert(abc.ABC):
    """Chooses actions for N environments, from observations or from the true state.

    Attributes:
      name: short name, for the metadata of a dataset.
    """

    name: str

    @abc.abstractmethod
    def act(
        self,
        env: vector_environment.VectorEnvironment,
        timestep: vector_environment.TimeStep,
    ) -> np.ndarray:
        """Chooses the next actions.

        Args:
          env: the environments, to read their state from; they are not changed.
          timestep: what they show now.

        Returns:
          The actions, int32 `[N]`, of actions with the same effect always the same one,
          or float32 `[N, A]`.
        """

    def settings(self) -> dict[str, object]:
        """What decides how it plays, for the metadata: its public attributes."""
        return {name: value for name, value in vars(self).items() if name[0] != "_"}

    def reseed(self, seed: int) -> None:  # noqa: B027
        """Begins other random choices; nothing to do for an expert without any."""


def check_plays(expert: Expert, env: procgen.Procgen, game: str) -> None:
    """Raises a `ValueError` if an expert for one game is given another."""
    if env.env_id != game:
        raise ValueError(f"The {expert.name} plays {game}, got {env.env_id}.")
