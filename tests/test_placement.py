"""Placement of jets, free memory and available cores."""

import os

import psutil
import pytest

from topmass.data.datasets import InMemoryDataset, ShardedDataset
from topmass.data.placement import choose_placement, free_memory
from topmass.files import BadInput
from topmass.limits import available_cores
from topmass.process_group import ProcessGroup
from training_runs import CPU, find


def test_the_placement_is_chosen_by_size_and_said(dataset):
    splits = {name: find(dataset, name) for name in ("train", "validation")}
    size = sum(files.bytes.sum() for files in splits.values()) / 1e9
    sources, said = choose_placement(splits, "auto", 2 * size, CPU, [], ProcessGroup(), 1)
    assert isinstance(sources["train"], InMemoryDataset) and said.startswith("placement device (auto): ")
    assert len(sources["train"]) == splits["train"].jets.sum()
    largest = splits["train"].bytes.max() / 1e9
    with pytest.raises(BadInput, match=r"compute\.memory: .* is too little for windows of shards .* use at least"):
        choose_placement(splits, "disk", 5 * largest, CPU, [], ProcessGroup(), 1)
    sources, said = choose_placement(splits, "disk", 11 * largest, CPU, ["eta"], ProcessGroup(), 1)
    assert isinstance(sources["train"], ShardedDataset) and "shuffled one by one" in said
    assert sources["train"].flips == ["eta"] and sources["validation"].flips == []
    with pytest.raises(BadInput, match=r"compute\.placement: host is impossible"):
        choose_placement(splits, "host", size / 2, CPU, [], ProcessGroup(), 1)
    assert free_memory() > 1e8


V2 = {"memory.max": "4000", "memory.current": "1500", "memory.stat": "anon 1000\nactive_file 200\ninactive_file 300"}


V1 = {
    **{"memory.limit_in_bytes": "4000", "memory.usage_in_bytes": "1500"},
    "memory.stat": "active_file 1\ntotal_active_file 200\ntotal_inactive_file 300",
}


@pytest.mark.parametrize(
    ("groups", "folder", "files"),
    [
        ("0::/slurm/job_7/step_0", "slurm/job_7", V2),
        ("0::/host/docker/123", "", V2),
        ("5:cpu:/\n9:memory:/job", "memory/job", V1),
    ],
)
def test_memory_is_what_the_batch_system_leaves(groups, folder, files, tmp_path):
    files = {f"sys/fs/cgroup/{folder}/{name}": text for name, text in files.items()}
    files |= {"proc/self/cgroup": groups}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert free_memory(tmp_path) == 3000
    (tmp_path / "proc/self/cgroup").unlink()
    assert free_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/slurm/job_7/step_0", {"slurm/job_7/cpu.max": "20000 100000"}, 1),
        ("0::/host/docker/123", {"cpu.max": "250000 100000"}, 2),
        ("0::/", {"cpu.max": "max 100000"}, 4),
        ("3:cpu,cpuacct:/job", {"cpu/job/cpu.cfs_quota_us": "300000", "cpu/job/cpu.cfs_period_us": "100000"}, 3),
        ("3:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ("3:memory:/", {"cpu/cpu.cfs_quota_us": "20000", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ],
)
def test_cores_are_those_of_the_cpu_quota(groups, files, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()} | {"proc/self/cgroup": groups}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert available_cores(tmp_path) == cores
