"""`Labeller`: infers latents, codes and actions of windows with a trained run."""

import dataclasses
import hashlib
import pathlib

import tensorflow as tf

from pdtla import specs
from pdtla.layers.module_io import load_module, read_digest

LATENTS = ("continuous", "quantized")


class Labeller:
    """Labels windows o_{t-k..t+K} with what a run's modules infer from them.

    A run of a latent action model has the modules `idm` and `vq`, one of a supervised
    IDM has `idm` and `decoder`, a joint one has all three. The decoder may also come
    from another run that was fitted on the latents of this one.

    Args:
      run: workdir whose modules infer the latent.
      decoder_run: workdir whose `decoder` module turns latents into actions; None uses
        the run's own where it has one.
      latent: "continuous", the latent before quantisation, which LAPO imitates and
        decodes (arXiv 2312.10812), or "quantized".

    Attributes:
      num_frames: T, the observations of a window.
      window: spec of a window.
      vq: the quantizer, or None.
      decoder: from latents to actions, or None.
      future: K, how many of them follow o_t: 1 but for hierarchical models and
        multi-step ones.
      fields: spec of one step of every field that `label` returns.
      fingerprint: hex digest of the modules' weights and of the settings.

    Raises:
      ValueError: a module is missing or damaged, or the decoder takes latents of
        another width.
    """

    def __init__(
        self, run: str, decoder_run: str | None = None, latent: str = "continuous"
    ):
        if latent not in LATENTS:
            raise ValueError(f"latent must be one of {LATENTS}, got {latent!r}.")
        self._latent = latent
        self._arguments = (run, decoder_run, latent)
        directories = {"idm": _module(run, "idm")}
        self._idm = load_module(directories["idm"])
        self.vq = self.decoder = None
        if _module(run, "vq").exists():
            directories["vq"] = _module(run, "vq")
            self.vq = load_module(directories["vq"])
        if decoder_run or _module(run, "decoder").exists():
            directories["decoder"] = _module(decoder_run or run, "decoder")
            self.decoder = load_module(directories["decoder"])
            self._check_decoder(decoder_run or run)
        shape = tuple(self._idm.get_build_config()["input_shape"][1:])
        dtype = "uint8" if len(shape) == 4 else "float32"
        self.window = specs.ArraySpec(shape, dtype)
        self.num_frames = shape[0]
        self.future = getattr(self._idm, "future", 1)
        digests = {name: read_digest(path) for name, path in directories.items()}
        # Latents of such models were once written beside other steps.
        horizon = getattr(self._idm, "horizon", 1)
        ahead = [f"horizon {horizon}"] if horizon != 1 else []
        self.fingerprint = _digest(latent, *digests, *digests.values(), *ahead)
        digests.pop("decoder", None)
        codes = [*digests.values(), *ahead]
        made_by = {
            specs.LATENT_ACTION: _digest(latent, *codes),
            specs.LATENT_CODE: _digest(*codes),
            specs.ACTION: self.fingerprint,
        }
        self.fields = {
            name: dataclasses.replace(spec, made_by=made_by[name])
            for name, spec in self._field_specs().items()
        }

    def __reduce__(self) -> tuple:
        """Another process loads the modules anew."""
        return Labeller, self._arguments

    @tf.function(reduce_retracing=True)
    def label(self, observation: tf.Tensor) -> dict[str, tf.Tensor]:
        """Labels uint8 or float windows `[B, T, ...]`.

        Returns:
          `latent_action` float32 `[B, D]` and, where there are a quantizer and a
          decoder, `latent_code` int32 `[B, M]` and `action`, int32 `[B]` or float32
          `[B, A]`.
        """
        latent = self._idm(observation)
        if self._idm.over_windows:  # the latent of the last transition
            latent = latent[:, -1]
        labels = {}
        if self.vq is not None:
            code = self.vq(latent)
            if "codes" in code:
                labels[specs.LATENT_CODE] = code["codes"]
            if self._latent == "quantized":
                latent = code["quantized"]
        labels[specs.LATENT_ACTION] = latent
        if self.decoder is not None:
            now = self.num_frames - 1 - self.future
            params = self.decoder(latent, observation[:, now : now + 1])
            labels[specs.ACTION] = self.decoder.distribution.mode(params)
        return labels

    def _check_decoder(self, run: str) -> None:
        if self.decoder.input_dim != self._idm.output_dim:
            raise ValueError(
                f"The decoder of {run} takes latents of width "
                f"{self.decoder.input_dim}; this IDM's have {self._idm.output_dim}."
            )

    def _field_specs(self) -> dict[str, specs.ArraySpec]:
        window = tf.TensorSpec([1, *self.window.shape], self.window.dtype)
        outputs = self.label.get_concrete_function(window).structured_outputs
        fields = {
            name: specs.ArraySpec(tuple(output.shape[1:]), output.dtype.name)
            for name, output in outputs.items()
        }
        if specs.LATENT_CODE in fields:
            fields[specs.LATENT_CODE] = dataclasses.replace(
                fields[specs.LATENT_CODE], num_values=self.vq.num_codes
            )
        if self.decoder is not None:
            fields[specs.ACTION] = self.decoder.distribution.action_spec()
        return fields


def _digest(*words: str) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def _module(run: str, name: str) -> pathlib.Path:
    return pathlib.Path(run) / "modules" / name
