"""The checks of a health report, each a `HealthItem` of two samples.

Probes are fitted on `fit`, transitions of training episodes, and scored on `test`,
transitions of held-out ones. Latents under test, `[N, D]`, come with each sample: those
that the model infers, or those that lie beside the dataset.
"""

import dataclasses

import numpy as np

from pdtla.analysis import action_probe, code_usage, compression, health_item, probes
from pdtla.analysis.action_probe import ActionProbe
from pdtla.analysis.health_item import BROKEN, DOUBTFUL, GOOD, HealthItem
from pdtla.analysis.latent_sample import SHIFTS, Examined

_FEW = 128
_DRAWS = 3


def check_codes(
    test: Examined, num_codes: int, num_codebooks: int, probe: ActionProbe
) -> HealthItem:
    """Are the codes in use, or have they collapsed?

    Args:
      test: see above.
      num_codes: codes of a codebook.
      num_codebooks: codebooks, each of which serves as many places in a row.
      probe: see above.
    """
    codes, action = test.sample.codes, test.action
    counts = code_usage.code_counts(codes, num_codes)
    _, joint = np.unique(codes, axis=0, return_counts=True)
    perplexity = _perplexity(joint)
    if probe.num_actions is None:
        needed = 1.0 + action.shape[-1]
        what = "one for each dimension of the action and one for rest"
    else:
        needed = _perplexity(np.bincount(action))
        what = "as many as there are actions in effect"
    books = counts.reshape(num_codebooks, -1, num_codes).sum(axis=1)
    values = code_usage.codebook_report(counts) | {
        "dead_codes": float(np.mean(books == 0)),
        "joint_perplexity": perplexity,
        "needed": needed,
    }
    if probe.num_actions is not None:
        values["nmi"] = max(
            probes.normalized_mutual_information(
                probes.contingency(column, action, num_codes, probe.num_actions)
            )
            for column in codes.T
        )
    dead = values["dead_codes"]
    verdict = health_item.grade(perplexity, broken=2.0, good=needed)
    if verdict == GOOD and dead > 0.5:
        verdict = DOUBTFUL
    finding = (
        f"{perplexity:.1f} codes in effect; {needed:.1f} are needed to tell the "
        f"actions apart; {dead:.0%} of the codebook is never used."
    )
    if verdict == BROKEN:
        finding = "Collapsed: " + finding
    return HealthItem(
        "codes",
        "Are the codes in use?",
        verdict,
        finding,
        f"broken below 2 codes in effect, good from {needed:.1f} ({what}) if at "
        "most half of the codebook is never used",
        "One code tells nothing apart, and fewer codes than actions must mix some; "
        "with half of the codebook unused, half of it would do.",
        values,
    )


def check_spread(test: Examined) -> HealthItem:
    """Do continuous latents vary, or have they collapsed?"""
    latents = np.asarray(test.latents, np.float64)
    variance = latents.var(axis=0).sum()
    share = float(variance / max(np.square(latents).mean(axis=0).sum(), 1e-30))
    values = np.linalg.eigvalsh(np.atleast_2d(np.cov(latents.T)))
    dimensions = float(values.sum() ** 2 / max(np.square(values).sum(), 1e-30))
    verdict = health_item.grade(share, broken=1e-4, good=1e-2)
    finding = (
        f"{share:.0%} of the latent's size varies, in {dimensions:.1f} dimensions in "
        f"effect of {latents.shape[-1]}."
    )
    return HealthItem(
        "codes",
        "Do the latents vary?",
        verdict,
        ("Collapsed: " if verdict == BROKEN else "") + finding,
        "broken below 0.01% of the squared size, good from 1%",
        "Below one part in a hundred of its size, what a latent says drowns in what "
        "it always says.",
        {"varying_share": share, "dimensions": dimensions},
    )


def check_reconstruction(test: Examined) -> HealthItem:
    """Does the forward model predict more than the frame it is given?"""
    errors = {name: float(each.mean()) for name, each in test.sample.errors.items()}
    ratio = errors["true"] / max(errors["copied"], 1e-12)
    verdict = _reversed_grade(ratio, broken=1.0, good=0.8)
    return HealthItem(
        "reconstruction",
        "Does the forward model predict better than copying the frame?",
        verdict,
        f"Its error is {ratio:.2g} of that of repeating o_t.",
        "good up to 0.8, broken from 1",
        "Repeating o_t needs no model, so at 1 nothing is explained; a fifth less is "
        "asked for because blurring what may move gains a little without a latent.",
        {
            "copy_frame_ratio": ratio,
            "prediction_error": errors["true"],
            "copy_frame_error": errors["copied"],
        },
    )


