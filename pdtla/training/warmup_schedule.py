"""Learning rate schedules with a linear warm-up."""

import keras
from keras import ops

_DECAYS = ("constant", "linear", "cosine")


@keras.saving.register_keras_serializable(package="pdtla")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to the peak, then stays or falls to a fraction of it.

    Args:
      peak: learning rate at the end of the warm-up.
      warmup_steps: updates until the peak is reached, 0 for none. The first update
        uses `peak / warmup_steps`, never 0.
      decay: `constant`, `linear` or `cosine`.
      total_steps: update at which the decay ends; needed unless `constant`.
      final_fraction: learning rate at the end, as a fraction of `peak`.

    Raises:
      ValueError: an argument is out of range.
    """

    def __init__(
        self,
        peak: float = 3e-4,
        warmup_steps: int = 0,
        decay: str = "constant",
        total_steps: int | None = None,
        final_fraction: float = 0.0,
    ):
        super().__init__()
        if decay not in _DECAYS:
            raise ValueError(f"decay must be one of {_DECAYS}, got {decay!r}.")
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps must be at least 0, got {warmup_steps}.")
        if decay != "constant" and not total_steps:
            raise ValueError(f"decay {decay!r} needs total_steps, got {total_steps}.")
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.decay = decay
        self.total_steps = total_steps
        self.final_fraction = final_fraction

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rate = self.peak * self._decayed(step)
        if self.warmup_steps:
            rate = rate * ops.minimum((step + 1.0) / self.warmup_steps, 1.0)
        return rate

    def _decayed(self, step):
        if self.decay == "constant":
            return ops.ones_like(step)
        span = max(self.total_steps - self.warmup_steps, 1)
        progress = ops.clip((step - self.warmup_steps) / span, 0.0, 1.0)
        if self.decay == "cosine":
            progress = 0.5 * (1.0 - ops.cos(progress * 3.141592653589793))
        return 1.0 - (1.0 - self.final_fraction) * progress

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "decay": self.decay,
            "total_steps": self.total_steps,
            "final_fraction": self.final_fraction,
        }
