from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

from training.mixing import (
    aligned,
    aligned_any,
    aligned_pair,
    bargained,
    condition_number,
    conflict_averse,
    projected,
)


def gram_of(gradients):
    return gradients.T @ gradients


def two(first, second):
    """Return G (P, 2) of two gradients."""
    return np.stack((np.asarray(first, float), np.asarray(second, float)), 1)


def procrustes(gradients):
    """Return sigma U V^T by a singular value decomposition."""
    u, s, vt = np.linalg.svd(gradients, full_matrices=False)
    return s[-1] * u @ vt


def random_gradients(seed, tasks=2, size=50):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, tasks)) * 10.0 ** rng.uniform(-3, 3, tasks)


@pytest.mark.parametrize('seed', range(5))
def test_aligned_gradients_are_orthogonal_and_as_long_as_the_weakest_direction(seed):
    gradients = random_gradients(seed)
    changed = gradients @ aligned(gram_of(gradients))
    weakest = np.linalg.svd(gradients, compute_uv=False)[-1]
    gram = gram_of(changed) / weakest**2
    assert_allclose(gram, np.eye(2), atol=1e-6)
    assert condition_number(gram) == pytest.approx(1, abs=1e-6)
    assert (changed.sum(1) ** 2).sum() == pytest.approx(2 * weakest**2, rel=1e-6)


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('form', [aligned_pair, aligned_any])
def test_both_forms_equal_the_singular_value_decomposition(seed, form):
    gradients = random_gradients(seed)
    expected = procrustes(gradients)
    changed = gradients @ form(gram_of(gradients))
    assert_allclose(changed, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('tasks', [1, 3, 5])
def test_more_tasks_are_aligned_as_the_singular_value_decomposition_does(tasks):
    gradients = np.random.default_rng(tasks).normal(size=(40, tasks))
    changed = gradients @ aligned(gram_of(gradients))
    assert_allclose(changed, procrustes(gradients), atol=1e-9)


def test_orthogonal_gradients_of_length_two_and_one_give_a_half_and_one():
    mixing = aligned(gram_of(two((2, 0), (0, 1))))
    assert_allclose(mixing, [[0.5, 0], [0, 1]])


def test_the_longer_of_two_orthogonal_gradients_does_not_matter():
    for length in (2, 5, 1000):
        gradients = two((length, 0), (0, 1))
        combined = gradients @ aligned(gram_of(gradients)).sum(1)
        assert_allclose(combined, [1, 1])


def test_orthonormal_gradients_stay_as_they_are():
    assert_allclose(aligned(np.eye(2)), np.eye(2))
    assert_allclose(aligned_any(np.eye(3)), np.eye(3), atol=1e-12)


def test_scaling_both_gradients_changes_no_coefficient():
    gram = gram_of(random_gradients(1))
    assert_allclose(aligned(gram * 1e-12), aligned(gram), rtol=1e-9)
    assert_allclose(aligned(gram * 1e12), aligned(gram), rtol=1e-9)


RANK_ONE = {
    'second is zero': two((3, 4), (0, 0)),
    'first is zero': two((0, 0), (3, 4)),
    'parallel': two((3, 4), (1.5, 2)),
    'opposed': two((3, 4), (-0.3, -0.4)),
    'both zero': two((0, 0), (0, 0)),
    'parallel but for rounding': two((3, 4), (3, 4 * (1 + 1e-7))),
}


@pytest.mark.parametrize('gradients', RANK_ONE.values(), ids=RANK_ONE)
def test_gradients_that_span_one_direction_are_only_added(gradients):
    gram = gram_of(gradients)
    assert_allclose(gradients @ aligned_pair(gram), gradients, atol=1e-12)
    assert_allclose(gradients @ aligned_any(gram), gradients, atol=1e-6)
    assert condition_number(gram) == float('inf')


def test_three_gradients_in_a_plane_are_aligned_within_it():
    gradients = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    changed = gradients @ aligned(gram_of(gradients))
    values = np.linalg.svd(changed, compute_uv=False)
    weakest = np.linalg.svd(gradients, compute_uv=False)[1]
    assert_allclose(values, [weakest, weakest, 0], atol=1e-6)


def test_a_coefficient_is_negative_for_unequal_gradients_that_agree():
    coefficients = aligned(gram_of(two((1, 0), (20, 1)))).sum(1)
    # a = 1, b = 20, c = 401, sigma_max sigma_min = 1, sigma_max^2 = 201 + sqrt(200^2 + 20^2).
    divisor = 201 + np.sqrt(40400) + 1
    assert_allclose(coefficients, [(401 + 1 - 20) / divisor, (1 + 1 - 20) / divisor])


@pytest.mark.parametrize('seed', range(10))
def test_the_aligned_step_never_raises_the_sum_of_losses(seed):
    gradients = random_gradients(seed)
    combined = gradients @ aligned(gram_of(gradients)).sum(1)
    assert combined @ gradients.sum(1) >= 0


SCALES = {'min': 1.0, 'median': 2.0, 'rmse': np.sqrt((1 + 4 + 9) / 3)}


@pytest.mark.parametrize('mode', SCALES)
def test_scale_mode_sets_the_length_of_aligned_gradients(mode):
    gram = np.diag([1.0, 4.0, 9.0])
    assert_allclose(np.diag(aligned(gram, mode)) * [1, 2, 3], [SCALES[mode]] * 3)


def test_scale_mode_holds_for_two_tasks_where_the_median_is_the_smaller_one():
    gram = np.diag([1.0, 9.0])
    for mode, sigma in (('min', 1), ('median', 1), ('rmse', np.sqrt(5))):
        assert_allclose(aligned(gram, mode), np.diag([sigma, sigma / 3]))
        assert_allclose(aligned_any(gram, mode), np.diag([sigma, sigma / 3]))


def rng():
    return np.random.default_rng(0)


def test_projection_takes_from_each_gradient_what_points_against_the_other():
    gradients = two((1, 0), (-1, 1))
    changed = gradients @ projected(gram_of(gradients), rng())
    assert_allclose(changed, two((0.5, 0.5), (0, 1)))


def test_projection_leaves_gradients_that_agree_and_zeros():
    for gradients in (two((1, 0), (1, 1)), two((1, 0), (0, 0))):
        assert_allclose(projected(gram_of(gradients), rng()), np.eye(2))


def projected_one_by_one(gradients, rng):
    """PCGrad as its source writes it, on the gradients themselves."""
    changed = gradients.copy()
    for task in range(gradients.shape[1]):
        for other in rng.permutation(gradients.shape[1]):
            g, against = changed[:, task], gradients[:, other]
            if other != task and g @ against < 0:
                changed[:, task] = g - (g @ against) / (against @ against) * against
    return changed


@pytest.mark.parametrize('seed', range(5))
def test_projection_of_many_equals_the_loop_over_gradients(seed):
    gradients = np.random.default_rng(seed).normal(size=(6, 4))
    changed = gradients @ projected(gram_of(gradients), rng())
    assert_allclose(changed, projected_one_by_one(gradients, rng()), atol=1e-12)


def test_conflict_averse_without_freedom_is_the_plain_sum():
    assert_allclose(conflict_averse(gram_of(random_gradients(2)), 0.0), np.eye(2))


@pytest.mark.parametrize('seed', range(5))
def test_conflict_averse_serves_the_worst_task_best_within_its_reach(seed):
    gradients = np.random.default_rng(seed).normal(size=(5, 2)) * (1.0, 3.0)
    combined = gradients @ conflict_averse(gram_of(gradients), 0.4).sum(1) / 2
    mean = gradients.mean(1)
    reach = 0.4 * np.linalg.norm(mean)
    assert np.linalg.norm(combined - mean) == pytest.approx(reach, rel=1e-6)
    worst = (combined @ gradients).min()
    steps = np.random.default_rng(0).normal(size=(20000, 5))
    others = mean + reach * steps / np.linalg.norm(steps, axis=1, keepdims=True)
    assert worst >= (others @ gradients).min(1).max() - 1e-6 * abs(worst)


def test_conflict_averse_adds_gradients_that_cancel():
    assert_allclose(conflict_averse(gram_of(two((1, 2), (-1, -2))), 0.5), np.eye(2))
    assert_allclose(conflict_averse(np.zeros((2, 2)), 0.5), np.eye(2))


@pytest.mark.parametrize('tasks', [2, 3, 6])
def test_bargained_weights_solve_the_equation_of_the_source(tasks):
    gram = gram_of(np.random.default_rng(tasks).normal(size=(20, tasks)))
    gram /= np.linalg.norm(gram)
    alpha = np.diag(bargained(gram))
    assert (alpha > 0).all()
    assert_allclose(gram @ alpha, 1 / alpha, rtol=1e-8)


@pytest.mark.parametrize('cosine', [-0.99999, -0.5, 0.0, 0.9, 1.0])
@pytest.mark.parametrize('length', [1e-6, 1.0, 1e6])
def test_bargained_pair_is_that_of_the_closed_form(cosine, length):
    gram = np.array([[1.0, cosine * length], [cosine * length, length**2]])
    alpha = np.diag(bargained(gram / np.linalg.norm(gram)))
    lengths = np.sqrt(gram.diagonal() / np.linalg.norm(gram))
    assert_allclose(alpha, 1 / (lengths * np.sqrt(1 + cosine)), rtol=1e-6)


def test_bargained_pair_has_equally_long_gradients():
    gradients = two((100, 0), (0.6, 0.8))
    changed = gradients @ bargained(gram_of(gradients))
    lengths = np.linalg.norm(changed, axis=0)
    assert lengths[0] == pytest.approx(lengths[1])


def test_bargaining_leaves_a_task_without_gradient_alone():
    alpha = np.diag(bargained(gram_of(two((3, 4), (0, 0)))))
    assert_allclose(alpha, [1, 1])
    assert_allclose(bargained(np.zeros((2, 2))), np.eye(2))


def test_bargaining_over_gradients_that_cancel_is_given_up():
    assert_allclose(bargained(gram_of(two((1, 2), (-1, -2)))), np.eye(2))


def test_condition_number_is_the_ratio_of_singular_values():
    assert condition_number(np.diag([4.0, 1.0])) == pytest.approx(2)
    gradients = random_gradients(3)
    assert condition_number(gram_of(gradients)) == pytest.approx(np.linalg.cond(gradients))
