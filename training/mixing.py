"""How gradients of several tasks are mixed: what each method makes of their Gram matrix.

Let the columns of G (P x T) be the gradients of T tasks on P shared parameters. All methods here
stay in the span of those columns: they change them to G A, whose columns are then added up. The
mixing A (T x T) follows from the Gram matrix M = G^T G alone, so nothing of size P is decomposed.
All are float64.
"""

from __future__ import annotations

from typing import Literal, TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

ScaleMode = Literal['min', 'median', 'rmse']

RANK_TOLERANCE = 1e-6
"""Singular values below this share of the largest count as zero.

Rounding of single precision leaves about 1e-7 between two gradients that are parallel.
"""

_NEWTON_STEPS = 100  # a few suffice
_MOST_WEIGHT = 1e3  # of gradients of length 1; beyond it they cancel


def aligned(gram: Matrix, scale: ScaleMode = 'min') -> Matrix:
    """Return the mixing that makes gradients orthogonal and equally long: sigma G M^(-1/2).

    Of gradients that span less than T dimensions, the part they span is mixed; two parallel ones,
    or one and zero, stay as they are.

    Args:
        gram: (T, T), finite.
        scale: sigma, made of the singular values of G that are not zero: the smallest, their
            `median` (the lower of two middle ones) or the root of their mean square.

    Source: Senushkin et al., Aligned-MTL, arXiv 2305.19000.
    """
    return aligned_pair(gram, scale) if len(gram) == 2 else aligned_any(gram, scale)


def aligned_pair(gram: Matrix, scale: ScaleMode = 'min') -> Matrix:
    """Return `aligned` of two tasks in closed form; gram is (2, 2)."""
    (a, b), (_, c) = gram
    largest = (a + c) / 2 + np.hypot((a - c) / 2, b)
    if largest == 0:
        return np.eye(2)
    smallest = max(0.0, (a * c - b * b) / largest)  # a difference of the two would cancel
    sigma_max, sigma_min = np.sqrt(largest), np.sqrt(smallest)
    if sigma_min < RANK_TOLERANCE * sigma_max:
        return np.eye(2)
    root = sigma_max * sigma_min
    adjugate = np.array([[c + root, -b], [-b, a + root]])
    sigma = _scale(np.array([smallest, largest]), scale)
    return sigma * adjugate / (root * (sigma_max + sigma_min))


def aligned_any(gram: Matrix, scale: ScaleMode = 'min') -> Matrix:
    """Return `aligned` of any number of tasks by the eigenvectors of gram (T, T)."""
    values, vectors = np.linalg.eigh(gram)
    if values[-1] <= 0:
        return np.eye(len(gram))
    kept = values > values[-1] * RANK_TOLERANCE**2
    values, vectors = values[kept], vectors[:, kept]
    mixing: Matrix = (vectors * (_scale(values, scale) / np.sqrt(values))) @ vectors.T
    return mixing


def projected(gram: Matrix, rng: np.random.Generator) -> Matrix:
    """Return the mixing in which no gradient pulls against another: PCGrad.

    From each gradient goes what points against another one, in random order of the others.

    Source: Yu et al., Gradient Surgery for Multi-Task Learning, arXiv 2001.06782.
    """
    mixing = np.eye(len(gram))
    for task in range(len(gram)):
        for other in rng.permutation(len(gram)):
            along = gram[other] @ mixing[:, task]
            if other != task and along < 0:
                mixing[other, task] -= along / gram[other, other]
    return mixing


def conflict_averse(gram: Matrix, conflict: float) -> Matrix:
    """Return the mixing that serves the worst-off task best, near the mean gradient: CAGrad.

    The mean may move by `conflict` times its length, in 0..1. What comes out is T times as long
    as in the source, so that 0 is the plain sum.

    Source: Liu et al., Conflict-Averse Gradient Descent, arXiv 2110.14048.
    """
    tasks = len(gram)
    radius = conflict * float(np.sqrt(np.maximum(gram.mean(), 0.0)))
    weights = _worst_case(gram, radius)
    worst = length(gram, weights)
    if worst <= RANK_TOLERANCE * np.sqrt(gram.trace()):
        return np.eye(tasks)  # gradients cancel: there is no direction that serves all
    return np.diag(1 + tasks * radius / worst * weights)


