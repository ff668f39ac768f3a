"""Ways to run a network: eager PyTorch on CPU or GPU."""

from thermal_perception.backends.torch_backend import choose_device, Predictions, TorchBackend

__all__ = ['Predictions', 'TorchBackend', 'choose_device']
