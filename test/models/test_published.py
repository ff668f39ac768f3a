from __future__ import annotations

import pytest
from safetensors.torch import save_file
import torch
from torch import nn
import torch.nn.functional as F
from torch.testing import assert_close

from thermal_perception.errors import CheckpointError
from thermal_perception.models.backbones import make_backbone
from thermal_perception.models.published import (
    load_backbone_state_dict,
    load_detr_state_dict,
    read_published,
)


class StockDetr(nn.Module):
    """DETR written with PyTorch's own layers, parameters named as in the released code."""

    def __init__(self, *, d=32, heads=4, ffn=64, layers=2, queries=6, logits=4):
        super().__init__()
        body = nn.ModuleDict(
            {'body': make_backbone('resnet18', train_norm=True, freeze_early=False)}
        )
        self.backbone = nn.ModuleList([body])
        self.input_proj = nn.Conv2d(512, d, 1)
        self.query_embed = nn.Embedding(queries, d)
        self.transformer = nn.ModuleDict({'encoder': nn.Module(), 'decoder': nn.Module()})
        options = {'dim_feedforward': ffn, 'dropout': 0.0, 'batch_first': True}
        self.transformer['encoder'].layers = nn.ModuleList(
            nn.TransformerEncoderLayer(d, heads, **options) for _ in range(layers)
        )
        self.transformer['decoder'].layers = nn.ModuleList(
            nn.TransformerDecoderLayer(d, heads, **options) for _ in range(layers)
        )
        self.transformer['decoder'].norm = nn.LayerNorm(d)
        self.class_embed = nn.Linear(d, logits)
        self.bbox_embed = nn.Module()
        self.bbox_embed.layers = nn.ModuleList([nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, 4)])

    def forward(self, images, pos):
        """Detect in normalised (1, 3, H, W), given the (1, N, d) position code."""
        x = self.input_proj(self.backbone[0]['body'](images)[32]).flatten(2).mT
        for layer in self.transformer['encoder'].layers:
            x = layer.norm1(x + layer.self_attn(x + pos, x + pos, x)[0])
            x = layer.norm2(x + layer.linear2(F.relu(layer.linear1(x))))
        query = self.query_embed.weight[None]
        y = torch.zeros_like(query)
        for layer in self.transformer['decoder'].layers:
            y = layer.norm1(y + layer.self_attn(y + query, y + query, y)[0])
            y = layer.norm2(y + layer.multihead_attn(y + query, x + pos, x)[0])
            y = layer.norm3(y + layer.linear2(F.relu(layer.linear1(y))))
        y = self.transformer['decoder'].norm(y)
        boxes = y
        for linear in self.bbox_embed.layers[:-1]:
            boxes = F.relu(linear(boxes))
        return self.class_embed(y), self.bbox_embed.layers[-1](boxes).sigmoid()


SAME = {'backbone': 'resnet18', 'encoder_layers': 2, 'class_names': ['a', 'b', 'c']}


@pytest.fixture
def stock():
    torch.manual_seed(4)
    return StockDetr().eval()


