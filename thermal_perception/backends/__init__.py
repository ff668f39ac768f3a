"""Ways to run a network: eager PyTorch on CPU or GPU."""

from thermal_perception.backends.torch_backend import choose_device, to_cpu, TorchBackend

__all__ = ['TorchBackend', 'choose_device', 'to_cpu']
