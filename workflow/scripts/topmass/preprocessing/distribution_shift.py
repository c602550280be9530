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
OF_NUMBERS = {"et": "GeV", "pt": "GeV", "mass": "GeV", "ieta": "crystals", "iphi": "crystals"}


class Note(NamedTuple):
    """Difference from the training in words; the user must check severe ones."""

    severe: bool
    words: str


class Row(NamedTuple):
    """Row of the table; the verdict begins with "far off" if the user must check it."""

    quantity: str
    training: list[str]
    here: list[str]
    verdict: str


def shift_error(training: JetSummary, here: JetSummary) -> str | None:
    """Return why the jets cannot be valid input of a model with this training, else None."""
    for name, known in training.layers.items():
        if name in here.layers and (why := wrong_sign(find_layer(name), known, here.layers[name])):
            return why
    return wrong_energy(training, here) or wrong_position(training, here)


def wrong_sign(layer: Layer, known: Distribution, found: Distribution) -> str | None:
    """Return an error about negative values; None for signed layers and for noise."""
    if layer.signed or not found.negative:
        return None
    remedy = "to fix: give values as the detector has them, not standardized"
    if 2 * found.negative > found.values:
        share = f"{found.negative / found.values:.0%} of the values of {layer.name} are negative"
        return f"{share}; expected none, or a few by noise; {remedy}"
    noise = max(NOISE * known.high, NOISE_ENERGY / layer.cell**2)
    if found.low < min(-noise, known.low):
        lowest = f"{layer.name} has values down to {format_number(found.low)} {layer.unit}"
        return f"{lowest}; expected none below {-noise:.2g}, which may be noise; {remedy}"
    return None


def wrong_energy(training: JetSummary, here: JetSummary) -> str | None:
    """Return an error about the median transverse energy, None if it is plausible."""
    if "et" not in training.numbers.keys() & here.numbers.keys() or not training.numbers["et"].values:
        return None
    names = " and ".join(name for name in CALORIMETERS if name in training.layers)
    low, high = usual(training, "et")
    expected = f"expected some {format_number(low)} to {format_number(high)} GeV, as in the training"
    if not here.numbers["et"].values:
        return f"no jet has energy in {names}; {expected}; to fix: give these layers, which the model takes"
    as_usual = False
    if "pt" in training.numbers.keys() & here.numbers.keys():
        least, most = usual(training, "pt")
        as_usual = least <= here.numbers["pt"].quantile(0.5) <= most
    allowed = UNLIKE if as_usual else IMPOSSIBLE
    median = here.numbers["et"].quantile(0.5)
    if low / allowed <= median <= high * allowed:
        return None
    found = f"the transverse energy in {names} is {format_number(median)} GeV per jet, at the median"
    found += f", and pt {format_number(here.numbers['pt'].quantile(0.5))} GeV" if as_usual else ""
    return f"{found}; {expected}; to fix: give values per pixel in GeV, neither scaled nor normalized"


def wrong_position(training: JetSummary, here: JetSummary) -> str | None:
    """Return an error about positions that cover only a small part of the training range in η, else None.

    Jets in a part of the detector are valid, unless they also cover only a part in φ or have too much ET.
    """
    if here.jets < FEWEST or not {*POSITION_COLUMNS} <= training.numbers.keys() & here.numbers.keys():
        return None
    ends = [(here.numbers[name].quantile(0.95), training.numbers[name].quantile(0.95)) for name in POSITION_COLUMNS]
    in_eta, in_phi = (found * (FAR_OFF - 1) <= wanted for found, wanted in ends)
    too_much = "et" in here.numbers and here.numbers["et"].outside(0, training.numbers["et"].high) > 1 / IMPOSSIBLE
    if not in_eta or not (in_phi or too_much):
        return None
    found, wanted = (f"|ieta| up to {eta:.0f} and iphi up to {phi:.0f}" for eta, phi in zip(*ends, strict=True))
    remedy = "to fix: give each jet's own position in crystals: the middle of tower i is crystal 5 i + 2"
    return f"95% of the jets have {found}; expected {wanted}, as in the training; {remedy}"


def usual(training: JetSummary, number: str) -> tuple[float, float]:
    """Return the 5 % and 95 % quantiles of a jet column in the training."""
    low, _, high = map(training.numbers[number].quantile, QUANTILES)
    return low, high


def compare_distributions(training: JetSummary, here: JetSummary) -> list[Row]:
    """Return a row for each layer of the training and for each jet column that both summaries have."""
    rows = []
    for layer in LAYERS:
        if known := training.layers.get(layer.name):
            found = here.layers.get(layer.name, Distribution())
            notes = of_layer(layer, (known, training.jets), (found, here.jets))
            texts = table_cells(known, training.jets), table_cells(found, here.jets)
            rows.append(Row(f"{layer.name} ({layer.unit})", *texts, verdict([*notes])))
    for name, unit in OF_NUMBERS.items():
        if name in here.numbers and name in training.numbers and training.numbers[name].values:
            known, found = training.numbers[name], here.numbers[name]
            notes = of_position(known, found) if name in POSITION_COLUMNS else of_number(unit, known, found)
            # The mass is generated in the training and predicted here: the two are not comparable.
            words = "predicted" if name == "mass" else verdict([*notes])
            rows.append(Row(f"{name} ({unit})", *(["", "", *format_quantiles(each)] for each in (known, found)), words))
    return rows


