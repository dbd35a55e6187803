"""`RunFlags`: flags of a training run beside its configuration."""

from typing import NamedTuple

from absl import flags

from pdtla.training import metrics_log, strategies
from pdtla.training.sinks import weights_and_biases


class RunFlags(NamedTuple):
    """Flags of a training run, which a sweep hands on to each of its runs.

    Attributes:
      strategy: name of the distribution strategy.
      wandb: whether to mirror the record to Weights & Biases.
      wandb_project: its project there.
      wandb_mode: offline, online or disabled; None for what the environment says.
    """

    strategy: flags.FlagHolder[str]
    wandb: flags.FlagHolder[bool]
    wandb_project: flags.FlagHolder[str]
    wandb_mode: flags.FlagHolder[str | None]

    def given(self) -> list[str]:
        """The flags as arguments, those alone that are not at their defaults."""
        return [
            flags.FLAGS[holder.name].serialize()
            for holder in self
            if holder.value != holder.default
        ]

    def mirrors(self) -> tuple[metrics_log.MakeSink, ...]:
        """The mirrors of the record.

        Raises:
          ConfigError: what one of them needs is not there.
        """
        if not self.wandb.value:
            return ()
        project, mode = self.wandb_project.value, self.wandb_mode.value
        return (weights_and_biases.mirror(project, mode),)


def define() -> RunFlags:
    """Defines the flags."""
    return RunFlags(
        flags.DEFINE_enum(
            "strategy",
            "one_device",
            list(strategies.NAMES),
            "How an update is split: over all devices of this machine (mirrored), over "
            "the processes of TF_CONFIG or srun (multi_worker), over a tpu.",
        ),
        flags.DEFINE_bool("wandb", False, "Mirror the record to Weights & Biases."),
        flags.DEFINE_string("wandb_project", "pdtla", "Project of --wandb."),
        flags.DEFINE_enum(
            "wandb_mode",
            None,
            list(weights_and_biases.MODES),
            "Mode of --wandb; by default WANDB_MODE, else online with WANDB_API_KEY, "
            "else offline.",
        ),
    )
