"""A chain of stages: what is up to date, and what only seems to be."""

import pathlib
import shutil

import pytest
import test_few_labels

from launch import chain as chain_lib
from launch import few_labels_family, few_labels_study, follow, references
from pdtla.analysis import results as results_lib
from pdtla.experts import random_expert
from pdtla.training import configs

ENV = "walker2d"
LABELS = few_labels_study.parse_labels("expert:16", ENV)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    base = tmp_path_factory.mktemp("chain")
    numbers = {"common": test_few_labels.COMMON} | test_few_labels.NUMBERS
    numbers["lam"] = numbers["lam_few"]
    (base / "numbers").mkdir()
    for name, text in numbers.items():
        (base / "numbers" / f"{name}.gin").write_text(text)
    made = chain_lib.Chain(str(base / "numbers"), str(base / "data"), base / "out")
    pool = few_labels_family.family_of(ENV).pools[few_labels_family.EXPERT]
    made.build_dataset("expert data", ENV_ID=ENV, **pool.macros)
    return made


@pytest.fixture(scope="module")
def study(chain):
    return few_labels_study.Study(chain, ENV, seed=0)


def retrain_decoder(chain, study, num_updates):
    """Another decoder in the workdir of the last one."""
    numbers = pathlib.Path(chain.preset) / "action_decoder.gin"
    numbers.write_text(f"NUM_UPDATES = {num_updates}\n")
    shutil.rmtree(chain.run("seed-0/expert-16/la_bc_decoder"))
    return study.run("la_bc", LABELS)


def test_a_policy_is_rolled_out_anew_if_its_decoder_is_another(chain, study):
    before = study.run("la_bc", LABELS)
    assert study.run("la_bc", LABELS) == before
    assert retrain_decoder(chain, study, 40)["returns"] != before["returns"]


def test_a_run_is_refused_if_the_decoder_it_was_given_is_another(chain, study):
    study.run("la_bc", LABELS)

    def train():
        return chain.train(
            "given_a_decoder",
            "la_bc",
            "policy",
            ENV_ID=ENV,
            DATASET_NAME=few_labels_family.family_of(ENV).dataset("expert", ENV),
            LOAD_LATENT_ACTIONS="seed-0-lam",
            DECODER_RUN=str(chain.run("seed-0/expert-16/la_bc_decoder")),
        )

    assert train()["rollouts"] == train()["rollouts"]
    retrain_decoder(chain, study, 41)
    with pytest.raises(configs.ConfigError, match="with another DECODER_RUN than"):
        train()


def test_episodes_played_afterwards_do_not_count(chain, study):
    before = study.run("bc_all", None)
    other = before | {"returns": [[0.0]], "lengths": [[1]]}
    follow.add_rollouts(chain.run("seed-0/bc_all"), other)
    follow.add_rollouts(chain.run("seed-0/bc_all"), other)
    path = chain.run("seed-0/bc_all") / "results.json"
    assert results_lib.read_results(path)["rollouts"] == other
    assert study.run("bc_all", None) == before


def test_references_are_of_the_same_evaluation(chain):
    players = {"random": random_expert.RandomExpert()}
    three = references.measure(chain, players, ENV_ID=ENV)
    path = chain.directory / "references.json"
    written = path.stat().st_mtime_ns
    assert references.measure(chain, players, ENV_ID=ENV) == three
    assert path.stat().st_mtime_ns == written
    two = references.measure(chain, players, ENV_ID=ENV, NUM_EVAL_ROLLOUTS=2)
    assert [len(each["random"]["returns"]) for each in (three, two)] == [3, 2]
