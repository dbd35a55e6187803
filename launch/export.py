r"""Writes a trained policy, or a latent action model, as a SavedModel.

    python -m launch.export --run=runs/la_bc --to=exported/la_bc
    python -m launch.export --run=runs/lam --to=exported/lam

What it writes acts, or labels windows, with TensorFlow alone: see docs/export.md. The
`export.json` in it tells what goes in and out, and which run and code it is from.
"""

from absl import app, flags, logging

from launch import export_of_run
from pdtla.latent_actions import labeller as labeller_lib
from pdtla.training import configs

_RUN = flags.DEFINE_string("run", None, "Workdir of the run to export.")
_TO = flags.DEFINE_string("to", None, "Directory of the SavedModel.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace an earlier export.")
_DECODER_RUN = flags.DEFINE_string(
    "decoder_run", None, "Of a latent action model: whose decoder gives actions too."
)
_LATENT = flags.DEFINE_enum(
    "latent", "continuous", labeller_lib.LATENTS, "Which latent a labeller gives."
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if not _RUN.value or not _TO.value:
        raise configs.ConfigError("--run and --to must be set.")
    facts = export_of_run.export(
        _RUN.value,
        _TO.value,
        files=flags.FLAGS.gin_file,
        bindings=flags.FLAGS.gin_bindings,
        decoder_run=_DECODER_RUN.value,
        latent=_LATENT.value,
        overwrite=_OVERWRITE.value,
    )
    logging.info(
        "The %s of update %s, with %s: %s",
        facts["kind"],
        facts["step"],
        ", ".join(facts["functions"]),
        _TO.value,
    )


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