def position_code(height, width, d=32):
    """Write out DETR's sine code: y features, then x; sine on even, cosine on odd features."""
    code = torch.zeros(height, width, d)
    for row in range(height):
        for column in range(width):
            for axis, value in enumerate(((row + 1) / height, (column + 1) / width)):
                for feature in range(d // 2):
                    angle = value * 2 * torch.pi / 10000 ** (2 * (feature // 2) / (d // 2))
                    wave = torch.sin if feature % 2 == 0 else torch.cos
                    code[row, column, axis * d // 2 + feature] = wave(torch.tensor(angle))
    return code.view(1, -1, d)


def test_off_with_the_weights_of_a_stock_detr_computes_what_it_computes(tiny_model, stock):
    model = tiny_model(**SAME, fusion='off')
    report = load_detr_state_dict(model, stock.state_dict())
    assert report.skipped == ()
    assert report.fresh == ()
    grey = torch.rand(1, 1, 64, 96)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (grey - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        logits, boxes = stock(normalised, position_code(2, 3))
        found = model(grey)
    assert_close(found.logits, logits, atol=1e-4, rtol=1e-4)
    assert_close(found.boxes, boxes, atol=1e-5, rtol=1e-4)


def test_selective_takes_the_input_projection_for_c5_and_may_start_near_it(tiny_model, stock):
    model = tiny_model(**SAME)
    report = load_detr_state_dict(model, stock.state_dict(), c5_weight=3.0)
    assert report.skipped == ()
    assert all(n.startswith(('neck.fusion.', 'neck.c6.', 'neck.proj')) for n in report.fresh)
    assert torch.equal(model.neck.projections['32'].conv.weight, stock.input_proj.weight)
    assert model.neck.fusion.w.tolist() == [0.0, 0.0, 3.0, 0.0]


def test_w_keeps_its_start_unless_asked(tiny_model, stock):
    model = tiny_model(**SAME)
    load_detr_state_dict(model, stock.state_dict())
    assert model.neck.fusion.w.tolist() == [0.0] * 4


def test_other_classes_and_another_number_of_queries_are_skipped_and_said(tiny_model, stock):
    model = tiny_model(**{**SAME, 'class_names': ['a'], 'num_queries': 5}, fusion='off')
    report = load_detr_state_dict(model, stock.state_dict())
    left_out = (
        'decoder.class_embed.0.bias',
        'decoder.class_embed.0.weight',
        'decoder.query_embed',
    )
    assert report.skipped == left_out
    assert report.fresh == left_out
    assert torch.equal(
        model.encoder[1].linear2.weight, stock.transformer['encoder'].layers[1].linear2.weight
    )


def test_a_one_channel_stem_is_folded_from_a_detr(tiny_model, stock):
    model = tiny_model(**SAME, stem='sum')
    load_detr_state_dict(model, stock.state_dict())
    assert model.backbone.conv1.weight.shape == (64, 1, 7, 7)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        pytest.param({'encoder_layers': 1}, 'encoder.1.linear1.bias', id='fewer layers'),
        pytest.param({'encoder_layers': 3}, 'encoder.2.linear1.bias', id='more layers'),
        pytest.param({'ffn_dim': 128}, 'tensors do not fit this model', id='wider layers'),
        pytest.param({'backbone': 'resnet34'}, 'backbone.layer', id='another backbone'),
        pytest.param({'queries': 'anchors'}, 'decoder.bbox_embed.1', id='another kind of queries'),
    ],
)
def test_a_transformer_of_another_shape_is_refused(tiny_model, stock, changes, message):
    model = tiny_model(**{**SAME, 'fusion': 'off', **changes})
    before = model.encoder[0].linear1.weight.clone()
    with pytest.raises(CheckpointError, match=message):
        load_detr_state_dict(model, stock.state_dict())
    assert torch.equal(model.encoder[0].linear1.weight, before)


def test_weights_that_are_no_detr_are_refused(tiny_model):
    with pytest.raises(CheckpointError, match=r'found no backbone\.0\.body\.conv1\.weight'):
        load_detr_state_dict(tiny_model(**SAME), {'conv1.weight': torch.zeros(1)})


def test_backbone_weights_of_another_network_are_refused(tiny_model):
    resnet = make_backbone('resnet18', train_norm=False, freeze_early=False).state_dict()
    with pytest.raises(CheckpointError, match='backbone convnextv2_atto: published weights'):
        load_backbone_state_dict(tiny_model(), resnet)


def test_backbone_weights_are_taken_over(tiny_model):
    source = make_backbone('resnet18', train_norm=False, freeze_early=False).state_dict()
    model = tiny_model(**SAME)
    load_backbone_state_dict(model, {**source, 'fc.weight': torch.zeros(1000, 512)})
    assert torch.equal(model.backbone.layer4[1].conv2.weight, source['layer4.1.conv2.weight'])


@pytest.mark.parametrize('wrapper', [None, 'model', 'state_dict'])
def test_pytorch_file_is_read_with_or_without_a_wrapper(tmp_path, wrapper):
    state = {'a.weight': torch.arange(3.0)}
    torch.save(state if wrapper is None else {wrapper: state, 'epoch': 3}, tmp_path / 'x.pth')
    assert_close(read_published(tmp_path / 'x.pth'), state)


def test_safetensors_file_is_read(tmp_path):
    save_file({'a': torch.arange(3.0)}, tmp_path / 'x.safetensors')
    assert_close(read_published(tmp_path / 'x.safetensors')['a'], torch.arange(3.0))


class Harmful:
    def __reduce__(self):
        return (exec, ('raise SystemExit("ran")',))


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
@pytest.mark.parametrize('content', [None, b'', b'not weights'], ids=['missing', 'empty', 'text'])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, suffix, content):
    path = tmp_path / f'x.{suffix}'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match='cannot be read as published weights'):
        read_published(path)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    torch.save({'model': Harmful()}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='cannot be read as published weights'):
        read_published(tmp_path / 'x.pth')


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({'model': {'epoch': 3}}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='found no state dict'):
        read_published(tmp_path / 'x.pth')
