from __future__ import annotations

from dataclasses import dataclass

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter
import yaml

from thermal_perception.nodes.parameters.e2e_mfd import E2eMfdParameters
from thermal_perception.nodes.parameters.fusion_detr import FusionDetrParameters
from thermal_perception.nodes.parameters.parameter_set import (
    declaration_of,
    describe,
    parameter,
    parameter_fields,
    ParameterSet,
    ros_value,
)
from thermal_perception.nodes.parameters.perception import units_of
from thermal_perception.nodes.parameters.rgbt_segmentation import RgbtSegmentationParameters
from thermal_perception.nodes.parameters.v2x import (
    EmiffInfrastructureParameters,
    EmiffVehicleParameters,
)
from thermal_perception.resources import share_path


@dataclass(frozen=True)
class Speed:
    limit: float = parameter(
        1.5, 'Fastest allowed.', unit='m/s', minimum=0.0, maximum=3.0, changeable=True
    )
    mode: str = parameter('eco', 'How to drive.', choices=('eco', 'sport'), changeable=True)
    gears: tuple[int, ...] = parameter((1, 2), 'Which gears.')
    lights: bool = parameter(True, 'Drive with lights.')


@pytest.fixture
def make(graph):
    def make_node(**overrides):
        node = Node(
            'speed', context=graph.context,
            parameter_overrides=[Parameter(k, value=v) for k, v in overrides.items()],
        )
        graph.nodes.append(node)
        return node, ParameterSet(node, Speed)

    return make_node


def test_values_are_the_defaults_unless_overridden(make):
    _, values = make(limit=2.0, gears=[3])
    assert values.values == Speed(limit=2.0, mode='eco', gears=(3,), lights=True)


def test_change_gives_a_new_record_to_listeners(make):
    node, values = make()
    before, heard = values.values, []
    values.on_change(heard.append)
    assert node.set_parameters([Parameter('limit', value=2.5)])[0].successful
    assert values.values == Speed(limit=2.5)
    assert heard == [Speed(limit=2.5)]
    assert before == Speed()


def test_change_of_a_foreign_parameter_is_none_of_our_business(make):
    node, values = make()
    heard = []
    values.on_change(heard.append)
    node.declare_parameter('other', 1)
    node.set_parameters([Parameter('other', value=2)])
    assert heard == []


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        pytest.param({'limit': 3.5}, 'range', id='above range'),
        pytest.param({'mode': 'ludicrous'}, "found 'ludicrous', expected one of eco, sport",
                     id='choice'),
        pytest.param({'lights': False}, 'read-only', id='read-only'),
        pytest.param({'limit': 'fast'}, 'Wrong parameter type', id='type'),
    ],
)
def test_change_that_is_not_allowed_is_refused_with_the_reason(make, change, reason):
    node, values = make()
    (result,) = node.set_parameters([Parameter(k, value=v) for k, v in change.items()])
    assert not result.successful
    assert reason in result.reason
    assert values.values == Speed()


@pytest.mark.parametrize(
    ('override', 'error'),
    [
        ({'limit': 4.0}, InvalidParameterValueException),
        ({'mode': 'ludicrous'}, InvalidParameterValueException),
        ({'lights': 'on'}, InvalidParameterTypeException),
    ],
)
def test_override_that_is_not_allowed_stops_the_start(make, override, error):
    with pytest.raises(error, match=next(iter(override))):
        make(**override)


def test_description_holds_unit_range_and_what_may_change():
    limit, mode, gears, _ = (describe(field) for field in parameter_fields(Speed))
    assert limit.description == 'Fastest allowed. [m/s]'
    (bounds,) = limit.floating_point_range
    assert (bounds.from_value, bounds.to_value) == (0.0, 3.0)
    assert limit.additional_constraints == 'can be changed at run time'
    assert mode.additional_constraints == 'one of: eco, sport; can be changed at run time'
    assert gears.read_only
    assert not limit.read_only


NODES = {
    'fusion_detr': FusionDetrParameters,
    'e2e_mfd': E2eMfdParameters,
    'rgbt_segmentation': RgbtSegmentationParameters,
    'emiff_infrastructure': EmiffInfrastructureParameters,
    'emiff_vehicle': EmiffVehicleParameters,
}


@pytest.mark.parametrize('name', NODES)
def test_yaml_file_of_the_node_lists_every_parameter_with_its_default(name):
    content = yaml.safe_load(share_path('config', f'{name}.yaml').read_text())
    listed = content['/**']['ros__parameters']
    overrides = listed.pop('qos_overrides')
    declared = {f.name: ros_value(f.default) for f in parameter_fields(NODES[name])}
    assert listed == declared
    for topic in overrides.values():
        assert topic['subscription']['reliability'] == 'best_effort'
    assert ('/rgb/image_raw' if name.startswith('emiff') else '/thermal/image_raw') in overrides


@pytest.mark.parametrize('name', NODES)
def test_every_parameter_of_the_node_has_a_description(name):
    for field in parameter_fields(NODES[name]):
        assert declaration_of(field).description.endswith('.')


def test_named_units_ignore_the_custom_parameters():
    values = FusionDetrParameters(thermal_units='lepton_10mk', thermal_scale=5.0)
    assert (units_of(values).unit, units_of(values).scale) == ('kelvin', 0.01)


def test_custom_units_with_zero_bits_mean_unknown():
    assert units_of(FusionDetrParameters(thermal_units='custom')).valid_bits is None
