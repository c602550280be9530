"""What a configuration says otherwise than another one does."""

import json
from collections.abc import Iterator, Mapping

NOT_THERE = ""


def differences(config: Mapping, default: Mapping) -> list[list[str]]:
    """Key, value in `default` and value in `config` of each setting that differs, as text."""
    here, there = dict(leaves(config)), dict(leaves(default))
    keys = [*here, *(key for key in there if key not in here)]
    return [
        [key, there.get(key, NOT_THERE), here.get(key, NOT_THERE)] for key in keys if here.get(key) != there.get(key)
    ]


def leaves(content: object, key: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """All settings in a part of a configuration, by their whole key; a list is one unless it holds more keys."""
    if isinstance(content, Mapping) and content:
        for name, value in content.items():
            yield from leaves(value, (*key, str(name)))
    elif isinstance(content, list) and any(isinstance(item, Mapping) for item in content):
        for i, item in enumerate(content):
            yield from leaves(item, (*key, str(i)))
    else:
        yield ".".join(key), content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
