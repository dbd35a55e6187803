"""`Study`, the runs of one seed of an ablation."""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from launch import ablation_settings, trained_run
from launch import chain as chain_lib
from launch import few_labels_family as family_lib
from pdtla import specs
from pdtla.analysis import action_probe
from pdtla.analysis import results as results_lib
from pdtla.datasets import joint_latents
from pdtla.training import set_up

_PROBED = 4096
_HELDOUT = ("copy_frame_ratio", "perplexity", "dead_codes")


class Outcome(NamedTuple):
    """What came of a variant.

    Attributes:
      episodes: the returns, or successes, of its policy.
      model: of held-out transitions, the error beside that of repeating o_t
        (`copy_frame_ratio`), use of the codes if there are any, R² of the action by
        probes of z (`probe_linear`, `probe_mlp`) and by the decoder (`decoder_r2`, on
        the episodes that labels come from).
    """

    episodes: list[float]
    model: dict[str, float]


class Study:
    """Trains variants, unless that is done.

    Args:
      chain: runs the stages.
      settings: what is compared.
      seed: of the training and of the choice of labels.
    """

    def __init__(
        self,
        chain: chain_lib.Chain,
        settings: ablation_settings.AblationSettings,
        seed: int,
    ):
        self._chain = chain
        self._settings = settings
        self._where = f"seed-{seed}"
        self._family = family_lib.family_of(settings.env_id)
        self._expert, self._labelled = (
            self._family.dataset(pool, settings.env_id)
            for pool in (family_lib.EXPERT, settings.pool)
        )
        self._given = {
            "ENV_ID": settings.env_id,
            "SEED": seed,
            "DATASET_NAME": self._expert,
        }

    def clone_all(self) -> Outcome:
        """Cloning with all labels."""
        results = self._train(f"{self._where}/bc_all", "bc", "policy")
        return Outcome(self._episodes(results), {})

    def run(self, variant: ablation_settings.Variant) -> Outcome:
        """Model, latents, decoder and policy of a variant."""
        name = f"{self._where}/{variant.name}"
        model = decoder = f"{self._where}/{variant.of}/lam"
        latents = f"ablation-{name.replace('/', '-')}"
        heldout = self._train_model(model, variant)["heldout"]
        self._relabel(latents, model, variant.latent, self._expert)
        found = {key: heldout[key] for key in _HELDOUT if key in heldout}
        if variant.decoder_after:
            decoder = f"{name}/decoder"
            self._relabel(latents, model, variant.latent, self._labelled)
            fitted = self._train(
                decoder,
                "action_decoder",
                "action_decoder",
                DATASET_NAME=self._labelled,
                NUM_TRAJS=self._settings.label_trajs,
                NUM_EXAMPLES=-1,
                LOAD_LATENT_ACTIONS=latents,
            )
            found["decoder_r2"] = fitted["heldout"]["action_r2"]
        else:
            found["decoder_r2"] = heldout["labelled_action_r2"]
        # The policy sees the episodes that the model saw.
        data = {k: v for k, v in variant.macros.items() if k == "NUM_TRAJS"}
        policy = self._train(
            f"{name}/la_bc",
            "la_bc",
            "policy",
            LOAD_LATENT_ACTIONS=latents,
            DECODER_RUN=str(self._chain.run(decoder)),
            **data,
        )
        probed = self._probe(model, latents, self._chain.run(name) / "probe.json")
        return Outcome(self._episodes(policy), found | probed)

    def _train_model(
        self, name: str, variant: ablation_settings.Variant
    ) -> results_lib.Results:
        labels = {
            "LABELLED_DATASET_NAME": self._labelled,
            "LABELLED_NUM_TRAJS": self._settings.label_trajs,
            "NUM_EXAMPLES": -1,
        }
        return self._train(
            name,
            f"{variant.model}_and_action_decoder" if variant.joint else variant.model,
            variant.model,
            files=variant.files,
            **(labels if variant.joint else {}),
            **variant.macros,
        )

    def _train(
        self, name: str, stage: str, numbers: str, **bindings: Any
    ) -> results_lib.Results:
        return self._chain.train(name, stage, numbers, **(self._given | bindings))

    def _relabel(self, latents: str, run: str, latent: str, dataset: str) -> None:
        self._chain.relabel(latents, run, latent, DATASET_NAME=dataset)

    def _episodes(self, results: results_lib.Results) -> list[float]:
        outcomes = np.ravel(results["rollouts"][self._family.outcome])
        return outcomes.astype(float).tolist()

    def _probe(self, run: str, latents: str, path: pathlib.Path) -> dict[str, float]:
        """Fits the action on latents of other episodes than the model's held-out ones.

        What was found is kept.
        """
        workdir = self._chain.run(run)
        settings = trained_run.read_settings(str(workdir), [], [])
        with set_up.setting_up():
            dataset = settings["dataset"]()
            windows = getattr(dataset, "unlabelled", dataset)
            source = windows.source
            opened = joint_latents.open_latents(source, latents)
        if path.exists():
            kept = results_lib.read_json(path)
            if kept.get("latents") == opened.fingerprint:
                return kept["scores"]
        stored = opened.read()
        heldout = windows.heldout_trajectories
        others = np.setdiff1d(np.arange(len(source.lengths)), heldout)
        z, actions = stored[specs.LATENT_ACTION], source.array(specs.ACTION)
        fit, test = (_some_steps(source, each) for each in (others, heldout))
        probe = action_probe.ActionProbe(None)
        data = z[fit], [actions[fit]], z[test], [actions[test]]
        found = {
            "probe_linear": probe.scores(*data, hidden=())[0],
            "probe_mlp": probe.scores(*data)[0],
        }
        kept = {"latents": opened.fingerprint, "scores": found}
        results_lib.write_json(path, kept)
        return found


def _some_steps(source: Any, trajectories: np.ndarray) -> np.ndarray:
    """Numbers of some steps that have a successor."""
    pairs = zip(source.starts[trajectories], source.lengths[trajectories], strict=True)
    steps = [np.arange(start, start + length - 1) for start, length in pairs]
    return np.random.default_rng(0).permutation(np.concatenate(steps))[:_PROBED]