def of_layer(layer: Layer, training: tuple[Distribution, int], here: tuple[Distribution, int]) -> Iterator[Note]:
    """Yield notes on a layer from its distribution and the number of jets, in the training and here."""
    (known, _), (found, jets) = training, here
    there, expected = (each.jets / max(1, number) for each, number in (training, here)[::-1])
    if there < expected / UNLIKE:
        yield Note(there < expected / IMPOSSIBLE, f"empty in {1 - there:.0%} of the jets")
    if known.values and found.values:
        yield from of_size(layer.unit, known, found)
        more = found.values / jets * training[1] / known.values
        if not 1 / UNLIKE < more < UNLIKE:
            yield Note(not 1 / IMPOSSIBLE < more < IMPOSSIBLE, f"{times(more)} the hits")
        negative = found.negative / found.values
        if negative and not layer.signed:
            words = f"{100 * negative:.3g}% of the values are negative, down to {format_number(found.low)}"
            yield Note(negative > 0.5, words)
        if layer.signed and negative < 0.02 < 0.2 < known.negative / known.values:
            yield Note(True, "never negative")
    if found.far:
        yield Note(False, f"{found.far:,} jets with a value far above the training's")


def of_size(unit: str, known: Distribution, found: Distribution) -> Iterator[Note]:
    """Yield a note if the values are larger or smaller than in the training."""
    ratios = [max(found.quantile(share), RATIO_EPS) / known.quantile(share) for share in QUANTILES[1:]]
    if all(1 / UNLIKE <= ratio <= UNLIKE for ratio in ratios):
        return
    ratio, largest = math.sqrt(math.prod(ratios)), max(-found.low, found.high)
    severe = min(ratios) > FAR_OFF or max(ratios) < 1 / FAR_OFF
    likely = [name for size, name in UNIT_FACTORS.get(unit, {}).items() if abs(math.log(ratio / size)) < math.log(1.5)]
    hint = ""
    if severe and 0.9 < largest <= 1:
        hint = ", none above 1: normalized?"
    elif severe and likely:
        hint = f", as in {likely[0]}"
    yield Note(severe, f"values {times(ratio)} the training's{hint}")


def of_number(unit: str, known: Distribution, found: Distribution) -> Iterator[Note]:
    """Yield notes on a jet column in this unit."""
    missing = found.jets - found.values
    if missing * known.jets > UNLIKE * found.jets * (known.jets - known.values):
        yield Note(2 * missing > found.jets, f"none in {missing:,} of {found.jets:,} jets")
    if found.values:
        yield from of_size(unit, known, found)
    yield from beyond(found, max(known.low, 0.0), known.high)


def of_position(known: Distribution, found: Distribution) -> Iterator[Note]:
    """Yield notes on ieta or iphi."""
    ratio = found.quantile(0.95) / known.quantile(0.95)
    if ratio < 1 / UNLIKE and found.jets >= FEWEST:
        towers = ": towers instead of crystals?" if 1 / 8 < ratio < 1 / 3 else ""
        yield Note(ratio < 1 / 3, f"{times(ratio)} the training's range{towers}")
    if found.low < 0 <= known.low:
        yield Note(True, f"{found.negative / found.jets:.0%} negative")
    yield from beyond(found, 0.0, max(-known.low, known.high))


def beyond(found: Distribution, low: float, high: float) -> Iterator[Note]:
    """Yield a note on jets outside the training range."""
    outside, far = found.outside(low, high), round(found.values * found.outside(low / UNLIKE, high * UNLIKE))
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


def shift_table(training: JetSummary, here: JetSummary) -> list[str]:
    """Return the lines of the comparison table, and one line with the quantities to check."""
    rows = compare_distributions(training, here)
    heads = [
        Row("", ["in training", "", "", "", ""], ["here", "", "", "", ""], ""),
        Row("", SHIFT_COLUMNS, SHIFT_COLUMNS, ""),
    ]
    found = [[row.quantity, *row.training, *row.here] for row in (*heads, *rows)]
    widths = [max(len(row[column]) for row in found[1:]) for column in range(len(found[0]))]
    lines = [f"{here.jets:,} jets compared with {training.jets:,} of the training; quantiles are those of magnitudes"]
    for row, words in zip(found, ["", "", *(row.verdict for row in rows)], strict=True):
        name, *numbers = (cell.ljust(widths[0]) if i == 0 else cell.rjust(widths[i]) for i, cell in enumerate(row))
        lines.append(f"{name} | {' '.join(numbers[:5])} | {' '.join(numbers[5:])} | {words}".rstrip())
    wrong = [row.quantity.split()[0] for row in rows if row.verdict.startswith("far off")]
    if wrong:
        lines.append(f"check the units and the normalization of {', '.join(wrong)}: these masses may mean nothing")
    return lines
