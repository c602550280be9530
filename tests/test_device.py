"""Devices, precisions and the folder for kernels."""

import pytest
import torch

from topmass.device import find_device, find_precision
from topmass.files import BadInput
from training_runs import COMPUTE, CPU, run, start_by


def test_devices_and_precisions_are_found(monkeypatch):
    assert find_device("cpu") == CPU
    assert find_precision("bfloat16", CPU) == torch.bfloat16
    for there, expected in ((True, torch.bfloat16), (False, torch.float32)):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda found=there: found)
        assert find_precision("auto", CPU) == expected
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadInput, match=r"compute\.device: cuda:1, but torch .* finds 1 GPUs here"):
        find_device("cuda:1")
    for capability, expected in (((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert find_precision("auto", torch.device("cuda")) == expected


def test_a_gpu_that_is_not_there_is_refused(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(BadInput, match=r"compute\.device: cuda, but torch .* finds 0 GPUs here; use auto or cpu"):
        run(dataset, tmp_path, compute=COMPUTE | {"device": "cuda"})


def test_a_folder_for_kernels_that_cannot_be_made_is_named_with_its_variable(dataset, tmp_path):
    (tmp_path / "file").touch()
    environment = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "file/kernels")}
    assert start_by(["nice"], dataset, tmp_path / "run", environment).wait() == 1
    output = (tmp_path / "run/output").read_text()
    assert f"BadInput: TORCHINDUCTOR_CACHE_DIR={tmp_path}/file/kernels: torch cannot create this folder (" in output
