"""Python files that define a user's network: syntax, class and inputs, without executing the file."""

import ast

from topmass.files import BadInput

NETWORK_INPUTS = {"particles": True, "towers": True, "jet_features": True, "image": False, "hits": False}
"""Inputs that `forward` of a user's network may name, and whether each requires at least one calorimeter layer."""


def named_inputs(source: bytes, file: str, class_name: str) -> list[str]:
    """Return the inputs that a class requires: the parameters of its `forward` without a default.

    Args:
        source: Content of the file.
        file: Path of the file, for messages.
        class_name: Name of the class.

    Returns:
        Names of inputs. The list is empty if the class inherits `forward`.

    Raises:
        BadInput: The content is not Python, it lacks the class, or an input does not exist.
    """
    try:
        tree = ast.parse(source, file)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise BadInput(f"{file}{f', line {line}' if line else ''}: not Python: {error.args[0]}") from None
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if class_name not in classes:
        raise BadInput(f"{file}: no class '{class_name}'; its classes are {', '.join(classes) or 'none'}")
    for node in classes[class_name].body:
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            positional = [*node.args.posonlyargs, *node.args.args]
            required = positional[1 : len(positional) - len(node.args.defaults)]
            required += [
                each for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if not default
            ]
            names = [each.arg for each in required]
            require_known(names, f"{file}, line {node.lineno}")
            return names
    return []


def require_known(names: list[str], where: str) -> None:
    """Raise BadInput if one of the names is no input, or if there is none; `where` is the place for the message."""
    unknown = [name for name in names if name not in NETWORK_INPUTS]
    if unknown or not names:
        what = f"forward requires '{unknown[0]}'" if unknown else "forward has no input"
        raise BadInput(f"{where}: {what}; expected parameters named {', '.join(NETWORK_INPUTS)}")
