"""OOD scores on image features, fitted to the features of training images; larger: more ID.

Training images are few shots with their labels, or unlabelled images with the class that the model
predicts; a label below 0 leaves an image out. Unlabelled images may hold OOD ones, and in the
released protocol they hold the tested images themselves: then these scores tell how dense an
image's surroundings are rather than how far it is from what was known before.

A test feature with a NaN scores NaN; a training feature with one is an error.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_NEIGHBOURS = 50  # the choice of Sun et al. for CIFAR-10
BLOCK = 20_000_000  # similarities held at once


def mahalanobis(
    features: Tensor,
    train_features: Tensor,
    train_labels: Tensor,
    shrinkage: float | None = None,
) -> Tensor:
    """-min_k (f - m_k)' S^-1 (f - m_k) (Lee et al., NeurIPS 2018), in fp64, (samples,).

    m_k is the mean of class k, S the covariance around these means that all classes share.

    features: (samples, embedding); train_features: (images, embedding); train_labels: (images,).
    shrinkage: S becomes (1 - s) S + s trace(S) / embedding * I; None: s of Ledoit and Wolf (2004).

    # choice: shrunk, because few shots give a singular S; without any spread, as with one shot a
    # class, S is the identity.

    Raises ValueError without a training image or if S is singular, FloatingPointError for training
    features that are not finite.
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
    """Cholesky factor (embedding, embedding) of the shrunk covariance of residuals
    (images, embedding)."""
    images, size = residuals.shape
    eye = torch.eye(size, dtype=residuals.dtype)
    covariance = residuals.T @ residuals / images
    scale = covariance.trace() / size
    if scale == 0:
        return eye
    if shrinkage is None:
        from sklearn.covariance import ledoit_wolf_shrinkage  # here: it takes long to import

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
    """Minus the distance to the k-th nearest training feature, all as unit vectors (Sun et al.,
    ICML 2022), in fp64, (samples,). As |a - b|^2 = 2 - 2 cos, it ranks as the k-th largest cosine.

    features: (samples, embedding); train_features: (images, embedding); train_labels: (images,).
    k: at most `images`; None: as many as a class has training images on average, at most 50.

    # choice of k: 50 is the paper's on CIFAR-10, and on ImageNet it takes about 3 in 4 of a class's
    # images. An image that is a training image too is its own first neighbour.

    Raises ValueError without a training image, FloatingPointError for training features that are
    not finite.
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
    """Features and labels of the training images that have a label, checked."""
    kept = train_labels >= 0
    if not kept.any():
        raise ValueError("no training image has a label: there is nothing to fit a score to")
    fitted = train_features[kept].double()
    if not fitted.isfinite().all():
        raise FloatingPointError("features of training images are not finite numbers")
    return fitted, train_labels[kept]
