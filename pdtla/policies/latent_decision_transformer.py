"""`LatentDecisionTransformer`: imitates latent actions, prompted by observations."""

import keras
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.labeller import LATENTS, Labeller
from pdtla.layers.action_distributions import ActionDistribution, Deterministic
from pdtla.layers.latent_codes import LatentCodes
from pdtla.policies.decision_transformer import DecisionTransformer
from pdtla.policies.latent_sequence_policy import LatentSequencePolicy, label_prompt
from pdtla.stage import Batch, Policy

IMITATED = (specs.LATENT_ACTION, specs.LATENT_CODE, specs.ACTION)


class LatentDecisionTransformer(DecisionTransformer):
    """A Decision Transformer whose actions are those that a model inferred.

    It learns z_t from the observations up to o_t and the latents before z_t; no action
    is seen. As z_t explains o_{t+1}, nothing up to o_t sees it. Demonstrations need no
    actions either: the model labels them when they are shown.

    Args:
      label_run: workdir of the run that made the labels beside the dataset: of a latent
        action model, or of a supervised one whose actions are imitated (VPT). Without
        one the stage trains but does not act.
      decoder_run: workdir of the run whose `decoder` module maps latents to actions, by
        default that of the labels.
      imitate: "latent_action"; "latent_code", whose M codes are predicted side by side
        and looked up for the decoder; or "action", for actions that the model inferred.
      hindsight: remember in rollouts what the model infers from what was seen, as in
        training, instead of what was predicted.
      **kwargs: see `DecisionTransformer`.

    Raises:
      ValueError: another field to imitate.
    """

    def __init__(
        self,
        *args,
        label_run: str | None = None,
        decoder_run: str | None = None,
        imitate: str = specs.LATENT_ACTION,
        hindsight: bool = True,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        if imitate not in IMITATED:
            raise ValueError(f"imitate must be one of {IMITATED}, got {imitate!r}.")
        self.imitate = imitate
        self.label_run = label_run
        self.decoder_run = decoder_run
        self.hindsight = hindsight
        self.labeller = None

    @property
    def imitated(self) -> str:
        return self.imitate

    def build(self, element_spec: specs.ElementSpec) -> None:
        super().build(element_spec)
        if self.label_run is not None:
            # No layer: checkpoints leave it alone, and evaluations may name another.
            self.labeller = self._make_labeller(element_spec[self.imitate])

    def _actions(
        self, element_spec: specs.ElementSpec
    ) -> tuple[ActionDistribution, int | None]:
        if self.imitate == specs.ACTION:
            return super()._actions(element_spec)
        spec = element_spec[self.imitate]
        if self.imitate == specs.LATENT_ACTION:
            return Deterministic(spec.shape[-1], bounded=False), None
        if spec.num_values is None:
            raise ValueError("The latents do not tell how many codes there are.")
        return LatentCodes(spec.shape[-1], spec.num_values), spec.num_values

    def _make_labeller(self, spec: specs.ArraySpec) -> Labeller:
        """The model, in the form in which it made the labels of the dataset.

        Raises:
          ValueError: it made others.
        """
        others = []
        for latent in LATENTS:
            labeller = Labeller(self.label_run, self.decoder_run, latent)
            made = labeller.fields.get(self.imitate)
            if made is not None and made.shape == spec.shape[1:]:
                if spec.made_by in (None, made.made_by):  # older ones do not tell
                    return labeller
                others.append(made)
        if others:
            raise ValueError(
                f"The {self.imitate} beside the dataset was made by another model than "
                f"that of {self.label_run} (LAM_RUN)."
            )
        raise ValueError(
            f"{self.label_run} infers {labeller.fields}, which is not the "
            f"{self.imitate} {spec.shape[1:]} of the dataset."
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        modules = super().modules()
        decoder = self.labeller and self.labeller.decoder
        if decoder is not None and self.imitate != specs.ACTION:
            modules["decoder"] = decoder
        return modules

    def policy(self, greedy: bool = True) -> Policy | None:
        if self.labeller is None or self.labeller.decoder is None:
            return None
        return super().policy(greedy)

    def sequence_policy(self, greedy: bool) -> LatentSequencePolicy:
        return LatentSequencePolicy(
            self.network,
            self.make_memory(),
            greedy,
            self.target_return,
            self.is_small,
            labeller=self.labeller,
            label=self.imitate,
            act=self.act,
            hindsight=self.hindsight,
        )

    def label(self, prompt: Batch) -> Batch:
        labelled = label_prompt(prompt, self.labeller, self.imitate)
        return labelled | {self.imitate: labelled[specs.ACTION]}

    def act(self, action: tf.Tensor, observation: tf.Tensor) -> tf.Tensor:
        if self.imitate == specs.ACTION:
            return action
        if self.imitate == specs.LATENT_CODE:
            action = self.labeller.vq.codes_to_latent(action)
        decoder = self.labeller.decoder
        return decoder.distribution.mode(decoder(action, observation[:, None]))
