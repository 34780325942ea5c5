"""Whether confidences are what they claim: of cells labelled with 80 %, four in five are right."""

import numpy as np

from scprism.types import FloatArray

__all__ = ["calibration_error"]


def calibration_error(confidence: FloatArray, right: np.ndarray, *, n_bins: int = 10) -> float:
    """Return the expected calibration error: the mean over cells of their bin's |mean confidence − share right|.

    Naeini, Cooper & Hauskrecht, AAAI 2015; bins of equal width.

    Parameters
    ----------
    confidence
        Estimated probability that each label is right, (cells,).
    right
        Whether it is, bool (cells,).

    Examples
    --------
    >>> calibration_error(np.array([0.9, 0.9]), np.array([True, False]))
    0.4
    """
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    sizes = np.bincount(bins, minlength=n_bins)
    gaps = np.bincount(bins, weights=confidence - right, minlength=n_bins)
    return float(np.round(np.abs(gaps).sum() / max(sizes.sum(), 1), 12))
