"""What `vector-quantize-pytorch` makes of fixed inputs and weights.

With requirements-conformance.txt installed, this writes the outputs that the tests
compare with where it is not:

    python tests/layers/quantizer_reference.py
"""

import pathlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parent / "golden" / "vector_quantize_pytorch.npz"
DECAY = 0.8
DIM = 6
CODES = 16
LEVELS = (8, 5, 4)
BATCH = 64

Arrays = dict[str, np.ndarray]


def inputs() -> np.ndarray:
    """float32 `[BATCH, DIM]`."""
    return _normal(0, BATCH, DIM)


def codebooks() -> np.ndarray:
    """Codes of three residual levels, float32 `[3, CODES, DIM]`."""
    scales = np.array([1.0, 0.6, 0.4], "float32")[:, None, None]
    return scales * _normal(1, 3, CODES, DIM)


def counts() -> np.ndarray:
    """Moving average of the counts before the step, float32 `[CODES]`."""
    return np.linspace(4.0, 30.0, CODES, dtype="float32")


def projections(width: int) -> list[np.ndarray]:
    """Kernel and bias into `width` features and out of them."""
    into, out = _normal(2, DIM, width), _normal(3, width, DIM)
    return [into, 0.1 * _normal(4, width), out, 0.1 * _normal(5, DIM)]


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def compute() -> dict[str, Arrays]:
    """Outputs of the reference for each case.

    Raises:
      ImportError: torch or vector-quantize-pytorch is not installed.
    """
    return {
        "vq": _vq(),
        "residual_vq": _residual_vq(shared=False),
        "residual_vq_shared": _residual_vq(shared=True),
        "fsq": _fsq(num_latents=2),
        "fsq_plain": _fsq(num_latents=DIM // len(LEVELS), projected=False),
        "residual_fsq": _residual_fsq(),
    }


def stored() -> dict[str, Arrays]:
    """Outputs of the reference as they were when the file was written."""
    found = {}
    with np.load(GOLDEN) as file:
        for key in file.files:
            case, _, name = key.partition("/")
            found.setdefault(case, {})[name] = file[key]
    return found


def _vq() -> Arrays:
    """One training step: output, loss and the codebook after it."""
    import torch
    from vector_quantize_pytorch import VectorQuantize

    layer = VectorQuantize(
        DIM,
        CODES,
        decay=DECAY,
        commitment_weight=0.25,
        threshold_ema_dead_code=0,
        rotation_trick=False,
    )
    codebook = layer._codebook
    codes = torch.tensor(codebooks()[:1])
    codebook.embed.data.copy_(codes)
    codebook.cluster_size.data.copy_(torch.tensor(counts()[None]))
    codebook.embed_avg.data.copy_(codes * codebook.cluster_size[..., None])
    quantized, indices, loss = layer.train()(torch.tensor(inputs())[None])
    return {
        "quantized": quantized[0].detach().numpy(),
        "codes": indices[0].numpy(),
        "loss": loss.detach().numpy().reshape(()),
        "codebook": codebook.embed[0].numpy(),
        "counts": codebook.cluster_size[0].numpy(),
    }


def _residual_vq(shared: bool) -> Arrays:
    import torch
    from vector_quantize_pytorch import ResidualVQ

    layer = ResidualVQ(
        dim=DIM,
        num_quantizers=3,
        codebook_size=CODES,
        shared_codebook=shared,
        rotation_trick=False,
    ).eval()
    for level, codes in zip(layer.layers, codebooks(), strict=True):
        first = codebooks()[0] if shared else codes
        level._codebook.embed.data.copy_(torch.tensor(first[None]))
    quantized, indices, _, steps = layer(
        torch.tensor(inputs())[None], return_all_codes=True
    )
    levels = np.cumsum(steps.detach().numpy()[:, 0], axis=0)
    return {
        "quantized": quantized[0].detach().numpy(),
        "codes": indices[0].numpy(),
        "levels": levels.transpose(1, 0, 2),
    }


def _copy_projections(layer, width: int) -> None:
    import torch

    into, into_bias, out, out_bias = map(torch.tensor, projections(width))
    layer.project_in.weight.data.copy_(into.T)
    layer.project_in.bias.data.copy_(into_bias)
    layer.project_out.weight.data.copy_(out.T)
    layer.project_out.bias.data.copy_(out_bias)


def _fsq(num_latents: int, projected: bool = True) -> Arrays:
    """Output, codes and the gradient of the output's sum."""
    import torch
    from vector_quantize_pytorch import FSQ

    levels = LEVELS if not projected else LEVELS[:2]
    layer = FSQ(list(levels), dim=DIM, num_codebooks=num_latents)
    if projected:
        _copy_projections(layer, num_latents * len(levels))
    x = torch.tensor(inputs())[None].requires_grad_()
    quantized, indices = layer(x)
    quantized.sum().backward()
    return {
        "quantized": quantized[0].detach().numpy(),
        "codes": indices[0].numpy(),
        "gradient": x.grad[0].numpy(),
    }


def _residual_fsq() -> Arrays:
    import torch
    from vector_quantize_pytorch import ResidualFSQ

    layer = ResidualFSQ(levels=list(LEVELS), num_quantizers=3, dim=DIM).eval()
    _copy_projections(layer, len(LEVELS))
    quantized, indices = layer(torch.tensor(inputs())[None])
    return {"quantized": quantized[0].detach().numpy(), "codes": indices[0].numpy()}


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        GOLDEN,
        **{
            f"{case}/{name}": array
            for case, arrays in compute().items()
            for name, array in arrays.items()
        },
    )
