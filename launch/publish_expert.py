r"""Puts the policies of a run where datasets find them, with what they score.

    python -m launch.publish_expert --run=runs/experts/halfcheetah \
        --command="python -m launch.train_expert \
        --gin_file=gin/presets/experts/halfcheetah.gin"
"""

from absl import app, flags

from pdtla.experts import mujoco_expert
from pdtla.online import publish
from pdtla.training import configs

_RUN = flags.DEFINE_string("run", None, "Workdir of the run.", required=True)
_COMMAND = flags.DEFINE_string("command", None, "What trained it.", required=True)
_DIRECTORY = flags.DEFINE_string(
    "directory", str(mujoco_expert.CHECKPOINTS), "Where to, by default the package."
)
_EPISODES = flags.DEFINE_integer("episodes", 50, "Episodes that measure a policy.")
_LEVEL = flags.DEFINE_string(
    "level", None, "Publish the last policy alone, under this name."
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    try:
        publish.publish(
            _RUN.value,
            command=_COMMAND.value,
            directory=_DIRECTORY.value,
            episodes=_EPISODES.value,
            level=_LEVEL.value,
        )
    except ValueError as error:
        raise configs.ConfigError(configs.one_line(error)) from error


if __name__ == "__main__":
    configs.run_main(main)