def bargained(gram: Matrix) -> Matrix:
    """Return the mixing that is the Nash bargaining solution: M alpha = 1 / alpha.

    As in the released code, M is divided by its Frobenius norm first, so that longer gradients
    give a longer step. The solution is the minimum of the convex alpha^T M alpha / 2 -
    sum ln alpha, found by Newton's method. Tasks without gradient keep the weight 1; where
    gradients cancel there is no solution and the mixing is the identity.

    Source: Navon et al., Multi-Task Learning as a Bargaining Game, arXiv 2202.01017.
    """
    moving = gram.diagonal() > 0
    if not moving.any():
        return np.eye(len(gram))
    part = gram[np.ix_(moving, moving)]
    norms = np.sqrt(part.diagonal())
    solution = _bargain(part / np.outer(norms, norms))
    alpha = np.ones(len(gram))
    if solution is not None:
        alpha[moving] = solution / norms * np.sqrt(np.linalg.norm(part))
    return np.diag(alpha)


def condition_number(gram: Matrix) -> float:
    """Return the largest over the smallest singular value of G; infinite if it lacks rank."""
    smallest, largest = np.linalg.eigvalsh(gram)[[0, -1]]
    if smallest <= largest * RANK_TOLERANCE**2:
        return float('inf')
    return float(np.sqrt(largest / smallest))


def length(gram: Matrix, weights: Matrix) -> float:
    """Return the length of the gradients' sum with weights (T,)."""
    return float(np.sqrt(np.maximum(weights @ gram @ weights, 0.0)))


def _scale(values: Matrix, mode: ScaleMode) -> float:
    """Return sigma of eigenvalues in rising order."""
    if mode == 'min':
        return float(np.sqrt(values[0]))
    if mode == 'median':
        return float(np.sqrt(values[(len(values) - 1) // 2]))
    return float(np.sqrt(values.mean()))


def _worst_case(gram: Matrix, radius: float) -> Matrix:
    """Return the weights w (T,) of the simplex with the least g_w . g_0 + radius |g_w|."""
    tasks, unit = len(gram), gram.trace() or 1.0
    start = np.full(tasks, 1 / tasks)
    toward_mean, scaled, reach = gram.mean(1) / unit, gram / unit, radius / np.sqrt(unit)

    def objective(weights: Matrix) -> tuple[float, Matrix]:
        pulled = scaled @ weights
        long = np.hypot(length(scaled, weights), 1e-8)  # has a slope at zero too
        return weights @ toward_mean + reach * long, toward_mean + reach * pulled / long

    found = minimize(
        objective,
        start,
        jac=True,
        method='SLSQP',
        bounds=[(0, 1)] * tasks,
        constraints={'type': 'eq', 'fun': lambda w: w.sum() - 1, 'jac': np.ones_like},
        options={'ftol': 1e-14, 'maxiter': 200},
    )
    weights: Matrix = found.x
    return weights


def _bargain(cosines: Matrix) -> Matrix | None:
    """Return beta (T,) > 0 with cosines beta = 1 / beta, or None if there seems to be none."""
    beta = np.ones(len(cosines))
    for _ in range(_NEWTON_STEPS):
        if beta.max() > _MOST_WEIGHT:
            break
        slope = cosines @ beta - 1 / beta
        step = np.linalg.solve(cosines + np.diag(beta**-2), slope)
        decrement = np.sqrt(np.maximum(slope @ step, 0.0))
        if decrement < 1e-8:
            return beta
        # Shorter steps while far away keep beta positive: the function is self-concordant.
        beta = beta - step / (1 + decrement) if decrement > 0.25 else beta - step
    return None