def check_listening(test: Examined) -> HealthItem:
    """Does the forward model listen to z?"""
    errors = {name: float(each.mean()) for name, each in test.sample.errors.items()}
    ratio = errors["swapped"] / max(errors["true"], 1e-12)
    gap = (errors["swapped"] - errors["true"]) / max(errors["copied"], 1e-12)
    verdict = health_item.grade(ratio, broken=1.02, good=1.25)
    finding = (
        f"With another transition's latent its error is {ratio:.2f} times as large."
    )
    if verdict == BROKEN:
        finding = "The forward model ignores the latent: " + finding.lower()
    return HealthItem(
        "listening",
        "Does the forward model listen to the latent?",
        verdict,
        finding,
        "broken below 1.02, good from 1.25",
        "A model that ignores z errs the same under any z, which is 1; swaps to the "
        "same action cost nothing even where it listens, so no more than 1.25 is "
        "asked for.",
        {"swap_ratio": ratio, "swap_gap": gap},
    )


def check_action(fit: Examined, test: Examined, probe: ActionProbe) -> HealthItem:
    """Does z tell the action?"""
    chance = probe.chance(fit.action, test.action)
    both = [fit.action], test.latents, [test.action]
    values = {
        "chance": chance,
        "linear": probe.scores(fit.latents, *both, hidden=())[0],
        "mlp": probe.scores(fit.latents, *both)[0],
    }
    seen, test_seen = compression.compress(fit.sample.now, test.sample.now)
    values["observation"] = probe.scores(seen, [fit.action], test_seen, [test.action])[
        0
    ]
    if test.sample.codes is not None:
        values["quantized"] = probe.scores(
            fit.sample.quantized, [fit.action], test.sample.quantized, [test.action]
        )[0]
    best = max(values["linear"], values["mlp"])
    values["skill"] = skill = probe.skill(best, chance)
    linear = probe.skill(values["linear"], chance)
    return HealthItem(
        "action",
        "Does the latent tell the action?",
        health_item.grade(skill, broken=0.1, good=0.5),
        f"{probe.unit} {best:.2f} from z ({values['linear']:.2f} by a linear probe), "
        f"{chance:.2f} by chance, {values['observation']:.2f} from o_t alone.",
        "share of the way from chance to perfection: broken below 0.1, good from 0.5",
        "Chance, the most frequent or the mean action, needs no latent; from half of "
        "the way on, more of what chance misses is told than is not.",
        values | {"linear_skill": linear},
    )


def check_background(fit: Examined, test: Examined) -> HealthItem:
    """Does z say what happened, or what is to be seen anyway?"""
    inferred, frozen = test.sample.inferred, test.sample.frozen
    change = np.square(inferred - frozen).sum(axis=-1).mean()
    share = float(change / max(2.0 * inferred.var(axis=0).sum(), 1e-12))
    seen, test_seen = compression.compress(fit.sample.now, test.sample.now)
    x, test_x = action_probe.standardised(fit.latents, test.latents)
    predicted = probes.ridge(x, seen, test_x, 1e-4)
    values = {
        "future_share": share,
        "state_linear": probes.r2(predicted, test_seen, 0.0),
        "state_mlp": probes.probe_r2(
            fit.latents,
            seen,
            test.latents,
            test_seen,
            hidden=probes.HIDDEN,
            steps=300,
            batch_size=128,
        ),
    }
    leaked = max(values["state_linear"], values["state_mlp"])
    verdict = health_item.grade(share, broken=0.05, good=0.2)
    if verdict == GOOD and leaked >= 0.5:
        verdict = DOUBTFUL
    finding = (
        f"Without anything happening after o_t the latent moves by {share:.2f} of its "
        f"spread; R² of o_t from the latent is {max(leaked, 0.0):.2f}."
    )
    if verdict == BROKEN:
        finding = "The latent is a function of o_t alone: " + finding.lower()
    return HealthItem(
        "background",
        "Does the latent say what happened, not what is there?",
        verdict,
        finding,
        "broken below 0.05 of the spread, good from 0.2 if R² of the first 16 "
        "principal components of o_t is below 0.5",
        "Two unrelated latents differ by 1, those of a function of o_t by 0, whatever "
        "happens next; with half of o_t in it, a latent names places as much as "
        "actions.",
        values,
    )


