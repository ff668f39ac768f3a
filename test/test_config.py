from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from thermal_perception.config import from_mapping, read_yaml, set_by_path, to_mapping
from thermal_perception.errors import ConfigError


@dataclass(frozen=True)
class Lens:
    focal_px: float
    coated: bool = True


@dataclass(frozen=True)
class Settings:
    lens: Lens = field(default_factory=lambda: Lens(500.0))
    count: int = 3
    rate_hz: float = 30.0
    name: str = 'cam'
    mode: Literal['newest', 'all'] = 'newest'
    bits: Literal[8, 16] = 8
    limit: float | None = None
    size: tuple[int, int] = (512, 640)
    strides: tuple[int, ...] = (8, 16)
    classes: dict[str, str] = field(default_factory=dict)
    extra: Any = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ConfigError(f'count: found {self.count}, expected at least 0')


def build(**values: Any) -> Settings:
    return from_mapping(Settings, values, where='cam.yaml')


def test_values_that_are_left_out_keep_their_default():
    assert build() == Settings()


def test_every_kind_of_value_is_read():
    settings = build(
        lens={'focal_px': 700, 'coated': False},
        count=5,
        rate_hz=9,
        name='left',
        mode='all',
        bits=16,
        limit=0.5,
        size=[256, 320],
        strides=[8, 16, 32],
        classes={'van': 'car'},
        extra=[1, 'two'],
    )
    assert settings == Settings(
        lens=Lens(700.0, coated=False),
        count=5,
        rate_hz=9.0,
        name='left',
        mode='all',
        bits=16,
        limit=0.5,
        size=(256, 320),
        strides=(8, 16, 32),
        classes={'van': 'car'},
        extra=[1, 'two'],
    )


def test_whole_number_for_a_float_becomes_a_float():
    assert isinstance(build(rate_hz=9).rate_hz, float)


def test_optional_value_may_be_none():
    assert build(limit=None).limit is None


@pytest.mark.parametrize(('text', 'value'), [('1e-4', 1e-4), ('-2E+3', -2000.0), ('5.e2', 500.0)])
def test_number_that_yaml_reads_as_text_is_a_number(text, value):
    assert build(rate_hz=text).rate_hz == value


def test_plain_values_of_a_dataclass_build_its_equal():
    settings = build(lens={'focal_px': 1.5}, size=[1, 2], classes={'a': 'b'})
    plain = to_mapping(settings)
    assert plain['size'] == [1, 2]
    assert plain['lens'] == {'focal_px': 1.5, 'coated': True}
    assert from_mapping(Settings, plain, where='again') == settings


@pytest.mark.parametrize(
    ('values', 'text'),
    [
        pytest.param(
            {'rate': 3.0}, "cam.yaml: unknown key 'rate', did you mean 'rate_hz'?", id='misspelt'
        ),
        pytest.param({'zzz': 3.0}, "unknown key 'zzz'; known: lens, count", id='unknown'),
        pytest.param({1: 2}, 'unknown key 1', id='number as key'),
        pytest.param(
            {'lens': {'focal': 1.0}}, "cam.yaml: lens: unknown key 'focal'", id='misspelt inside'
        ),
        pytest.param({'lens': {}}, "cam.yaml: lens: missing key 'focal_px'", id='missing'),
        pytest.param({'lens': 3}, 'lens: found 3 .* expected a mapping', id='no mapping'),
        pytest.param({'count': 2.5}, r'count: found 2.5 \(float\), expected int', id='fraction'),
        pytest.param({'count': True}, r'count: found True \(bool\), expected int', id='bool'),
        pytest.param({'rate_hz': 'fast'}, "rate_hz: found 'fast'", id='text for a number'),
        pytest.param({'name': 4}, r'name: found 4 \(int\), expected str', id='number for text'),
        pytest.param({'lens': {'focal_px': 1, 'coated': 1}}, 'coated: found 1', id='1 for true'),
        pytest.param({'mode': 'oldest'}, "'oldest', expected one of newest, all", id='choice'),
        pytest.param({'bits': 8.0}, 'bits: found 8.0, expected one of 8, 16', id='float choice'),
        pytest.param({'bits': [8]}, r'bits: found \[8\], expected one of', id='list choice'),
        pytest.param({'size': [1]}, 'size: found 1 values, expected 2', id='too few'),
        pytest.param({'size': 7}, 'size: found 7 .* expected a list', id='no list'),
        pytest.param({'strides': [8, 'x']}, r'strides\[1\]: found .x.', id='in a list'),
        pytest.param({'classes': {'van': 3}}, 'classes.van: found 3', id='in a mapping'),
        pytest.param({'classes': []}, 'classes: found .* expected a mapping', id='list for map'),
        pytest.param({'limit': 'x'}, "limit: found 'x'", id='optional'),
        pytest.param({'count': -1}, 'cam.yaml: count: found -1, expected at least 0', id='range'),
    ],
)
def test_wrong_value_is_refused_with_place_and_expectation(values, text):
    with pytest.raises(ConfigError, match=text):
        from_mapping(Settings, values, where='cam.yaml')


def test_file_is_read_as_a_mapping(tmp_path):
    path = tmp_path / 'cam.yaml'
    path.write_text('lens: {focal_px: 3}\ncount: 2\n')
    assert read_yaml(path) == {'lens': {'focal_px': 3}, 'count': 2}


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        pytest.param(None, 'cam.yaml: cannot be read', id='missing'),
        pytest.param(b'\xff\xfe\x00', 'cannot be read', id='not text'),
        pytest.param(b'a: [1', 'is not valid YAML', id='not YAML'),
        pytest.param(b'- 1\n- 2\n', 'found list, expected a mapping', id='list'),
        pytest.param(b'', 'found NoneType, expected a mapping', id='empty'),
        pytest.param(b'!!python/object/apply:os.getcwd []', 'is not valid YAML', id='object'),
    ],
)
def test_file_that_is_no_mapping_is_refused_with_its_path(tmp_path, content, text):
    path = tmp_path / 'cam.yaml'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=text):
        read_yaml(path)


def test_set_by_path_reaches_into_mappings_and_makes_missing_ones():
    values: dict[str, Any] = {'lens': {'focal_px': 1.0}}
    set_by_path(values, 'lens.focal_px=2.5')
    set_by_path(values, 'size=[1, 2]')
    set_by_path(values, 'new.deep.name=a=b')
    assert values == {
        'lens': {'focal_px': 2.5},
        'size': [1, 2],
        'new': {'deep': {'name': 'a=b'}},
    }


@pytest.mark.parametrize(
    ('assignment', 'text'),
    [
        pytest.param('count', "--set 'count': expected key=value", id='no value'),
        pytest.param('=3', "--set '=3': expected key=value", id='no key'),
        pytest.param('count.x=3', "'count' is not a mapping", id='below a number'),
        pytest.param('count=[1', r"--set 'count=\[1': .* not valid YAML", id='not YAML'),
    ],
)
def test_malformed_assignment_is_refused(assignment, text):
    with pytest.raises(ConfigError, match=text):
        set_by_path({'count': 1}, assignment)
