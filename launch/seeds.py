"""The flag `--seeds` of programs that compare methods."""

from collections.abc import Callable

from absl import flags

from pdtla.training import configs


def define(text: str) -> Callable[[], list[int]]:
    """Defines `--seeds`, and returns what reads it.

    Args:
      text: what the seeds are of.

    Returns:
      A function without arguments, to be called once flags are parsed; it raises a
      `ConfigError` where they are not different natural numbers.
    """
    holder = flags.DEFINE_list("seeds", "0", text)
    return lambda: parse(holder.value)


def parse(texts: list[str]) -> list[int]:
    """Reads the numbers.

    Raises:
      ConfigError: there is none, one is no natural number, or one comes twice.
    """
    seeds = [int(text) for text in texts if text.isdecimal()]
    if not seeds or len(set(seeds)) < len(texts):
        raise configs.ConfigError(
            f"--seeds must be different integers of at least 0, got {texts}."
        )
    return seeds