def check_shift(fit: Examined, test: Examined, probe: ActionProbe) -> HealthItem:
    """Is z_t aligned with a_t, or one step off?"""
    rows = np.flatnonzero(np.all(list(fit.sample.known.values()), axis=0))
    test_rows = np.flatnonzero(np.all(list(test.sample.known.values()), axis=0))
    if min(len(rows), len(test_rows)) < 2:
        return _too_short(len(test_rows))
    found = probe.scores(
        fit.latents,
        [fit.sample.actions[shift] for shift in SHIFTS],
        test.latents,
        [test.sample.actions[shift] for shift in SHIFTS],
        rows=[rows] * len(SHIFTS),
        test_rows=[test_rows] * len(SHIFTS),
    )
    scores = dict(zip(SHIFTS, found, strict=True))
    margin = health_item.margin(len(test_rows))
    other = max((-1, 1), key=scores.get)
    lead = scores[0] - scores[other]
    verdict = health_item.grade(lead, broken=-margin, good=margin)
    told = ", ".join(
        f"a_t{shift:+d}".replace("+0", "") + f" {scores[shift]:.2f}" for shift in SHIFTS
    )
    finding = f"{probe.unit} from z_t: {told}."
    if verdict == BROKEN:
        late = "late: z_t is about a_t-1" if other < 0 else "early: z_t is about a_t+1"
        finding = f"One step {late}. {finding}"
    return HealthItem(
        "shift",
        "Is the latent aligned with the action?",
        verdict,
        finding,
        f"good if a_t leads by {margin:.3f}, broken if another action does",
        "The margin is two standard errors of a difference of accuracies on these "
        f"{len(test_rows)} transitions.",
        {
            "previous": scores[-1],
            "current": scores[0],
            "next": scores[1],
            "lead": lead,
            "margin": margin,
        },
    )


def check_budget(fit: Examined, test: Examined, probe: ActionProbe) -> HealthItem:
    """How many labels does a decoder need?"""
    draws = action_probe.label_draws(len(fit.latents), _DRAWS, probe.seed)
    members = [rows for each in draws.values() for rows in each]
    values = {"chance": probe.chance(fit.action, test.action)}
    by_budget = {}
    for name, hidden in (("linear", ()), ("mlp", probes.HIDDEN)):
        scores = dataclasses.replace(probe, batch_size=64).scores(
            fit.latents,
            [fit.action] * len(members),
            test.latents,
            [test.action] * len(members),
            rows=members,
            hidden=hidden,
        )
        found = np.reshape(scores, (len(draws), _DRAWS))
        for budget, each in zip(draws, found, strict=True):
            values[f"{name}_{budget}"] = mean = float(each.mean())
            values[f"{name}_{budget}_std"] = float(each.std(ddof=1))
            by_budget[budget] = max(mean, by_budget.get(budget, -np.inf))
    few = max(budget for budget in by_budget if budget <= _FEW)
    most = max(by_budget)
    skills = {
        budget: probe.skill(score, values["chance"])
        for budget, score in by_budget.items()
    }
    share = max(0.0, skills[few]) / max(skills[most], 0.1)
    values["share_at_few"] = share
    return HealthItem(
        "budget",
        "How few labels ground the latent?",
        health_item.grade(share, broken=0.2, good=0.7),
        f"{probe.unit} {by_budget[few]:.2f} with {few} labels, "
        f"{by_budget[most]:.2f} with {most}, by the better of a linear decoder and an "
        "MLP.",
        f"share of the skill at {most} labels that {few} reach: broken below 0.2, good "
        "from 0.7",
        f"{_FEW} labels are what the methods here are given; a latent that needs "
        "many times more is no better than labels.",
        values,
    )


def _too_short(number: int) -> HealthItem:
    return HealthItem(
        "shift",
        "Is the latent aligned with the action?",
        DOUBTFUL,
        f"{number} held-out transitions have an action before and after them.",
        "at least 2 transitions",
        "Nothing can be told of fewer.",
        {},
    )


def _reversed_grade(value: float, *, broken: float, good: float) -> str:
    """The verdict of a number that should be small."""
    if value >= broken:
        return BROKEN
    return GOOD if value <= good else DOUBTFUL


def _perplexity(counts: np.ndarray) -> float:
    return float(np.exp(probes.entropy(counts / counts.sum())))
