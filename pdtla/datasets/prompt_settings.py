"""`PromptSettings`, what a prompt of demonstrations is made of."""

import dataclasses

SEGMENTS = ("full", "start", "uniform", "end")
WRONG_LEVEL, SHUFFLED = "wrong_level", "shuffled"
CONTROLS = (None, WRONG_LEVEL, SHUFFLED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """What a prompt is made of.

    Attributes:
      num_demos: J, demonstrations at most.
      demo_len: H, steps of each; shorter demonstrations are padded.
      segment: which steps of longer ones: the `start`, the `end`, `uniform` ones in a
        row, or of none of them any but the `full` episode, which must then fit.
      control: None; or what a prompt must not help with, if it helps at all:
        `wrong_level`, demonstrations on another level, or `shuffled`, the right ones
        with the steps of each in any order, under the timesteps of the right one.
    """

    num_demos: int = 1
    demo_len: int = 20
    segment: str = "uniform"
    control: str | None = None

    def __post_init__(self):
        if self.num_demos < 0:
            raise ValueError(f"num_demos must be at least 0, got {self.num_demos}.")
        if self.demo_len < 1:
            raise ValueError(f"demo_len must be at least 1, got {self.demo_len}.")
        if self.segment not in SEGMENTS:
            raise ValueError(f"segment must be of {SEGMENTS}, got {self.segment!r}.")
        if self.control not in CONTROLS:
            raise ValueError(f"control must be of {CONTROLS}, got {self.control!r}.")
