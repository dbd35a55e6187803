"""`DecisionTransformer`: imitates actions from what led to them."""

import keras
import tensorflow as tf
from keras import ops

from pdtla import specs
from pdtla.layers.action_distributions import ActionDistribution, make_distribution
from pdtla.layers.by_observation import ByObservation, choose
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.layers.standardize import Standardize
from pdtla.policies.cached_memory import CachedMemory
from pdtla.policies.fine_tuned_policy import FineTunedPolicy
from pdtla.policies.retrieval import RetrievalPolicy
from pdtla.policies.sequence_memory import SequenceMemory
from pdtla.policies.sequence_policy import SequencePolicy
from pdtla.policies.window_memory import WindowMemory
from pdtla.stage import Batch, Policy, Scalars, Stage, action_spec, require_fields

_MEMORIES = ("ring", "refresh", "window")
_NARROW = 256


class DecisionTransformer(Stage):
    """Learns a_t from the observations up to o_t and the actions before a_t.

    With returns it also sees the return-to-go of each step, and acts towards a target
    return. With demonstrations it sees a few trajectories in front of its own.

    Args:
      encoder: of single observations, see `SequenceNetwork`.
      transformer: over the tokens of the steps.
      context_window: W, steps of its own trajectory that an action depends on.
      head: for continuous actions, see `make_distribution`.
      returns: whether steps have a token of their return-to-go.
      return_scale: what returns are divided by.
      target_return: return-to-go at the start of a rollout.
      rotary: rotary positions instead of a table of steps.
      num_timesteps: length of that table: the longest episode's steps.
      demo_conditioning: whether the dataset's prompts are seen.
      max_demos: most demonstrations of a prompt.
      stacked_demos: whether demonstrations see those before them.
      prompt_actions: whether their actions are seen, or their observations alone.
      prompt_weight: weight of the loss on the demonstrations' actions.
      dropout: of embeddings; the transformer has its own.
      memory: how rollouts remember: "ring" and "refresh", see `CachedMemory`, or
        "window", see `WindowMemory`. By default "ring" if sequences have 2W steps or
        more, and "refresh" else.
      retrieval: act by the nearest demonstrated step instead, see `RetrievalPolicy`:
        nearest by what the encoder makes of frames, or by standardised states.
      fine_tuning: updates that rollouts make on the demonstrations they are shown, with
        a model that was not taught to see any, see `FineTunedPolicy`.
      fine_tuning_rate: learning rate of these updates.

    Raises:
      ValueError: an unknown memory, or updates on what is seen too.

    Reference: Chen et al. 2021 (arXiv 2106.01345); without returns, and with
    demonstrations, Raparthy et al. 2023 (arXiv 2312.03801).
    """

    def __init__(
        self,
        encoder: keras.layers.Layer | ByObservation,
        transformer: CausalTransformer,
        context_window: int = 20,
        head: str = "deterministic",
        returns: bool = False,
        return_scale: float = 1.0,
        target_return: float = 0.0,
        rotary: bool = False,
        num_timesteps: int = 1000,
        demo_conditioning: bool = False,
        max_demos: int = 1,
        stacked_demos: bool = False,
        prompt_actions: bool = True,
        prompt_weight: float = 1.0,
        dropout: float = 0.1,
        memory: str | None = None,
        retrieval: bool = False,
        fine_tuning: int = 0,
        fine_tuning_rate: float = 1e-3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if memory not in (None, *_MEMORIES):
            raise ValueError(f"memory must be one of {_MEMORIES}, got {memory!r}.")
        if fine_tuning and demo_conditioning:
            raise ValueError(
                "fine_tuning is for models that are not shown demonstrations "
                "(DEMO_CONDITIONING = False)."
            )
        self.encoder = encoder
        self.transformer = transformer
        self.context_window = context_window
        self.head = head
        self.returns = returns
        self.return_scale = return_scale
        self.target_return = target_return
        self.num_timesteps = None if rotary else num_timesteps
        self.num_demos = max_demos if demo_conditioning else 0
        self.stacked_demos = stacked_demos
        self.prompt_actions = prompt_actions
        self.prompt_weight = prompt_weight
        self.dropout = dropout
        self.memory = memory
        self.retrieval = retrieval
        self.fine_tuning = fine_tuning
        self.fine_tuning_rate = fine_tuning_rate

    def build(self, element_spec: specs.ElementSpec) -> None:
        self._require_fields(element_spec)
        observation = element_spec[specs.OBSERVATION]
        if self.context_window > observation.shape[0]:
            raise ValueError(
                f"An action cannot depend on {self.context_window} steps "
                "(CONTEXT_WINDOW) where training sees sequences of "
                f"{observation.shape[0]} (CONTEXT_LEN)."
            )
        distribution, num_actions = self._actions(element_spec)
        self.network = SequenceNetwork(
            choose(self.encoder, observation),
            self.transformer,
            distribution,
            num_actions=num_actions,
            returns=self.returns,
            return_scale=self.return_scale,
            context_window=self.context_window,
            num_timesteps=self.num_timesteps,
            num_demos=self.num_demos,
            stacked_demos=self.stacked_demos,
            prompt_actions=self.prompt_actions,
            dropout=self.dropout,
            standardize=Standardize.of(observation),
            name="policy",
        )
        self.network.build(
            (None, *observation.shape), (None, *element_spec[self.imitated].shape)
        )
        self._sees_images = observation.is_image
        self._sequence_len = observation.shape[0]
        if self.memory is None:
            long = observation.shape[0] >= 2 * self.context_window
            self.memory = "ring" if long else "refresh"

    @property
    def imitated(self) -> str:
        """The field of the actions."""
        return specs.ACTION

    def _actions(
        self, element_spec: specs.ElementSpec
    ) -> tuple[ActionDistribution, int | None]:
        """How actions are predicted, and how many there are, None for vectors."""
        spec = action_spec(element_spec)
        return make_distribution(spec, self.head), spec.num_values

    def _require_fields(self, element_spec: specs.ElementSpec) -> None:
        fields = [specs.OBSERVATION, self.imitated, specs.TIMESTEP, specs.VALID]
        if self.returns:
            fields.append(specs.RETURN_TO_GO)
        require_fields(element_spec, *fields)
        if self.num_demos:
            require_fields(element_spec, specs.PROMPT)
            require_fields(element_spec[specs.PROMPT], *fields, specs.DEMO)

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        prompt = batch[specs.PROMPT] if self.num_demos else None
        steps = _in_front(prompt, batch)
        params = self.network(
            steps[specs.OBSERVATION],
            steps[self.imitated],
            steps[specs.TIMESTEP],
            steps[specs.VALID],
            steps[specs.RETURN_TO_GO] if self.returns else None,
            steps[specs.DEMO] if prompt else None,
            training=training,
        )
        own = batch[self.imitated].shape[1]
        on_own = self._flat(params[:, -own:], batch)
        distribution = self.network.distribution
        losses = {"action": distribution.loss(*on_own)}
        if prompt and self.prompt_weight:
            on_prompt = distribution.loss(*self._flat(params[:, :-own], prompt))
            losses["prompt"] = self.prompt_weight * on_prompt
        return losses, distribution.metrics(*on_own)

    def _flat(
        self, params: tf.Tensor, batch: Batch
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Outputs, actions and weights of all steps of a batch, in a row."""
        action, valid = batch[self.imitated], batch[specs.VALID]
        return (
            ops.reshape(params, (-1, params.shape[-1])),
            ops.reshape(action, (-1, *action.shape[2:])),
            ops.reshape(ops.cast(valid, "float32"), (-1,)),
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        return {"policy": self.network}

    def policy(self, greedy: bool = True) -> Policy | None:
        if self.retrieval:
            return RetrievalPolicy(self.features, self.label, self.act)
        policy = self.sequence_policy(greedy)
        if self.fine_tuning:
            return FineTunedPolicy(
                policy,
                self,
                self._sequence_len,
                self.fine_tuning,
                self.fine_tuning_rate,
                self.label,
            )
        return policy

    def sequence_policy(self, greedy: bool) -> SequencePolicy:
        """Acts by what the network predicts."""
        return SequencePolicy(
            self.network,
            self.make_memory(),
            greedy,
            self.target_return,
            jit_compile=self.is_small,
        )

    def label(self, prompt: Batch) -> Batch:
        """Demonstrations with the actions that are imitated; they have them."""
        return prompt

    def act(self, action: tf.Tensor, observation: tf.Tensor) -> tf.Tensor:
        """The environment's action for an imitated one, at o_t `[B, ...]`."""
        del observation
        return action

    @property
    def is_small(self) -> bool:
        """Whether XLA makes rollouts faster.

        On a CPU, it is faster at many small operations, and slower at products of wide
        matrices and at convolutions.
        """
        return self.transformer.width <= _NARROW and not self._sees_images

    def features(self, observation: tf.Tensor) -> tf.Tensor:
        """Where retrieval compares observations `[B, T, ...]`: `[B, T, F]`."""
        if observation.dtype == tf.uint8:
            return tf.cast(self.network.encode(observation), tf.float32)
        return self.network.standardize(observation)

    def make_memory(self) -> SequenceMemory:
        """What a rollout remembers by."""
        if self.memory == "window":
            return WindowMemory(self.network)
        return CachedMemory(self.network, refresh=self.memory == "refresh")


def _in_front(prompt: Batch | None, batch: Batch) -> Batch:
    """The fields of the prompt and of the trajectory in one row."""
    if prompt is None:
        return batch
    own = batch | {specs.DEMO: ops.zeros_like(batch[specs.TIMESTEP])}
    return {
        name: ops.concatenate([prompt[name], own[name]], axis=1)
        for name in own
        if name in prompt
    }
