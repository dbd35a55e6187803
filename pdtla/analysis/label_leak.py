"""Whether a label reaches the latent by another way than the frames."""

from collections.abc import Mapping, Sequence

import numpy as np

from pdtla.analysis import health_item
from pdtla.analysis.action_probe import ActionProbe
from pdtla.analysis.health_item import BROKEN, DOUBTFUL, GOOD, HealthItem
from pdtla.analysis.latent_sample import Examined

_STALE = 0.01
_SHOWN = 0.999
_ROWS = 2048


def check_leak(
    fit: Examined,
    test: Examined,
    probe: ActionProbe,
    stored: Mapping[str, Sequence[Examined]],
) -> HealthItem:
    """Does anything but the frames put the action into the latent?

    Args:
      fit: transitions of training episodes, which probes are fitted on.
      test: transitions of held-out ones, which they are scored on.
      probe: of the action.
      stored: for each set of latents beside the dataset that is said to be this
        model's: its latents of the sample to fit on and of the sample to test on.
    """
    shown = _observed_label(test, probe)
    values, verdicts, findings = {"observed_label": shown}, [GOOD], []
    if shown >= _SHOWN:
        verdicts.append(BROKEN)
        findings.append(
            "A pixel or component of the observation shows the action: it explains "
            f"{shown:.4f} of the variance."
        )
    for name, (own_fit, own_test) in stored.items():
        values[f"mismatch_{name}"] = share = mismatch(own_test)
        if share <= _STALE:
            findings.append(f"The stored latents {name!r} are those of the frames.")
            continue
        known, told = (
            probe.scores(x, [fit.action], test_x, [test.action])[0]
            for x, test_x in (
                (fit.sample.inferred, test.sample.inferred),
                (own_fit.latents, own_test.latents),
            )
        )
        values |= {f"inferred_{name}": known, f"stored_{name}": told}
        is_leak = told > known + health_item.margin(len(test.latents))
        verdicts.append(BROKEN if is_leak else DOUBTFUL)
        outcome = "better: labels leaked into them" if is_leak else "no better"
        findings.append(
            f"{share:.0%} of the stored latents {name!r} are not what the model infers "
            f"from the frames; they tell the action {outcome} ({probe.unit} {told:.2f} "
            f"against {known:.2f})."
        )
    if shown < _SHOWN:
        findings.append(f"No part of the observation shows it ({shown:.3f} at most).")
    return HealthItem(
        "leak",
        "Does the action reach the latent only through the frames?",
        health_item.worst(verdicts),
        " ".join(findings),
        "more than 1% of the stored latents differ from the inferred ones: broken if "
        "they tell the action better, else doubtful; broken if 99.9% of the variance "
        "of a pixel or component is the action's",
        "A latent is a function of frames, so frames give it again, up to rounding; an "
        "observation that shows its action makes any latent look good.",
        values,
    )


def mismatch(stored: Examined) -> float:
    """Share of stored latents that are not those inferred, quantized or not."""
    shares = []
    for own in (stored.sample.inferred, stored.sample.quantized):
        if own.shape != stored.latents.shape:
            shares.append(1.0)
            continue
        spread = np.sqrt(own.var(axis=0).sum()) + 1e-6
        distance = np.linalg.norm(own - stored.latents, axis=-1)
        shares.append(float(np.mean(distance > 0.05 * spread)))
    return min(shares)


def _observed_label(test: Examined, probe: ActionProbe) -> float:
    """Most of the variance of one pixel or component that the action explains.

    Of o_t and of o_{t+1}; what hardly ever changes does not count.
    """
    action = test.action[:_ROWS]
    if probe.num_actions is not None:
        basis = np.eye(probe.num_actions, dtype="float32")[action]
        basis = basis[:, basis.any(axis=0)]
    else:
        basis = np.concatenate([np.ones((len(action), 1)), action], axis=1)
    basis, _ = np.linalg.qr(basis)
    most = 0.0
    for observed in (test.sample.now, test.sample.following):
        parts = observed[:_ROWS].reshape(len(action), -1)
        for start in range(0, parts.shape[-1], 1024):
            part = parts[:, start : start + 1024].astype("float32")
            mean = part.mean(axis=0)
            changes = (part != np.median(part, axis=0)).mean(axis=0)
            part = part - mean
            total = np.square(part).sum(axis=0)
            explained = np.square(basis.T @ part).sum(axis=0)
            counted = (changes >= 0.01) & (total > 1e-6)
            if counted.any():
                most = max(most, float((explained[counted] / total[counted]).max()))
    return most
