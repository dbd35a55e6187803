"""What a run is made of, and the checks before it is made."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import tensorflow as tf

from pdtla import specs
from pdtla.training.config_error import ConfigError, one_line

PRECISIONS = ("float32", "mixed_bfloat16")

_SLOTS = ("stage", "dataset", "evaluator")
_POSITIVE = (
    "num_updates",
    "batch_size",
    "steps_per_loop",
    "num_evals",
    "log_every",
    "keep_checkpoints",
)
_NATURAL = ("checkpoint_every",)


class Dataset(Protocol):
    """What the `DATASET` slot makes."""

    element_spec: specs.ElementSpec
    fingerprint: str

    def train_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Infinite; the batch of a step depends on `seed` and the step alone.

        `part` is the number of one of several equal parts, and how many there are: only
        these rows of every batch are given.
        """

    def heldout_batches(self, batch_size: int) -> tf.data.Dataset:
        """One pass over the held-out data."""


def check_of_data(dataset: Dataset) -> Callable[[], None]:
    """What reads all of a dataset's files and names a damaged one in an `OSError`."""
    return getattr(getattr(dataset, "source", None), "check", lambda: None)


def metadata_of_data(dataset: Dataset) -> Mapping[str, Any]:
    """What the builder of a dataset recorded about it."""
    return getattr(getattr(dataset, "source", None), "metadata", {})


def check(settings: Mapping[str, Any]) -> None:
    """Checks what can be told of the arguments of `train` before anything is made.

    Raises:
      ValueError: one of them breaks its rule.
    """
    check_slots(**{name: settings.get(name) for name in _SLOTS})
    check_ranges(
        settings["precision"],
        positive={name: settings[name] for name in _POSITIVE},
        natural={name: settings[name] for name in _NATURAL},
    )


def check_profile(profile: tuple[int, int] | None, num_updates: int) -> None:
    """A profile is of updates that the run makes, the first one not among them."""
    if profile is not None and not 1 <= profile[0] < profile[1] <= num_updates:
        raise ValueError(
            f"profile must be FIRST:LAST with 1 <= FIRST < LAST <= {num_updates}, the "
            f"updates of the run; got {profile[0]}:{profile[1]}."
        )


def check_slots(**slots: Any) -> None:
    """A slot is a class: what it makes must see dtype policy, seeds and strategy."""
    for name, value in slots.items():
        factory = inspect.isclass(value) or inspect.isroutine(value)
        if value is not None and not factory:
            raise ValueError(
                f"{name.upper()} must be a class, {name.upper()} = @Class without "
                f"parentheses; got an object of {type(value).__name__}."
            )


def check_ranges(
    precision: str, positive: dict[str, int], natural: dict[str, int]
) -> None:
    """Checks the precision, counts of at least 1 and counts of at least 0."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {PRECISIONS}, got {precision!r}.")
    for least, values in ((1, positive), (0, natural)):
        for name, value in values.items():
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f"{name} must be an integer of at least {least}, got {value!r}."
                )


@contextlib.contextmanager
def setting_up() -> Iterator[None]:
    """Turns errors about what was asked for into `ConfigError`s."""
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, TypeError, OSError, MemoryError, tf.errors.OpError) as error:
        raise ConfigError(one_line(error)) from error
