"""Fit `epll`'s mixture of Gaussians to the patches of photographs, by EM in small steps.

    python tools/fit_patches.py FOLDER [FOLDER ...] -o restorekit/weights/epll-photo.safetensors

Zoran & Weiss, From learning models of natural image patches to whole image restoration, ICCV 2011: 8x8 patches of luma
without their mean, 200 components of mean 0. Stepwise EM: Cappe & Moulines, JRSS B 71(3), 2009. The shipped mixture:
BSDS500's training part (200) and PolyU's noise-free means (40), as the options are; three minutes on one core.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from restorekit.deconvolution.epll import LUMA, PIXELS, SIDE
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import find_images
from restorekit.runtime import fingerprints

RIDGE = 1e-6  # added to every variance: that of rounding to 8 bits
DECAY = 0.6  # of the steps' weight, (step + 2) ** -0.6
RANDOM = 0.3  # share of the first responsibilities that is random
ROWS, COLUMNS = torch.tril_indices(PIXELS, PIXELS)


def sample(images: list[NDArray[np.float32]], count: int, rng: np.random.Generator) -> Tensor:
    """(count,64) patches without their mean, from random places of random images."""
    patches = np.empty((count, SIDE, SIDE), np.float32)
    for patch, chosen in zip(patches, rng.integers(len(images), size=count), strict=True):
        image = images[chosen]
        top, left = (rng.integers(side - SIDE + 1) for side in image.shape)
        patch[:] = image[top : top + SIDE, left : left + SIDE]
    flat = torch.from_numpy(patches.reshape(count, PIXELS))
    return flat - flat.mean(1, keepdim=True)


def squares(patches: Tensor) -> Tensor:
    """(N,2080): all products of two pixels; sums of them are second moments, weighted sums are quadratic forms."""
    return patches[:, ROWS] * patches[:, COLUMNS]


def unpacked(triangles: Tensor) -> Tensor:
    """(K,2080) to symmetric (K,64,64)."""
    full = triangles.new_zeros(len(triangles), PIXELS, PIXELS)
    full[:, ROWS, COLUMNS] = full[:, COLUMNS, ROWS] = triangles
    return full


def responsibilities(products: Tensor, mass: Tensor, covariances: Tensor) -> tuple[Tensor, float]:
    """(N,K): how likely each component made each patch; and the mean log-likelihood."""
    inverse = torch.linalg.inv(covariances)
    inverse = torch.tril(inverse) + torch.tril(inverse, -1)  # a product of two pixels stands for both orders
    constant = mass.log() - (torch.logdet(covariances) + PIXELS * np.log(2 * np.pi)) / 2
    score = torch.addmm(constant.float(), products, inverse[:, ROWS, COLUMNS].T.float(), alpha=-0.5)
    return score.softmax(1), float(score.logsumexp(1).mean())


def fit(images: list[NDArray[np.float32]], components: int, steps: int, batch: int, seed: int) -> tuple[Tensor, Tensor]:
    """The mixture: (K,) shares and (K,64,64) covariances, float64."""
    rng = np.random.default_rng(seed)
    mass, moments = torch.zeros(components).double(), torch.zeros(components, len(ROWS)).double()
    covariances = torch.empty(0)
    for step in range(steps):
        patches = sample(images, batch, rng)
        products = squares(patches)
        if step:
            shares, likelihood = responsibilities(products, mass, covariances)
            print(f"{step}/{steps}: {likelihood:.2f}", flush=True)
        else:  # by the rank of their variance
            ranks = patches.square().sum(1).argsort().argsort()
            shares = torch.nn.functional.one_hot(ranks * components // batch, components) * (1 - RANDOM)
            random = torch.from_numpy(rng.random((batch, components), np.float32))
            shares = shares + RANDOM * random / random.sum(1, keepdim=True)
        weight = (step + 2.0) ** -DECAY if step else 1.0
        mass.lerp_(shares.double().mean(0).clamp(min=1e-8), weight)
        moments.lerp_((shares.T @ products).double() / batch, weight)
        covariances = unpacked(moments / mass[:, None]) + RIDGE * torch.eye(PIXELS).double()
    return mass / mass.sum(), covariances


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", type=Path, nargs="+")
    options.add_argument("-o", "--out", type=Path, required=True)
    options.add_argument("--components", type=int, default=200)
    options.add_argument("--steps", type=int, default=45)
    options.add_argument("--batch", type=int, default=10_000, help="patches of a step (%(default)s)")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    sources = [job.source for job in find_images(asked.folders)]
    images = [(read_rgb8(source) @ (np.array(LUMA) / 255)).astype(np.float32) for source in sources]
    begun = time.perf_counter()
    shares, covariances = fit(images, asked.components, asked.steps, asked.batch, asked.seed)
    factors = torch.linalg.cholesky(covariances)[
        :, ROWS, COLUMNS
    ]  # in half precision too their squares are covariances
    header = {
        "model": "epll",
        "recipe": json.dumps({"model": "epll", "steps": asked.steps, "batch": asked.batch, "seed": asked.seed}),
        "trained_on": fingerprints.pack(map(fingerprints.fingerprint, sources)),
    }
    save_file({"log_shares": shares.log().half(), "factors": factors.half()}, asked.out, header)
    print(f"{len(sources)} images, {(time.perf_counter() - begun) / 3600:.2f} h")


if __name__ == "__main__":
    main()
