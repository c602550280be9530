"""Comparison of new jets with the training jets of a model."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from topmass.jets import POSITION_COLUMNS
from topmass.layers import LAYERS, Layer, find_layer
from topmass.preprocessing.distribution import CALORIMETERS, Distribution, JetSummary

QUANTILES = (0.05, 0.5, 0.95)
UNLIKE, FAR_OFF = 2.0, 5.0
"""Ratios of new to training quantiles, or the inverse, from which on jets differ, slightly and severely."""
NOISE, NOISE_ENERGY = 0.01, 2.0
"""Upper limits of the noise of a cell: a fraction of the largest training value, or GeV; the larger one applies."""
IMPOSSIBLE = 10.0
"""Factor below the 5 % or above the 95 % training quantile at which a median energy is impossible.

UNLIKE applies instead where pT is as in the training."""
RATIO_EPS = 1e-30
"""Floor of a quantile in a ratio."""
FEWEST = 10
"""Minimum number of jets for a comparison of positions."""
UNIT_FACTORS = {"GeV": {1e3: "MeV", 1e-3: "TeV"}, "cm": {1e1: "mm", 1e-2: "m", 1e4: "µm"}}
"""Possible units of user values, by the factor on the values."""
SHIFT_COLUMNS = ["jets", "hits", *(f"{share:.0%}" for share in QUANTILES)]
"""Columns: fraction of the jets with a hit, hits per jet, quantiles."""
COLUMN_UNITS = {"et": "GeV", "pt": "GeV", "mass": "GeV", "ieta": "crystals", "iphi": "crystals"}


class Note(NamedTuple):
    """Difference from the training in words; the user must check severe ones."""

    severe: bool
    words: str


class Row(NamedTuple):
    """Row of the table; the verdict begins with "far off" if the user must check it."""

    quantity: str
    training: list[str]
    new: list[str]
    verdict: str


def shift_error(training: JetSummary, new: JetSummary) -> str | None:
    """Return why the jets cannot be valid input of a model with this training, else None."""
    for name, trained in training.layers.items():
        if name in new.layers and (why := wrong_sign(find_layer(name), trained, new.layers[name])):
            return why
    return wrong_energy(training, new) or wrong_position(training, new)


def wrong_sign(layer: Layer, trained: Distribution, observed: Distribution) -> str | None:
    """Return an error about negative values; None for signed layers and for noise."""
    if layer.signed or not observed.negative:
        return None
    remedy = "to fix: give values as the detector has them, not standardized"
    if 2 * observed.negative > observed.values:
        share = f"{observed.negative / observed.values:.0%} of the values of {layer.name} are negative"
        return f"{share}; expected none, or a few by noise; {remedy}"
    noise = max(NOISE * trained.high, NOISE_ENERGY / layer.cell**2)
    if observed.low < min(-noise, trained.low):
        lowest = f"{layer.name} has values down to {format_number(observed.low)} {layer.unit}"
        return f"{lowest}; expected none below {-noise:.2g}, which may be noise; {remedy}"
    return None


def wrong_energy(training: JetSummary, new: JetSummary) -> str | None:
    """Return an error about the median transverse energy, None if it is plausible."""
    if "et" not in training.numbers.keys() & new.numbers.keys() or not training.numbers["et"].values:
        return None
    names = " and ".join(name for name in CALORIMETERS if name in training.layers)
    low, high = training_range(training, "et")
    expected = f"expected some {format_number(low)} to {format_number(high)} GeV, as in the training"
    if not new.numbers["et"].values:
        return f"no jet has energy in {names}; {expected}; to fix: give these layers, which the model takes"
    pt_as_in_training = False
    if "pt" in training.numbers.keys() & new.numbers.keys():
        least, most = training_range(training, "pt")
        pt_as_in_training = least <= new.numbers["pt"].quantile(0.5) <= most
    allowed = UNLIKE if pt_as_in_training else IMPOSSIBLE
    median = new.numbers["et"].quantile(0.5)
    if low / allowed <= median <= high * allowed:
        return None
    energy = f"the transverse energy in {names} is {format_number(median)} GeV per jet, at the median"
    energy += f", and pt {format_number(new.numbers['pt'].quantile(0.5))} GeV" if pt_as_in_training else ""
    return f"{energy}; {expected}; to fix: give values per pixel in GeV, neither scaled nor normalized"


def wrong_position(training: JetSummary, new: JetSummary) -> str | None:
    """Return an error about positions that cover only a small part of the training range in η, else None.

    Jets in a part of the detector are valid, unless they also cover only a part in φ or have too much ET.
    """
    if new.jets < FEWEST or not {*POSITION_COLUMNS} <= training.numbers.keys() & new.numbers.keys():
        return None
    ends = [(new.numbers[name].quantile(0.95), training.numbers[name].quantile(0.95)) for name in POSITION_COLUMNS]
    in_eta, in_phi = (observed * (FAR_OFF - 1) <= trained for observed, trained in ends)
    too_much = "et" in new.numbers and new.numbers["et"].outside(0, training.numbers["et"].high) > 1 / IMPOSSIBLE
    if not in_eta or not (in_phi or too_much):
        return None
    observed, trained = (f"|ieta| up to {eta:.0f} and iphi up to {phi:.0f}" for eta, phi in zip(*ends, strict=True))
    remedy = "to fix: give each jet's own position in crystals: the middle of tower i is crystal 5 i + 2"
    return f"95% of the jets have {observed}; expected {trained}, as in the training; {remedy}"


def training_range(training: JetSummary, column: str) -> tuple[float, float]:
    """Return the 5 % and 95 % quantiles of a jet column in the training."""
    low, _, high = map(training.numbers[column].quantile, QUANTILES)
    return low, high


def compare_distributions(training: JetSummary, new: JetSummary) -> list[Row]:
    """Return a row for each layer of the training and for each jet column that both summaries have."""
    rows = []
    for layer in LAYERS:
        if trained := training.layers.get(layer.name):
            observed = new.layers.get(layer.name, Distribution())
            notes = layer_notes(layer, (trained, training.jets), (observed, new.jets))
            texts = table_cells(trained, training.jets), table_cells(observed, new.jets)
            rows.append(Row(f"{layer.name} ({layer.unit})", *texts, verdict([*notes])))
    for name, unit in COLUMN_UNITS.items():
        if name in new.numbers and name in training.numbers and training.numbers[name].values:
            trained, observed = training.numbers[name], new.numbers[name]
            notes = (
                position_notes(trained, observed) if name in POSITION_COLUMNS else column_notes(unit, trained, observed)
            )
            # The mass is generated in the training and predicted for the new jets: the two are not comparable.
            words = "predicted" if name == "mass" else verdict([*notes])
            texts = (["", "", *format_quantiles(distribution)] for distribution in (trained, observed))
            rows.append(Row(f"{name} ({unit})", *texts, words))
    return rows


def layer_notes(layer: Layer, training: tuple[Distribution, int], new: tuple[Distribution, int]) -> Iterator[Note]:
    """Yield notes on a layer from its distribution and the number of jets, in the training and in the new jets."""
    (trained, trained_jets), (observed, jets) = training, new
    occupancy, expected = observed.jets / max(1, jets), trained.jets / max(1, trained_jets)
    if occupancy < expected / UNLIKE:
        yield Note(occupancy < expected / IMPOSSIBLE, f"empty in {1 - occupancy:.0%} of the jets")
    if trained.values and observed.values:
        yield from size_notes(layer.unit, trained, observed)
        ratio = observed.values / jets * trained_jets / trained.values
        if not 1 / UNLIKE < ratio < UNLIKE:
            yield Note(not 1 / IMPOSSIBLE < ratio < IMPOSSIBLE, f"{times(ratio)} the hits")
        negative = observed.negative / observed.values
        if negative and not layer.signed:
            words = f"{100 * negative:.3g}% of the values are negative, down to {format_number(observed.low)}"
            yield Note(negative > 0.5, words)
        if layer.signed and negative < 0.02 < 0.2 < trained.negative / trained.values:
            yield Note(True, "never negative")
    if observed.far:
        yield Note(False, f"{observed.far:,} jets with a value far above the training's")


def size_notes(unit: str, trained: Distribution, observed: Distribution) -> Iterator[Note]:
    """Yield a note if the values are larger or smaller than in the training."""
    ratios = [max(observed.quantile(share), RATIO_EPS) / trained.quantile(share) for share in QUANTILES[1:]]
    if all(1 / UNLIKE <= ratio <= UNLIKE for ratio in ratios):
        return
    ratio, largest = math.sqrt(math.prod(ratios)), max(-observed.low, observed.high)
    severe = min(ratios) > FAR_OFF or max(ratios) < 1 / FAR_OFF
    likely = [name for size, name in UNIT_FACTORS.get(unit, {}).items() if abs(math.log(ratio / size)) < math.log(1.5)]
    hint = ""
    if severe and 0.9 < largest <= 1:
        hint = ", none above 1: normalized?"
    elif severe and likely:
        hint = f", as in {likely[0]}"
    yield Note(severe, f"values {times(ratio)} the training's{hint}")


def column_notes(unit: str, trained: Distribution, observed: Distribution) -> Iterator[Note]:
    """Yield notes on a jet column in this unit."""
    missing = observed.jets - observed.values
    if missing * trained.jets > UNLIKE * observed.jets * (trained.jets - trained.values):
        yield Note(2 * missing > observed.jets, f"none in {missing:,} of {observed.jets:,} jets")
    if observed.values:
        yield from size_notes(unit, trained, observed)
    yield from range_notes(observed, max(trained.low, 0.0), trained.high)


def position_notes(trained: Distribution, observed: Distribution) -> Iterator[Note]:
    """Yield notes on ieta or iphi."""
    ratio = observed.quantile(0.95) / trained.quantile(0.95)
    if ratio < 1 / UNLIKE and observed.jets >= FEWEST:
        towers = ": towers instead of crystals?" if 1 / 8 < ratio < 1 / 3 else ""
        yield Note(ratio < 1 / 3, f"{times(ratio)} the training's range{towers}")
    if observed.low < 0 <= trained.low:
        yield Note(True, f"{observed.negative / observed.jets:.0%} negative")
    yield from range_notes(observed, 0.0, max(-trained.low, trained.high))


def range_notes(observed: Distribution, low: float, high: float) -> Iterator[Note]:
    """Yield a note on jets outside the training range."""
    outside, far = observed.outside(low, high), round(observed.values * observed.outside(low / UNLIKE, high * UNLIKE))
    if outside > 0.01 or far:
        share = f"{outside:.0%}" if outside > 0.01 else f"{far:,}"
        yield Note(outside > 0.5, f"{share} of the jets outside {format_number(low)} to {format_number(high)}")


def times(ratio: float) -> str:
    """Return a ratio in words with two digits, such as "980 times" or "1/720 of"."""
    if not ratio:
        return "none of"
    size = float(f"{max(ratio, 1 / ratio):.2g}")
    return f"{size:,g} times" if ratio >= 1 else f"1/{size:,g} of"


def verdict(notes: Sequence[Note]) -> str:
    """Return the verdict and all notes, severe ones first."""
    severe = any(note.severe for note in notes)
    words = "; ".join(note.words for note in sorted(notes, key=lambda note: not note.severe))
    return f"{'far off' if severe else 'unlike'}: {words}" if notes else "alike"


def described(training: JetSummary) -> list[list[str]]:
    """Return a row for each layer and jet column of a training: name with unit, and SHIFT_COLUMNS."""
    return [[row.quantity, *row.training] for row in compare_distributions(training, training)]


def table_cells(values: Distribution, jets: int) -> list[str]:
    """Return the fraction of jets with a hit, hits per jet, and quantiles of the hits."""
    share, hits = values.jets / max(1, jets), values.values / max(1, jets)
    return [f"{share:.0%}", f"{hits:,.1f}", *format_quantiles(values)]


def format_quantiles(values: Distribution) -> list[str]:
    """Return the formatted quantiles of the magnitudes."""
    return [format_number(values.quantile(share)) if values.values else "none" for share in QUANTILES]


def format_number(number: float) -> str:
    """Format a number with two significant digits, or with all integer digits."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.2g}"


def shift_table(training: JetSummary, new: JetSummary) -> list[str]:
    """Return the lines of the comparison table, and one line with the quantities to check."""
    rows = compare_distributions(training, new)
    heads = [
        Row("", ["in training", "", "", "", ""], ["here", "", "", "", ""], ""),
        Row("", SHIFT_COLUMNS, SHIFT_COLUMNS, ""),
    ]
    cells = [[row.quantity, *row.training, *row.new] for row in (*heads, *rows)]
    widths = [max(len(row[column]) for row in cells[1:]) for column in range(len(cells[0]))]
    lines = [f"{new.jets:,} jets compared with {training.jets:,} of the training; quantiles are those of magnitudes"]
    for row, words in zip(cells, ["", "", *(row.verdict for row in rows)], strict=True):
        name, *numbers = (cell.ljust(widths[0]) if i == 0 else cell.rjust(widths[i]) for i, cell in enumerate(row))
        lines.append(f"{name} | {' '.join(numbers[:5])} | {' '.join(numbers[5:])} | {words}".rstrip())
    wrong = [row.quantity.split()[0] for row in rows if row.verdict.startswith("far off")]
    if wrong:
        lines.append(f"check the units and the normalization of {', '.join(wrong)}: these masses may mean nothing")
    return lines
