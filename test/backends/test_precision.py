"""Precisions: which are there, and what they leave as it is."""

from __future__ import annotations

from nets import Output, Part
import pytest
import torch
from torch import nn

from thermal_perception.backends.precision import choose_precision, InPrecision
from thermal_perception.errors import BackendError

AMX, NOTHING = {'amx_bf16': True}, {'avx2': True}


@pytest.fixture
def has(monkeypatch):
    """Return what makes a processor have flags, and GPUs a compute capability."""

    def have(flags=NOTHING, capability=(9, 0)):
        monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: flags, raising=False)
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)

    return have


@pytest.mark.parametrize(
    ('flags', 'capability', 'device', 'expected'),
    [
        (AMX, (7, 5), 'cpu', 'bf16'),
        ({'avx512_bf16': True}, (7, 5), 'cpu', 'bf16'),
        (NOTHING, (9, 0), 'cpu', 'fp32'),
        ({}, (9, 0), 'cpu', 'fp32'),
        (NOTHING, (8, 0), 'cuda', 'bf16'),
        (NOTHING, (8, 7), 'cuda:1', 'bf16'),
        (AMX, (7, 5), 'cuda', 'fp32'),
    ],
    ids=['AMX', 'AVX-512', 'AVX2', 'unknown', 'Ampere', 'Orin', 'Turing'],
)
def test_auto_is_bf16_where_the_device_multiplies_it(has, flags, capability, device, expected):
    has(flags, capability)
    assert choose_precision('auto', device) == expected
    assert choose_precision('fp32', device) == 'fp32'


@pytest.mark.parametrize(
    ('precision', 'device', 'message'),
    [
        ('int8', 'cpu', "found 'int8', expected one of auto, fp32, bf16$"),
        ('fp16', 'cpu', "found 'fp16', expected one of auto, fp32, bf16$"),
        ('int8', 'cuda', "found 'int8', expected one of auto, fp32, bf16, fp16$"),
        ('bf16', 'cpu', 'found bf16, but cpu does not multiply it; expected auto or fp32'),
        ('bf16', 'cuda:1', 'found bf16, but cuda:1 does not multiply it'),
    ],
)
def test_precision_that_is_not_there_is_refused(has, precision, device, message):
    has(NOTHING, (7, 5))
    with pytest.raises(BackendError, match=message):
        choose_precision(precision, device)


def test_half_precision_is_of_fp16_on_any_gpu(has):
    has(NOTHING, (7, 5))
    assert choose_precision('fp16', 'cuda') == 'fp16'


class Notes(nn.Module):
    """Notes what it sees; multiplies by a kernel."""

    def __init__(self):
        """Start with a kernel of ones."""
        super().__init__()
        self.kernel = nn.Parameter(torch.ones(2, 3, 1, 1))

    def forward(self, image):
        """Return the product of (B, 3, H, W), and which channel is largest."""
        self.seen = image
        self.product = nn.functional.conv2d(image, self.kernel)
        return Output(self.product, Part(self.product.argmax(1), None))


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_network_multiplies_in_its_precision_and_gives_single_precision(precision):
    model = Notes()
    found = InPrecision(model, lambda output: output, 'cpu', precision)(torch.ones(1, 3, 4, 6))
    assert model.product.dtype == (torch.bfloat16 if precision == 'bf16' else torch.float32)
    assert type(found) is Output
    assert (found.doubled.dtype, found.part.mean.dtype) == (torch.float32, torch.int64)
    assert found.doubled.is_contiguous()
    assert found.doubled.flatten().tolist() == [3.0] * 48
    assert model.kernel.dtype == torch.float32


def test_images_are_laid_out_channels_last():
    model = Notes()
    InPrecision(model, lambda output: output, 'cpu', 'fp32')(torch.ones(1, 3, 4, 6))
    assert model.seen.is_contiguous(memory_format=torch.channels_last)
