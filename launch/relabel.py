r"""Writes what a trained run infers about every transition beside the dataset.

    python -m launch.relabel --run=runs/lam --name=lam [--decoder_run=runs/decoder]

The dataset is the one that the run was trained on, unless gin flags name another.
With `--engine=beam --beam_options=...` an Apache Beam pipeline labels, on this machine,
Flink, Spark or Dataflow.
"""

import os

import gin
from absl import app, flags, logging

from launch import engine_flags
from pdtla.datasets import rlds_reader
from pdtla.latent_actions import labeller as labeller_lib
from pdtla.latent_actions import relabel as relabel_lib
from pdtla.training import configs, set_up

_RUN = flags.DEFINE_string("run", None, "Workdir whose modules infer the latents.")
_DECODER_RUN = flags.DEFINE_string(
    "decoder_run", None, "Workdir whose decoder turns them into actions as well."
)
_NAME = flags.DEFINE_string("name", None, "Name of the set of latents.")
_LATENT = flags.DEFINE_enum(
    "latent", "continuous", labeller_lib.LATENTS, "Which latent to store."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 512, "Windows in a forward pass.")
_ENGINE = engine_flags.define()


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if not _RUN.value or not _NAME.value:
        raise configs.ConfigError("--run and --name must be set.")
    config = os.path.join(_RUN.value, "config.gin")
    if not os.path.exists(config):
        raise configs.ConfigError(f"There is no run in {_RUN.value}: no config.gin.")
    configs.parse_gin(
        [config, *flags.FLAGS.gin_file],
        flags.FLAGS.gin_bindings,
        roots=[rlds_reader.RldsReader],
        base_file=None,
    )
    options = _ENGINE.beam_options()
    with set_up.setting_up():
        source = gin.get_configurable(rlds_reader.RldsReader)()
        labeller = labeller_lib.Labeller(_RUN.value, _DECODER_RUN.value, _LATENT.value)
        try:
            store = relabel_lib.relabel(
                source=source,
                labeller=labeller,
                name=_NAME.value,
                batch_size=_BATCH_SIZE.value,
                beam_options=options,
            )
        except RuntimeError as error:
            raise configs.RunError(configs.one_line(error)) from error
    logging.info("Latents: %s", store.directory)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
