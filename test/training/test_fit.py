"""What `fit` makes of a configuration, before the first step."""

from __future__ import annotations

import pytest

from thermal_perception.errors import ConfigError
from thermal_perception.models.build import make_model
from training.config import TrainingConfig
from training.datasets import DatasetConfig
from training.fit import model_info


def config(**options):
    return TrainingConfig(
        'fusion_detr_lite', (DatasetConfig('data'),), (), model_options=options
    )


def test_model_options_replace_values_of_the_model_config():
    plain, ablated = model_info(config()), model_info(config(fusion='uniform', scale_pe=False))
    assert (plain.config['fusion'], ablated.config['fusion']) == ('selective', 'uniform')
    assert ablated.config == {**plain.config, 'fusion': 'uniform', 'scale_pe': False}
    assert ablated.training['config']['model_options'] == {'fusion': 'uniform', 'scale_pe': False}


def test_unknown_model_option_is_refused_with_the_nearest():
    info = model_info(config(fusoin='off'))
    with pytest.raises(ConfigError, match='fusoin.*fusion'):
        make_model(info.architecture, info.config, where=info.model)
