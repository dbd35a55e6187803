"""`Study`, the runs of every method that learns from few labels."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from launch import chain as chain_lib
from launch import few_labels_family as family_lib
from pdtla.analysis import results as results_lib
from pdtla.training import configs

METHODS = (
    "bc_labels",
    "vpt",
    "vpt_linear",
    "la_bc_vq",
    "la_bc",
    "la_bc_joint",
    "la_bc_joint_zo",
    "lapo_plus",
)
# Which file of the preset has the numbers of what the labels are fitted with.
NUMBERS = {"bc": "policy_few", "joint": "lam", "vpt": "vpt"}


class Labels(NamedTuple):
    """Which labels a method gets.

    Attributes:
      text: as given, for instance "noisy:128".
      pool: where they come from.
      macros: how many, for a run on the pool's dataset.
      joint: the same for a joint run.
      numbers: the preset's files for what they are fitted with, keys as in `NUMBERS`.
    """

    text: str
    pool: str
    macros: dict[str, int]
    joint: dict[str, int]
    numbers: Mapping[str, str]


class Study:
    """One environment, one seed: the runs of every method.

    What sees no label is trained once: the latent action models without labels, and
    the policies over their latents, which then act through the decoder of each number
    of labels.

    Args:
      chain: runs the stages.
      env_id: the environment.
      seed: of the training and of the choice of labels.
    """

    def __init__(self, chain: chain_lib.Chain, env_id: str, seed: int):
        self._chain = chain
        self._env_id = env_id
        self._where = f"seed-{seed}"
        self._family = family_lib.family_of(env_id)
        self._expert = self._family.dataset(family_lib.EXPERT, env_id)
        self._given = {"ENV_ID": env_id, "SEED": seed, "DATASET_NAME": self._expert}

    def run(self, method: str, labels: Labels | None) -> results_lib.Results:
        """Trains a method on its labels and rolls it out, unless that is done.

        Args:
          method: of `METHODS`, or any other name for cloning with all labels.
          labels: which ones; None for all.

        Returns:
          The section `rollouts` of its results.
        """
        if labels is None:
            return self._train(f"{self._where}/{method}", "bc", "policy")["rollouts"]
        prefix = f"{self._where}/{labels.text.replace(':', '-')}"
        return getattr(self, f"_{method}")(prefix, labels)

    def _train(
        self, name: str, stage: str, numbers: str, **bindings: Any
    ) -> results_lib.Results:
        return self._chain.train(name, stage, numbers, **(self._given | bindings))

    def _dataset(self, labels: Labels) -> str:
        return self._family.dataset(labels.pool, self._env_id)

    def _supervised(self, labels: Labels) -> dict[str, Any]:
        """Bindings of a run on the labels alone, its states scaled as the expert's."""
        dataset = self._dataset(labels)
        bindings = {"DATASET_NAME": dataset} | labels.macros
        if dataset != self._expert:
            bindings["files"] = ["gin/data/statistics.gin"]
            bindings["STATISTICS_DATASET"] = self._expert
        return bindings

    def _relabel(self, model: str, pools: tuple[str, ...] = ()) -> str:
        """Latents of a model beside the expert's dataset and those of these pools."""
        name = model.replace("/", "-")
        for pool in dict.fromkeys((family_lib.EXPERT, *pools)):
            self._chain.relabel(name, model, **self._family.source(pool, self._env_id))
        return name

    def _bc_labels(self, prefix: str, labels: Labels) -> results_lib.Results:
        return self._train(
            f"{prefix}/bc_labels",
            "bc",
            labels.numbers["bc"],
            **self._supervised(labels),
        )["rollouts"]

    def _vpt(
        self, prefix: str, labels: Labels, numbers: str | None = None
    ) -> results_lib.Results:
        method, numbers = numbers or "vpt", numbers or labels.numbers["vpt"]
        model = f"{prefix}/{method}_idm"
        self._train(model, "vpt", numbers, **self._supervised(labels))
        return self._clone_labels(f"{prefix}/{method}", model)

    def _vpt_linear(self, prefix: str, labels: Labels) -> results_lib.Results:
        return self._vpt(prefix, labels, "vpt_linear")

    def _clone_labels(self, name: str, model: str) -> results_lib.Results:
        """Behavioural cloning of the actions that a model infers."""
        latents = self._relabel(model)
        return self._train(
            name,
            "bc",
            "policy",
            LOAD_LATENT_ACTIONS=latents,
            REPLACE_ACTION_WITH_LA=True,
        )["rollouts"]

    def _la_bc(
        self, prefix: str, labels: Labels, numbers: str = "lam"
    ) -> results_lib.Results:
        method = "la_bc" if numbers == "lam" else "la_bc_vq"
        model, policy = f"{self._where}/{numbers}", f"{self._where}/{method}"
        self._train(model, "lam", numbers)
        latents = self._relabel(model, (labels.pool,))
        self._train(
            policy,
            "la_bc",
            "policy",
            LOAD_LATENT_ACTIONS=latents,
            RUN_EVAL_ROLLOUTS=False,
        )
        decoder = f"{prefix}/{method}_decoder"
        self._train(
            decoder,
            "action_decoder",
            "action_decoder",
            DATASET_NAME=self._dataset(labels),
            LOAD_LATENT_ACTIONS=latents,
            **labels.macros,
        )
        name = labels.text.replace(":", "-")
        return self._chain.evaluate(policy, name, decoder=decoder)

    def _la_bc_vq(self, prefix: str, labels: Labels) -> results_lib.Results:
        return self._la_bc(prefix, labels, "lam_vq")

    def _joint(self, prefix: str, labels: Labels, name: str, files=()) -> str:
        model = f"{prefix}/{name}"
        self._train(
            model,
            "lam_and_action_decoder",
            labels.numbers["joint"],
            files=files,
            LABELLED_DATASET_NAME=self._dataset(labels),
            **labels.joint,
        )
        return model

    def _la_bc_joint(
        self, prefix: str, labels: Labels, name: str = "joint", files=()
    ) -> results_lib.Results:
        model = self._joint(prefix, labels, name, files)
        return self._train(
            f"{prefix}/la_bc_{name}",
            "la_bc",
            "policy",
            LOAD_LATENT_ACTIONS=self._relabel(model),
            DECODER_RUN=str(self._chain.run(model)),
        )["rollouts"]

    def _la_bc_joint_zo(self, prefix: str, labels: Labels) -> results_lib.Results:
        files = ["gin/decoders/sees_state.gin"]
        return self._la_bc_joint(prefix, labels, "joint_zo", files)

    def _lapo_plus(self, prefix: str, labels: Labels) -> results_lib.Results:
        model = self._joint(prefix, labels, "joint")
        return self._clone_labels(f"{prefix}/lapo_plus", model)


def parse_labels(text: str, env_id: str) -> Labels:
    """Reads "noisy:128" (transitions) or "expert:5t" (trajectories).

    Single transitions are few: the joint form then has a linear inverse model.

    Raises:
      ConfigError: another form.
    """
    pool, _, count = text.partition(":")
    family = family_lib.family_of(env_id)
    digits = count.removesuffix("t")
    if pool not in family.pools or not digits.isdigit() or int(digits) < 1:
        raise configs.ConfigError(
            "--labels are like noisy:128 or expert:5t (trajectories), of "
            f"{', '.join(family.pools)}; got {text!r}."
        )
    number = int(digits)
    if count.endswith("t"):
        whole = {"NUM_EXAMPLES": -1}
        return Labels(
            text,
            pool,
            whole | {"NUM_TRAJS": number},
            whole | {"LABELLED_NUM_TRAJS": number},
            NUMBERS,
        )
    few = {"NUM_EXAMPLES": number}
    return Labels(text, pool, few, few, NUMBERS | {"joint": "lam_few"})
