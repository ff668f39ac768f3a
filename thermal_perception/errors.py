"""Every error the package raises, in one tree.

    ThermalPerceptionError
    ├── ConfigError         a YAML file, parameter or option is not acceptable
    ├── DecodeError         a message cannot become a Frame
    ├── GeometryError       a camera matrix, transform or point array is malformed
    ├── SynchroniseError    the pairing was asked for something impossible
    ├── PreprocessError     an image cannot become model input
    ├── CheckpointError     a weights file is missing, damaged, foreign or too new
    ├── BackendError        a model cannot run on the chosen device or run-time
    ├── DatasetError        a data set on disk is not laid out as expected
    ├── MetricError         two things that were to be compared do not fit together
    ├── SimulationError     a scene or camera was asked for something impossible
    └── V2xError            a message of the roadside is not acceptable

Each message says what was found, what was expected, and where.
"""

from __future__ import annotations


class ThermalPerceptionError(Exception):
    """Base of all errors raised on purpose by this package."""


class ConfigError(ThermalPerceptionError, ValueError):
    """A configuration value is missing, unknown, of the wrong type or out of range."""


class DecodeError(ThermalPerceptionError, ValueError):
    """A message cannot be decoded.

    Attributes:
        cause: short stable name for counters, for example `truncated_data` or `bad_step`.
    """

    def __init__(self, message: str, *, cause: str) -> None:
        """Keep the human sentence and the machine-readable cause."""
        super().__init__(message)
        self.cause = cause


class GeometryError(ThermalPerceptionError, ValueError):
    """A camera matrix, transform or array of points has the wrong shape or values."""


class SynchroniseError(ThermalPerceptionError, ValueError):
    """Pairing was configured or used in a way that cannot work."""


class PreprocessError(ThermalPerceptionError, ValueError):
    """An image cannot be turned into model input."""


class CheckpointError(ThermalPerceptionError):
    """A weights file is missing, truncated, of another model or of another schema version."""


class BackendError(ThermalPerceptionError):
    """A model cannot run on the chosen device or run-time.

    Attributes:
        recoverable: True when another device may still work (out of memory, device lost).
    """

    def __init__(self, message: str, *, recoverable: bool = False) -> None:
        """Keep the sentence and whether falling back makes sense."""
        super().__init__(message)
        self.recoverable = recoverable


class DatasetError(ThermalPerceptionError):
    """A data set on disk is not laid out as expected."""


class MetricError(ThermalPerceptionError, ValueError):
    """Results, images or label maps that were to be compared do not fit together."""


class SimulationError(ThermalPerceptionError, ValueError):
    """A scene, preset or camera was asked for something impossible."""


class V2xError(ThermalPerceptionError, ValueError):
    """A feature message is refused.

    Attributes:
        cause: short stable name for counters, for example `oversized` or `bad_signature`.
    """

    def __init__(self, message: str, *, cause: str) -> None:
        """Keep the human sentence and the machine-readable cause."""
        super().__init__(message)
        self.cause = cause
