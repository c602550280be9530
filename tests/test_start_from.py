"""Trainings that start from the weights of a trained model."""

from dataclasses import replace

import pytest
import torch

from own_network import write_example
from test_networks import SMALL
from topmass.config.config_sources import ConfigSource, parse
from topmass.config.configuration import configure
from topmass.files import BadInput
from topmass.models.trained_model import TrainedModel
from topmass.preprocessing.shards import Shard
from topmass.training.trainer import Trainer
from training_runs import RECIPE, run

STILL = RECIPE | {"epochs": 1, "learning_rate": 1e-30}
"""A recipe that changes no weight."""


@pytest.mark.parametrize("name", ["kinematics", "prongs", "module"])
def test_it_starts_with_weights_and_input_normalisation_of_the_model(name, dataset, tmp_path, said):
    network = write_example(tmp_path) if name == "module" else SMALL[name]
    first, *_ = run(dataset, tmp_path / "first", network=network)
    # Other jets have another normalisation.
    for path in dataset[1]["train"]:
        shard = Shard.load(path)
        replace(shard, arrays=shard.arrays | {"value": shard.arrays["value"] / 2}).save(path)
    _, last, _ = run(dataset, tmp_path / "second", network=network, recipe=STILL, start_from=str(first))
    expected, found = (TrainedModel.load(path).network.state_dict() for path in (first, last))
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert f"starting with the weights of {first}; its input normalisation is that of the model" in said()
    assert "other scales" not in said()


def test_the_scales_of_layers_are_named_where_the_network_uses_them(dataset, tmp_path, said):
    first, *_ = run(dataset, tmp_path / "first")
    model = TrainedModel.load(first)
    model.shards = replace(model.shards, scales=(2.5, *model.shards.scales[1:]))
    model.save(first)
    run(dataset, tmp_path / "second", recipe=STILL, start_from=str(first))
    assert (
        "the layers have other scales now; to keep those of the model: datasets.NAME.scales: { track_pt: 2.5" in said()
    )


@pytest.mark.parametrize(
    ("network", "recipe", "reason"),
    [
        (SMALL["prongs"], RECIPE, "the network is kinematics, not prongs"),
        (SMALL["kinematics"] | {"width": 9}, RECIPE, "size mismatch"),
        (SMALL["kinematics"], RECIPE | {"quantiles": [0.16, 0.5, 0.84]}, "size mismatch"),
    ],
)
def test_weights_of_another_network_are_refused(network, recipe, reason, dataset, tmp_path):
    first, *_ = run(dataset, tmp_path / "first", network=SMALL["kinematics"])
    with pytest.raises(BadInput, match=f"start_from: other weights; expected a model .*{reason}") as error:
        run(dataset, tmp_path / "second", network=network, recipe=recipe, start_from=str(first))
    assert "\n" not in str(error.value)


def test_a_model_of_other_layers_is_refused(dataset, tmp_path):
    first, *_ = run(dataset, tmp_path / "first")
    model = TrainedModel.load(first)
    model.shards = replace(model.shards, layers=model.shards.layers[::-1], cells=model.shards.cells[::-1])
    model.save(first)
    with pytest.raises(BadInput, match=r"start_from: a model of layers .*; expected those of the dataset"):
        run(dataset, tmp_path / "second", start_from=str(first))


def test_a_checkpoint_of_another_start_is_set_aside(dataset, tmp_path, said, monkeypatch):
    first, *_ = run(dataset, tmp_path / "first")
    one_step, steps = Trainer.training_step, iter(range(1000))

    def interrupted(trainer, batch):
        if next(steps) == 15:
            raise KeyboardInterrupt
        one_step(trainer, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(dataset, tmp_path / "run", start_from=str(first))
    run(dataset, tmp_path / "run")
    assert "of another training (start_from " in said() and " in the checkpoint, None now)" in said()


def test_the_path_is_expanded_and_must_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("FOLDER", str(tmp_path))
    text = "experiments: {tuned: {extends: fast, start_from: $FOLDER/model.safetensors}}"
    with pytest.raises(
        BadInput, match=r"mine\.yaml: experiments\.tuned\.start_from: .*model\.safetensors: no such file"
    ):
        configure([ConfigSource("mine.yaml", parse(text))])
    (tmp_path / "model.safetensors").touch()
    experiments = configure([ConfigSource("mine.yaml", parse(text))])["experiments"]
    assert experiments["tuned"]["start_from"] == f"{tmp_path}/model.safetensors"
    assert experiments["fast"]["start_from"] is None
