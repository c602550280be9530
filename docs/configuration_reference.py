"""Reference of the configuration as Markdown, generated from its JSON schema.

    python docs/configuration_reference.py

prints it. As a Sphinx extension it replaces the line MARKER of a page.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SCHEMA = REPOSITORY / "workflow/schemas/config.schema.yaml"
CONFIGURATION = REPOSITORY / "config.yaml"
MARKER = "<!-- configuration reference -->"
EXAMPLES = {"simulated_sample": "samples.gun", "dataset": "datasets.all_layers", "experiment": "experiments.laptop"}
EXAMPLES |= {part: f"samples.gun.simulate.{part}" for part in ("generator", "detector", "selection")}
"""Entries of config.yaml whose values are in the column of values, by the definition that describes them."""
TITLES = {
    "sample_of_files": "Samples from files: `samples.NAME`",
    "simulated_sample": "Simulated samples: `samples.NAME`",
    "dataset": "Datasets: `datasets.NAME`",
    "experiment": "Experiments: `experiments.NAME`",
    "file": "One file of a sample: `samples.NAME.files`",
    "generator": "Generator: `samples.NAME.simulate.generator`",
    "detector": "Detector: `samples.NAME.simulate.detector`",
    "selection": "Jet selection: `samples.NAME.simulate.selection`",
    "binning": "Bins: `datasets.NAME.flatten.mass` and `.pt`",
}
"""Headings of definitions; a definition without one gets its name."""
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
"""Signs of the limits of a number."""
MISSING = object()
"""Value of a path that config.yaml does not have."""


def load(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def reference(schema: Mapping[str, Any], configuration: Mapping[str, Any]) -> str:
    """Return the reference as Markdown: one table per object of the schema, one row per key.

    Args:
        schema: JSON schema of the configuration.
        configuration: Content of config.yaml, for the column of values.
    """
    lines: list[str] = []
    for name, part in schema["properties"].items():
        if part.get("properties"):
            lines += table(f"`{name}`", part, schema, configuration.get(name))
        else:
            lines += [f"## `{name}`", "", f"{describe(part, schema)} Keys of an entry: `{name}.NAME`, below.", ""]
    networks = schema["$defs"]["network"]["properties"]["name"]["enum"]
    titles = {name: f"Network `{name}`: `experiments.NAME.network`" for name in networks} | TITLES
    for name, part in schema["$defs"].items():
        if part.get("properties") and not part.get("allOf"):
            values = value_at(configuration, EXAMPLES[name]) if name in EXAMPLES else None
            lines += table(titles.get(name, f"`{name}`"), part, schema, values)
    return "\n".join(lines)


def table(title: str, part: Mapping[str, Any], schema: Mapping[str, Any], values: Any) -> list[str]:
    """Return heading, description and table of one object, with the keys of objects inside it."""
    lines = [f"## {title}", ""]
    if "description" in part:
        lines += [sentence(part["description"]), ""]
    lines += ["| key | description | values | in `config.yaml` |", "|---|---|---|---|"]
    for path, key in rows(part):
        optional = "" if path in part.get("required", []) or "." in path else " (optional)"
        value = example_value(value_at(values, path), key, schema)
        cells = (f"`{path}`", describe(key, schema) + optional, allowed(key, schema), value)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*lines, ""]


def rows(part: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield path and schema of each key of an object, and of the objects that it contains."""
    for name, key in part.get("properties", {}).items():
        yield f"{prefix}{name}", key
        yield from rows(key, f"{prefix}{name}.")


def resolved(key: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key with the content of the definition that it refers to; its own entries take precedence."""
    if "$ref" not in key:
        return dict(key)
    return resolved(schema["$defs"][key["$ref"].split("/")[-1]], schema) | dict(key)


def describe(key: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return the description of a key as a sentence."""
    return sentence(resolved(key, schema).get("description", ""))


def sentence(text: str) -> str:
    """Return the text with a full stop."""
    return text if not text or text.endswith(".") else f"{text}."


def allowed(key: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return the values that a key may have: choices, type, limits."""
    key = resolved(key, schema)
    if "const" in key:
        return f"`{key['const']}`"
    if "enum" in key:
        return ", ".join(f"`{value}`" for value in key["enum"])
    types = key.get("type", [])
    types = [types] if isinstance(types, str) else types
    text = " or ".join(name for name in types if name != "null")
    bounds = [f"{sign} {key[name]}" for name, sign in BOUNDS.items() if name in key]
    if bounds:
        text += " " + ", ".join(bounds)
    if "items" in key:
        items = allowed(key["items"], schema)
        text += f" of {items}" if items else ""
    return text + (", or `null`" if "null" in types else "")


def value_at(values: Any, path: str) -> Any:
    """Return the value at a path of keys, or `MISSING`."""
    for name in path.split("."):
        values = values.get(name, MISSING) if isinstance(values, Mapping) else MISSING
    return values


def example_value(value: Any, key: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return a value of config.yaml, or the default of the schema, as code."""
    if value is MISSING:
        key = resolved(key, schema)
        return f"`{json.dumps(key['default'])}` (default)" if "default" in key else ""
    return "" if isinstance(value, Mapping) and value else f"`{json.dumps(value, ensure_ascii=False)}`"


def setup(app: Any) -> dict[str, bool]:
    """Sphinx extension: insert the reference into the page that has the line MARKER."""

    def insert(app: Any, name: str, source: list[str]) -> None:
        if MARKER in source[0]:
            source[0] = source[0].replace(MARKER, reference(load(SCHEMA), load(CONFIGURATION)))
            app.env.note_dependency(str(SCHEMA))
            app.env.note_dependency(str(CONFIGURATION))

    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    print(reference(load(SCHEMA), load(CONFIGURATION)))
