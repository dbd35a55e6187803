"""`SequenceNetwork`: predicts an action at each observation of a trajectory."""

import math

import keras
from keras import ops

from pdtla.layers.action_distributions import ActionDistribution
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.frame_stack import to_float
from pdtla.layers.sequence_mask import sequence_mask
from pdtla.layers.standardize import Standardize
from pdtla.layers.token_embedding import TokenEmbedding


@keras.saving.register_keras_serializable(package="pdtla")
class SequenceNetwork(keras.layers.Layer):
    """A causal transformer over observations and actions, and returns by choice.

    The tokens of a step are [R_t], s_t, a_t. The distribution of a_t is predicted at
    s_t, which sees neither a_t nor what comes after it. Actions are what the policy
    chooses from step to step: those of the environment, or latent ones.

    Args:
      encoder: from single observations, `[N, H, W, C]` or `[N, D]`, to `[N, F]`; it
        sees each frame once, not once a window.
      transformer: over the tokens.
      distribution: of the actions that are predicted.
      num_actions: number of categories where the actions fed are categories, or codes
        of as many values; None where they are vectors.
      returns: whether steps have a token of their return-to-go.
      return_scale: what returns are divided by.
      context_window: steps of its own trajectory that a token sees.
      num_timesteps: see `TokenEmbedding`; None for rotary positions.
      num_demos: demonstrations that may precede a trajectory.
      stacked_demos: whether these see one another, see `sequence_mask`.
      prompt_actions: whether the actions of demonstrations are seen, or their
        observations alone.
      dropout: see `TokenEmbedding`.
      standardize: what states go through first; by default nothing.

    Call arguments:
      observation: uint8 `[B, T, H, W, C]` or float `[B, T, D]`.
      action: int32 `[B, T]` or `[B, T, M]`, or float `[B, T, A]`.
      timestep: int32 `[B, T]`, step within the episode.
      valid: bool `[B, T]`, what may be seen.
      return_to_go: float32 `[B, T]`, unscaled; where `returns` is set.
      segment: int32 `[B, T]`, 0 for the trajectory, which comes last, and 1.. for the
        demonstrations before it; None if there are none.

    Returns:
      float32 `[B, T, distribution.num_params]`.

    Raises:
      ValueError: a window below 1, or no returns where they are needed.

    Reference: Chen et al. 2021 (arXiv 2106.01345); Raparthy et al. 2023 (arXiv
    2312.03801) for demonstrations in front.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        transformer: CausalTransformer,
        distribution: ActionDistribution,
        num_actions: int | None = None,
        returns: bool = False,
        return_scale: float = 1.0,
        context_window: int = 20,
        num_timesteps: int | None = 1000,
        num_demos: int = 0,
        stacked_demos: bool = False,
        prompt_actions: bool = True,
        dropout: float = 0.0,
        standardize: keras.layers.Layer | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if context_window < 1:
            raise ValueError(f"context_window must be at least 1, got {context_window}")
        self.encoder = encoder
        self.transformer = transformer
        self.distribution = distribution
        self.num_actions = num_actions
        self.returns = returns
        self.return_scale = return_scale
        self.context_window = context_window
        self.num_timesteps = num_timesteps
        self.num_demos = num_demos
        self.stacked_demos = stacked_demos
        self.prompt_actions = prompt_actions
        self.dropout = dropout
        self.standardize = standardize or Standardize()
        width, policy = transformer.width, {"dtype": self.dtype_policy}
        # The bias of each projection is the embedding of its kind of token.
        self.observation_projection = keras.layers.Dense(
            width, name="observation_projection", **policy
        )
        self.action_projection = keras.layers.Dense(
            width, name="action_projection", **policy
        )
        self.return_projection = None
        if returns:
            self.return_projection = keras.layers.Dense(
                width, name="return_projection", **policy
            )
        self.embedding = TokenEmbedding(
            num_timesteps, num_demos + 1, dropout, name="embedding", **policy
        )
        self.head = keras.layers.Dense(
            distribution.num_params, dtype="float32", name="head"
        )
        # States come in float32 and are rounded after they were standardised.
        self.autocast = False

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one step, k."""
        return 3 if self.returns else 2

    def build(
        self,
        observation_shape: tuple[int | None, ...],
        action_shape: tuple[int | None, ...],
    ) -> None:
        self.standardize.build(observation_shape)
        frame_shape = (None, *observation_shape[2:])
        if not self.encoder.built:  # a deserialised one is
            self.encoder.build(frame_shape)
        features = self.encoder.compute_output_shape(frame_shape)
        self.observation_projection.build((None, None, features[-1]))
        width = math.prod(action_shape[2:]) * (self.num_actions or 1)
        self.action_projection.build((None, None, width))
        if self.returns:
            self.return_projection.build((None, None, 1))
        tokens = (None, None, self.transformer.width)
        self.embedding.build(tokens)
        if not self.transformer.built:
            self.transformer.build(tokens)
        self.head.build(tokens)
        self.built = True

    def call(
        self,
        observation,
        action,
        timestep,
        valid,
        return_to_go=None,
        segment=None,
        training: bool = False,
    ):
        tokens = self.embed(
            observation,
            action,
            timestep,
            timestep,
            return_to_go,
            segment,
            training=training,
        )
        _, steps, size, width = tokens.shape
        tokens = ops.reshape(tokens, (-1, steps * size, width))
        if segment is None:
            segment = ops.zeros_like(timestep)
        step = self.of_tokens(timestep)
        visible = sequence_mask(
            self.of_tokens(segment),
            step,
            self.seen(valid, segment),
            self.context_window,
            self.stacked_demos,
        )
        outputs = self.transformer(
            tokens, visible, self.positions(step), training=training
        )
        k = self.tokens_per_step
        return self.head(ops.cast(outputs[:, k - 2 :: k], "float32"))

    def embed(
        self,
        observation,
        action,
        timestep,
        action_timestep,
        return_to_go=None,
        segment=None,
        training: bool = False,
    ):
        """The tokens of steps, `[B, T, k, W]`, in the order [R], s, a.

        Args as in a call, but the actions have timesteps of their own.
        """
        if self.num_actions is not None:
            action = ops.one_hot(action, self.num_actions)
            # Codes side by side: the token is the sum of their embeddings.
            width = math.prod(action.shape[2:])
            action = ops.reshape(action, (-1, action.shape[1], width))
        values = [
            self.observation_projection(self.encode(observation, training)),
            self.action_projection(ops.cast(action, self.compute_dtype)),
        ]
        times = [timestep, action_timestep]
        if self.returns:
            if return_to_go is None:
                raise ValueError("The network needs returns-to-go, got none.")
            scaled = return_to_go[..., None] / self.return_scale
            values.insert(0, self.return_projection(scaled))
            times.insert(0, timestep)
        if self.num_demos:
            if segment is None:
                segment = ops.zeros_like(timestep)
            segment = self.of_tokens(segment)
        values = ops.stack(values, axis=2)
        shape = (-1, values.shape[1] * len(times), values.shape[-1])
        tokens = self.embedding(
            ops.reshape(values, shape),
            ops.reshape(ops.stack(times, axis=2), shape[:2]),
            segment,
            training=training,
        )
        return ops.reshape(tokens, (-1, *values.shape[1:]))

    def encode(self, observation, training: bool = False):
        """Features `[B, T, F]` of observations `[B, T, ...]`, each by itself."""
        frames = to_float(self.standardize(observation), self.compute_dtype)
        features = self.encoder(
            ops.reshape(frames, (-1, *frames.shape[2:])), training=training
        )
        return ops.reshape(features, (-1, frames.shape[1], features.shape[-1]))

    def of_tokens(self, of_steps):
        """What each step's tokens have in common, `[B, T]`, as `[B, T * k]`."""
        return ops.repeat(of_steps, self.tokens_per_step, axis=1)

    def seen(self, valid, segment):
        """Which tokens of steps `[B, T]` may be seen, `[B, T * k]`."""
        valid = self.of_tokens(valid)
        if self.prompt_actions:
            return valid
        k = self.tokens_per_step
        is_action = ops.arange(valid.shape[1]) % k == k - 1
        return valid & ~(is_action & (self.of_tokens(segment) > 0))

    def positions(self, step):
        """Rotary positions of tokens of steps `[B, L]`, or None."""
        return step if self.num_timesteps is None else None

    def compute_output_shape(self, observation_shape, *other_shapes):
        del other_shapes
        return (*observation_shape[:2], self.distribution.num_params)

    def get_config(self) -> dict:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "encoder": serialize(self.encoder),
            "transformer": serialize(self.transformer),
            "distribution": serialize(self.distribution),
            "num_actions": self.num_actions,
            "returns": self.returns,
            "return_scale": self.return_scale,
            "context_window": self.context_window,
            "num_timesteps": self.num_timesteps,
            "num_demos": self.num_demos,
            "stacked_demos": self.stacked_demos,
            "prompt_actions": self.prompt_actions,
            "dropout": self.dropout,
            "standardize": serialize(self.standardize),
        }

    @classmethod
    def from_config(cls, config: dict) -> "SequenceNetwork":
        config = dict(config)
        for name in ("encoder", "transformer", "distribution", "standardize"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
