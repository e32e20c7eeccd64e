"""OOD scores on image features, fitted to the features of training images; larger means more ID.

The training images are labelled shots, or unlabelled images with their predicted classes. An image
with a label below 0 is left out. Unlabelled images may include OOD ones, and in the released
protocol they include the test images. The scores then measure how dense an image's neighbourhood
is, rather than its distance from known images.

A test feature with a NaN scores NaN; a NaN in a training feature raises an error.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_NEIGHBOURS = 50  # the choice of Sun et al. for CIFAR-10
BLOCK = 20_000_000  # similarities in memory at once


def mahalanobis(
    features: Tensor,
    train_features: Tensor,
    train_labels: Tensor,
    shrinkage: float | None = None,
) -> Tensor:
    """-min_k (f - m_k)' S^-1 (f - m_k) (Lee et al., NeurIPS 2018), in fp64, (samples,).

    m_k is the mean of class k, S the shared covariance around these means.

    features: (samples, embedding); train_features: (images, embedding); train_labels: (images,).
    shrinkage: s in (1 - s) S + s trace(S) / embedding * I; None: s of Ledoit and Wolf (2004).

    # choice: S is shrunk, because few shots make it singular; if it is zero, as with one shot a
    # class, it becomes the identity.

    Raises ValueError if there is no training image or S is singular, FloatingPointError for
    training features that are not finite.
    """
    fitted, labels = _fitted(train_features, train_labels)
    classes, index = labels.unique(return_inverse=True)
    sums = fitted.new_zeros(len(classes), fitted.shape[1]).index_add_(0, index, fitted)
    means = sums / index.bincount()[:, None]
    root = _root(fitted - means[index], shrinkage)  # S = root root'
    whitened, centres = (
        torch.linalg.solve_triangular(root, x.T, upper=False).T for x in (features.double(), means)
    )
    return -torch.cdist(whitened, centres).square().amin(-1)


def _root(residuals: Tensor, shrinkage: float | None) -> Tensor:
    """Return the Cholesky factor, (embedding, embedding), of the shrunk covariance of `residuals`,
    (images, embedding)."""
    images, size = residuals.shape
    eye = torch.eye(size, dtype=residuals.dtype)
    covariance = residuals.T @ residuals / images
    scale = covariance.trace() / size
    if scale == 0:
        return eye
    if shrinkage is None:
        from sklearn.covariance import ledoit_wolf_shrinkage  # here: slow to import

        shrinkage = ledoit_wolf_shrinkage(residuals.numpy(), assume_centered=True)
    root, failed = torch.linalg.cholesky_ex((1 - shrinkage) * covariance + shrinkage * scale * eye)
    if failed:
        raise ValueError(
            f"the covariance of {images} images in {size} dimensions is singular at shrinkage "
            f"{shrinkage}; take a larger one, or None"
        )
    return root


def knn(
    features: Tensor, train_features: Tensor, train_labels: Tensor, k: int | None = None
) -> Tensor:
    """Minus the distance to the k-th nearest training feature, between unit vectors (Sun et al.,
    ICML 2022), in fp64, (samples,). It ranks images as the k-th largest cosine does.

    features: (samples, embedding); train_features: (images, embedding); train_labels: (images,).
    k: capped at `images`; None: the mean number of training images a class, at most 50.

    # choice of k: the paper takes 50 on CIFAR-10, and on ImageNet about 3/4 of a class's images. A
    # training image that is also tested is its own first neighbour.

    Raises ValueError if there is no training image, FloatingPointError for training features that
    are not finite.
    """
    fitted, labels = _fitted(train_features, train_labels)
    if k is None:
        k = min(max(len(fitted) // len(labels.unique()), 1), MAX_NEIGHBOURS)
    k = min(k, len(fitted))
    fitted, tested = F.normalize(fitted, dim=-1), F.normalize(features.double(), dim=-1)
    blocks = tested.split(max(BLOCK // len(fitted), 1))
    nearest = torch.cat([(block @ fitted.T).topk(k).values[:, -1] for block in blocks])
    return -(2 - 2 * nearest).clamp(min=0).sqrt()


def _fitted(train_features: Tensor, train_labels: Tensor) -> tuple[Tensor, Tensor]:
    """Check and return features and labels of the labelled training images."""
    kept = train_labels >= 0
    if not kept.any():
        raise ValueError("no training image has a label: there is nothing to fit a score to")
    fitted = train_features[kept].double()
    if not fitted.isfinite().all():
        raise FloatingPointError("features of training images are not finite numbers")
    return fitted, train_labels[kept]
