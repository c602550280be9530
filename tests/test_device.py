"""Devices, precisions and the folder for kernels."""

import os
import subprocess
import sys

import pytest
import torch

from topmass.device import find_device, find_precision
from topmass.files import BadInput
from training_runs import CPU


def test_devices_and_precisions_are_found(monkeypatch):
    assert find_device("cpu") == CPU
    assert find_precision("bfloat16", CPU) == torch.bfloat16
    for there, expected in ((True, torch.bfloat16), (False, torch.float32)):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda found=there: found)
        assert find_precision("auto", CPU) == expected
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadInput, match=r"compute\.device: cuda:1, but torch .* finds 1 GPUs here; use auto or cpu"):
        find_device("cuda:1")
    for capability, expected in (((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert find_precision("auto", torch.device("cuda")) == expected


def test_a_folder_for_kernels_that_cannot_be_made_is_named_with_its_variable(tmp_path):
    (tmp_path / "file").touch()
    code = "import torch; from topmass.device import set_deterministic; set_deterministic(torch.device('cpu'))"
    variables = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "file/kernels"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    completed = subprocess.run(command, env=os.environ | variables, stderr=subprocess.PIPE, text=True)
    assert completed.returncode == 1
    expected = f"BadInput: TORCHINDUCTOR_CACHE_DIR={tmp_path}/file/kernels: torch cannot create this folder (not a dir"
    assert expected in completed.stderr
