"""Reader of a user's ROOT file with particle-flow candidates, as batches of jets."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import uproot

from topmass.files import BadInput, classify_read_error
from topmass.io.candidate_images import Candidates, image_candidates
from topmass.io.columns import COMMAND_LINE_OPTIONS
from topmass.io.content_type import check_content
from topmass.io.root_formats import CANDIDATE_LAYERS, FORMATS, IDENTIFIERS, find_branches
from topmass.jets import HIT_COLUMNS, JET_COLUMNS, POSITION_COLUMNS, ROW_GROUP, JetBatch
from topmass.layers import Layer

CHUNK = "32 MB"
"""Size of the branches that are read at a time, in memory."""
SAMPLED = 10
"""Number of pieces of a sample."""
ENTRIES_SAMPLED = 5000
"""Maximum number of entries per piece of a sample."""
LOOKED_UP = ("gen_jet_pt", "gen_jet_mass")
"""Quantities of generated jets, which `gen_jet_index` assigns to jets."""
ELECTRONS_AND_PHOTONS = (11, 22, 2)
"""PDG codes; 2 is electromagnetic energy in the forward calorimeter of CMS."""
MUON = 13


class RootInput:
    """A user's ROOT file of jets with candidates, opened for reading; the interface is that of `ParquetInput`.

    Args:
        path: The file.
        file_format: Name of its format in `FORMATS`.
        columns: The user's branches by quantity.
        settings: Names of the user's settings, for messages.

    Attributes:
        columns: Branches of the file by quantity.
        computed: Quantities that are computed from others.
        recorded_layers: Layers of the images.
        counts: Number of jets per entry of the tree, (entries,).
        jets_per_entry: Whether an entry of the tree is an event, instead of one jet.

    Raises:
        BadInput: The file is not a ROOT file with jets and candidates.
    """

    dense = False
    rounded = 0
    computed = POSITION_COLUMNS
    recorded_layers = CANDIDATE_LAYERS

    def __init__(
        self,
        path: Path,
        file_format: str,
        columns: Mapping[str, str],
        settings: Mapping[str, str] = COMMAND_LINE_OPTIONS,
    ) -> None:
        self.path, self.settings, self.about = path, settings, FORMATS[file_format]
        check_content(path, f"{path.stem}.root")
        with self.reading("not a complete ROOT file"):
            # `uproot.open` would split a path at a colon.
            self.tree = self.find_tree(uproot.ReadOnlyFile(str(path)).root_directory)
            self.columns = find_branches(path, self.tree.keys(), file_format, columns, settings["columns"])
            self.branches = [*dict.fromkeys(self.columns.values())]
            step = self.tree.num_entries_for(CHUNK, self.branches)
        self.step = min(max(1, step), ROW_GROUP)
        self.jets_per_entry = self.about.jets_per_entry
        self.counts = self.count_jets()
        self.start = np.concatenate([[0], np.cumsum(self.counts)])

    def __len__(self) -> int:
        return int(self.start[-1])

    @property
    def scalars(self) -> list[pa.Field]:
        """Columns with one value per jet, with the names of the jet table."""
        names = [name for name in ("event", *IDENTIFIERS) if name in self.columns]
        fields = [*(pa.field(name, pa.int64()) for name in names), pa.field("jet_index", pa.int32())]
        numbers = [name for name in JET_COLUMNS if name in self.columns and name != "event"]
        return [*fields, *(pa.field(name, pa.float32()) for name in numbers)]

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Convert the many exceptions of uproot for a damaged file to BadInput with `what`."""
        try:
            yield
        except BadInput:
            raise
        except Exception as error:
            raise classify_read_error(error, f"{self.path}: {what}") from None

    def find_tree(self, file: uproot.ReadOnlyDirectory) -> uproot.TTree:
        """Return the tree of the format: the one with its name, else the only one."""
        trees = sorted(file.keys(filter_classname="TTree", cycle=False))
        name = self.about.tree if self.about.tree in trees else trees[0] if len(trees) == 1 else None
        if name is None:
            raise BadInput(f"{self.path}: no tree '{self.about.tree}'; there are {', '.join(trees) or 'no trees'}")
        return file[name]

    def count_jets(self) -> np.ndarray:
        """Return the number of jets per entry (entries,)."""
        if not self.jets_per_entry:
            return np.ones(self.tree.num_entries, int)
        branch = self.columns["pt"]
        with self.reading(f"branch '{branch}' is damaged"):
            parts = [np.zeros(0, int)]
            for chunk in self.tree.iterate([branch], step_size=CHUNK):
                if chunk[branch].ndim != 2:
                    raise BadInput(f"{self.path}: branch '{branch}' has no list per event; expected one of its jets")
                parts.append(ak.to_numpy(ak.num(chunk[branch])))
            return np.concatenate(parts)

    def identifiers(self) -> dict[str, np.ndarray]:
        """Return the event, run and luminosity block (entries,) of each entry, as far as the file has them."""
        names = [name for name in ("event", *IDENTIFIERS) if name in self.columns]
        with self.reading("damaged"):
            return {name: ak.to_numpy(self.tree[self.columns[name]].array()).astype(np.int64) for name in names}

    def sample(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return values (N,) of some jets from all parts of the file, by name in the jet table."""
        columns = {name: self.columns[name] for name in names if name in self.columns and name not in LOOKED_UP}
        size = min(ENTRIES_SAMPLED, -(-self.tree.num_entries // SAMPLED))
        starts = np.unique(np.linspace(0, self.tree.num_entries - size, SAMPLED).astype(int)).tolist()
        with self.reading("damaged"):
            parts = [self.tree.arrays([*columns.values()], entry_start=at, entry_stop=at + size) for at in starts]
        return {
            name: np.concatenate([ak.to_numpy(ak.flatten(part[branch], axis=None)) for part in parts])
            for name, branch in columns.items()
        }

    def batches(self, first: int, last: int, layers: Sequence[Layer]) -> Iterator[JetBatch]:
        """Yield the batches of `batches_with`, without further columns."""
        return (jets for jets, _ in self.batches_with(first, last, layers, ()))

    def batches_with(
        self, first: int, last: int, layers: Sequence[Layer], extra: Sequence[str]
    ) -> Iterator[tuple[JetBatch, pa.Table]]:
        """Yield the jets of some rows, each batch with columns of `scalars`.

        The rows of a file are its jets in the order of the events. Without event numbers in the file, the event is the
        row.

        Args:
            first: First row.
            last: Row after the last one.
            layers: Layers of the images, `CANDIDATE_LAYERS`.
            extra: Names of the further columns.

        Raises:
            BadInput: A branch is damaged, or branches contradict each other.
        """
        entry = int(np.searchsorted(self.start, first, side="right")) - 1
        end = int(np.searchsorted(self.start, last))
        fields = [field for field in self.scalars if field.name in extra]
        chunks = self.tree.iterate(self.branches, step_size=self.step, entry_start=entry, entry_stop=end)
        while entry < end:
            with self.reading(f"damaged after entry {entry:,}"):
                chunk = next(chunks)
                batch, identifiers = self.convert(Entries(self, chunk, entry))
            rows = np.arange(max(first, self.start[entry]), min(last, self.start[entry + len(chunk)]))
            jets = rows - self.start[entry]
            if len(jets):
                batch = batch.take(jets)
                values = {name: array[jets] for name, array in identifiers.items()} | vars(batch)
                arrays = [pa.array(values[field.name]).cast(field.type) for field in fields]
                yield batch, pa.Table.from_arrays(arrays, schema=pa.schema(fields)).select(list(extra))
            entry += len(chunk)

    def convert(self, entries: "Entries") -> tuple[JetBatch, dict[str, np.ndarray]]:
        """Return the jets of some entries, and their indices in the event and other identifiers."""
        jets = len(entries.entry_of_jet)
        per_jet = {name: entries.of_jets(name) for name in self.columns if name in JET_COLUMNS}
        for name in ("eta", "phi"):
            if len(wrong := np.flatnonzero(~np.isfinite(per_jet[name]))):
                raise BadInput(f"{self.path}: row {self.start[entries.first] + wrong[0]}: {name} is not finite")
        images = image_candidates(entries.candidates(), per_jet["eta"], per_jet["phi"])
        rows = self.start[entries.first] + np.arange(jets)
        numbers = {"event": rows, **per_jet, "ieta": images.ieta, "iphi": images.iphi}
        unknown = np.full(jets, np.nan, np.float32)
        batch = JetBatch(
            images.offset,
            **{name: getattr(images, name) for name in HIT_COLUMNS},
            **{
                name: numbers[name].astype(dtype) if name in numbers else unknown for name, dtype in JET_COLUMNS.items()
            },
        )
        index = np.arange(jets) - entries.first_jet[entries.entry_of_jet] if self.jets_per_entry else rows
        return batch, {"jet_index": index} | {
            name: entries.of_jets(name) for name in IDENTIFIERS if name in self.columns
        }


class Entries:
    """Some consecutive entries of a tree.

    Args:
        source: The file.
        chunk: Its branches.
        first: Number of the first entry.

    Attributes:
        entry_of_jet: Entry (N,) of each jet, counted from the first one.
        first_jet: Index (entries,) of the first jet of each entry.
    """

    def __init__(self, source: RootInput, chunk: ak.Array, first: int) -> None:
        self.source, self.chunk, self.first = source, chunk, first
        self.counts = source.counts[first : first + len(chunk)]
        self.entry_of_jet = np.repeat(np.arange(len(chunk)), self.counts)
        self.first_jet = np.cumsum(self.counts) - self.counts

    def flat(self, name: str, like: str) -> np.ndarray:
        """Return all values of a quantity with a list per entry; the lists must be as long as those of `like`."""
        branch, other = self.source.columns[name], self.source.columns[like]
        values = self.chunk[branch]
        if values.ndim != 2:
            raise BadInput(f"{self.source.path}: branch '{branch}' for {name} has no list of numbers per entry")
        length, expected = ak.to_numpy(ak.num(values)), ak.to_numpy(ak.num(self.chunk[other]))
        if len(wrong := np.flatnonzero(length != expected)):
            at = wrong[0]
            problem = f"entry {self.first + at}: branch '{branch}' has {length[at]} values, '{other}' {expected[at]}"
            raise BadInput(f"{self.source.path}: {problem}; expected as many")
        return ak.to_numpy(ak.flatten(values))

    def of_jets(self, name: str) -> np.ndarray:
        """Return a quantity (N,) of the jets; one number per entry is that of all its jets."""
        values = self.chunk[self.source.columns[name]]
        if name in LOOKED_UP and self.source.jets_per_entry:
            return self.of_generated_jets(values)
        return ak.to_numpy(values)[self.entry_of_jet] if values.ndim == 1 else self.flat(name, "pt")

    def of_generated_jets(self, values: ak.Array) -> np.ndarray:
        """Return the value (N,) of the generated jet of each jet; NaN without a generated jet."""
        index, number = self.flat("gen_jet_index", "pt"), ak.to_numpy(ak.num(values))
        matched = np.flatnonzero((index >= 0) & (index < number[self.entry_of_jet]))
        values_of_jets = np.full(len(index), np.nan, np.float32)
        first = np.cumsum(number) - number
        values_of_jets[matched] = ak.to_numpy(ak.flatten(values))[(first[self.entry_of_jet] + index)[matched]]
        return values_of_jets

    def candidates(self) -> Candidates:
        """Return the candidates of all jets; the momentum is multiplied by `candidate_weight` if there is one."""
        key = "candidate_pt" if "candidate_pt" in self.source.columns else "candidate_px"
        quantities = [name for name in self.source.columns if name.startswith("candidate_")]
        linked = ("candidate_index", "candidate_jet")
        flat = {name[10:]: self.flat(name, key) for name in quantities if name not in linked}
        number = ak.to_numpy(ak.num(self.chunk[self.source.columns[key]]))
        if "candidate_jet" in quantities:
            jet, chosen = self.links(number)
            flat = {name: values[chosen] for name, values in flat.items()}
        else:
            jet = np.repeat(np.arange(len(number)), number)
        if "px" in flat:
            pt = np.hypot(flat["px"], flat["py"])
            with np.errstate(divide="ignore", invalid="ignore"):
                flat |= {"eta": np.arcsinh(flat["pz"] / pt), "phi": np.arctan2(flat["py"], flat["px"]), "pt": pt}
        if "pdgid" in flat:
            code = np.abs(flat["pdgid"])
            electromagnetic, muon = np.isin(code, ELECTRONS_AND_PHOTONS), code == MUON
        else:
            electromagnetic, muon = (flat["photon"] != 0) | (flat["electron"] != 0), flat["muon"] != 0
        unit = self.source.about.impact_unit
        return Candidates(
            jet, flat["pt"].astype(float) * flat.get("weight", 1), flat["eta"].astype(float), flat["phi"].astype(float),
            flat["charge"] != 0, electromagnetic, muon, flat["d0"] * unit, flat["dz"] * unit,
        )  # fmt: skip

    def links(self, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return jet and candidate of each link, counted from the first entry; negative indices mark no link.

        Args:
            number: Number of candidates (entries,) per entry.

        Raises:
            BadInput: A link leads to a jet or a candidate that does not exist.
        """
        index, jet = (self.flat(name, "candidate_jet") for name in ("candidate_index", "candidate_jet"))
        lists = self.chunk[self.source.columns["candidate_jet"]]
        entry = np.repeat(np.arange(len(lists)), ak.to_numpy(ak.num(lists)))
        for name, values, most in (("candidate_jet", jet, self.counts), ("candidate_index", index, number)):
            if len(wrong := np.flatnonzero(values >= most[entry])):
                at, branch = wrong[0], self.source.columns[name]
                problem = f"entry {self.first + entry[at]}: branch '{branch}' has the index {values[at]}"
                raise BadInput(f"{self.source.path}: {problem}; expected one below {most[entry[at]]}")
        linked = np.flatnonzero((jet >= 0) & (index >= 0))
        first = np.cumsum(number) - number
        return (self.first_jet[entry] + jet)[linked], (first[entry] + index)[linked]
