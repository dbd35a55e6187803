"""The health report of a latent action model: is it good, and if not, why."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from pdtla.analysis import (
    game_consistency,
    health_checks,
    health_item,
    label_leak,
    latent_sample,
)
from pdtla.analysis.action_probe import ActionProbe
from pdtla.analysis.latent_model import LatentModel
from pdtla.analysis.latent_sample import Examined, LatentSample
from pdtla.datasets.window_dataset import WindowDataset

Report = dict[str, Any]

# What a broken item means, the causes of others first.
_CAUSES = {
    "codes": "collapsed latents",
    "background": "latents of what is there, not of what happens",
    "leak": "labels leaked into the latents",
    "shift": "latents one step off the actions",
    "listening": "a forward model that ignores the latent",
    "reconstruction": "a forward model that predicts nothing",
    "action": "latents that do not tell the action",
    "budget": "latents that few labels do not ground",
    "games": "latents that mean something else in every game",
}


def draw(
    model: LatentModel,
    windows: WindowDataset,
    *,
    max_windows: int = 4096,
    seed: int = 0,
) -> tuple[LatentSample, LatentSample]:
    """Samples of training and of held-out episodes, see `latent_sample.sample`."""
    return tuple(
        latent_sample.sample(
            model, windows, trajectories, max_windows=max_windows, seed=seed
        )
        for trajectories in (windows.train_trajectories, windows.heldout_trajectories)
    )


def examine(
    fit: LatentSample,
    test: LatentSample,
    *,
    vq: keras.layers.Layer,
    num_actions: int | None,
    stored: Mapping[str, np.ndarray] | None = None,
    examined: str | None = None,
    games: Sequence[str] = (),
    seed: int = 0,
) -> list[health_item.HealthItem]:
    """Answers every question of the report.

    Args:
      fit: transitions that probes are fitted on.
      test: transitions that everything is measured on.
      vq: the model's quantizer.
      num_actions: number of discrete actions; None for continuous ones.
      stored: latents of every step of the dataset, `[S, D]`, said to be the model's.
      examined: name of the stored ones to examine, instead of those inferred.
      games: names of the datasets, where several are joint.
      seed: seed of probes and draws.
    """
    probe = ActionProbe(num_actions, seed=seed)
    stored = stored or {}
    sets = {
        name: tuple(Examined(each, latents[each.bases]) for each in (fit, test))
        for name, latents in stored.items()
    }
    own = Examined(fit, fit.inferred), Examined(test, test.inferred)
    fit, test = sets[examined] if examined else own
    if test.sample.codes is None:
        codes = health_checks.check_spread(test)
    else:
        places = vq.num_codes_per_latent
        codes = health_checks.check_codes(
            test, vq.num_codes, getattr(vq, "num_codebooks", places), probe
        )
    items = [
        codes,
        health_checks.check_reconstruction(test),
        health_checks.check_listening(test),
        health_checks.check_action(fit, test, probe),
        health_checks.check_background(fit, test),
        health_checks.check_shift(fit, test, probe),
        health_checks.check_budget(fit, test, probe),
        label_leak.check_leak(fit, test, probe, sets),
        game_consistency.check_games(fit, test, probe, games),
    ]
    return [item for item in items if item is not None]


def as_json(items: list[health_item.HealthItem], **facts: Any) -> Report:
    """The report as JSON: facts, the worst verdict, its cause, the items by name."""
    verdicts = {item.name: item.verdict for item in items}
    broken = [
        cause
        for name, cause in _CAUSES.items()
        if verdicts.get(name) == health_item.BROKEN
    ]
    return facts | {
        "verdict": health_item.worst(list(verdicts.values())),
        "cause": broken[0] if broken else None,
        "items": {
            item.name: {
                "question": item.question,
                "verdict": item.verdict,
                "finding": item.finding,
                "rule": item.rule,
                "why": item.why,
                "values": item.values,
            }
            for item in items
        },
    }


def headline(report: Report) -> dict[str, float]:
    """The numbers of a report that stand in the table of an experiment."""
    values = {name: item["values"] for name, item in report["items"].items()}
    found = {name: values["reconstruction"][name] for name in ("copy_frame_ratio",)}
    found["swap_gap"] = values["listening"]["swap_gap"]
    for name in ("perplexity", "dead_codes", "nmi"):
        if name in values["codes"]:
            found[name] = values["codes"][name]
    for name in ("chance", "linear", "mlp"):
        found[f"probe_{name}"] = values["action"][name]
    return found


def markdown_table(report: Report) -> str:
    """The report as Markdown: what was found, the rule, and why it is there."""
    lines = ["| item | verdict | found | rule | why |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {item['verdict']} | {item['finding']} | {item['rule']} "
        f"| {item['why']} |"
        for name, item in report["items"].items()
    ]
    lines.append(f"| all | {report['verdict']} | {report['cause'] or ''} | | |")
    return "\n".join(lines)


def text_table(report: Report) -> str:
    """The report as lines of text for a terminal."""
    lines = [
        f"{name:<16}{item['verdict']:<10}{item['finding']}"
        for name, item in report["items"].items()
    ]
    cause = f"Most likely: {report['cause']}." if report["cause"] else ""
    lines.append(f"{'verdict':<16}{report['verdict']:<10}{cause}".rstrip())
    return "\n".join(lines)
