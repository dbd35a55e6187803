"""One small quantizer of every kind, for the tests that all of them have to pass."""

from pdtla.layers.finite_scalar_quantizer import FiniteScalarQuantizer
from pdtla.layers.gaussian_latent import GaussianLatent
from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.noise_substitution_quantizer import NoiseSubstitutionQuantizer
from pdtla.layers.residual_finite_scalar_quantizer import (
    ResidualFiniteScalarQuantizer,
)
from pdtla.layers.residual_quantizer import ResidualQuantizer
from pdtla.layers.vector_quantizer import VectorQuantizer


def _vq():
    return VectorQuantizer(num_codes=8, num_codebooks=2, num_latents=1, code_dim=2)


def _nsvq():
    return NoiseSubstitutionQuantizer(num_codes=8, num_latents=2, code_dim=2)


# All take latents of width 4 but `fsq_plain`, which has no projections.
QUANTIZERS = {
    "vq": _vq,
    "residual_vq": lambda: ResidualQuantizer(_vq(), 2),
    "residual_vq_shared": lambda: ResidualQuantizer(_vq(), 3, shared_codebook=True),
    "residual_nsvq": lambda: ResidualQuantizer(_nsvq(), 2),
    "fsq": lambda: FiniteScalarQuantizer((8, 5), input_dim=4, num_latents=3),
    "fsq_plain": lambda: FiniteScalarQuantizer((8, 6, 5)),
    "residual_fsq": lambda: ResidualFiniteScalarQuantizer((5, 3, 4), 2, input_dim=4),
    "nsvq": _nsvq,
    "vae": lambda: GaussianLatent(4, kl_weight=1e-3),
    "none": lambda: IdentityQuantizer(4),
}
RESIDUAL = tuple(name for name in QUANTIZERS if name.startswith("residual"))
CONTINUOUS = ("vae", "none")
DISCRETE = tuple(name for name in QUANTIZERS if name not in CONTINUOUS)
# Their gradient is that of the identity at all times, and those have no projections.
STRAIGHT = ("vq", "residual_vq", "residual_vq_shared", "none")
