"""The environment and the command line of a container, and how its paths become local ones. Pure.

The text of an error is the kubelet's: it ends up in the container's status. What Secrets and ConfigMaps
hold is handed in; nothing here asks for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from tests.cluster.api import JSON

from .downward import PodFacts, UnsupportedField, field_value, resource_value

Data = Mapping[str, bytes] | None
"""What a Secret or ConfigMap holds; None: it does not exist."""


class ConfigError(Exception):
    """The container cannot be made yet: CreateContainerConfigError with this message."""


@frozen(order=True)
class Source:
    """A Secret or a ConfigMap of the pod's namespace. Kind is the word of the field: secret, configMap."""

    kind: str
    name: str


Sources = Mapping[Source, Data]

_KINDS = {"secret": "Secret", "configMap": "ConfigMap"}


def references(container: JSON) -> set[Source]:
    """Every Secret and ConfigMap that the environment of a container is made of."""
    found: set[Source] = set()
    for entry in container.get("envFrom", ()):
        found |= {Source(kind, entry[f"{kind}Ref"]["name"]) for kind in _KINDS if f"{kind}Ref" in entry}
    for entry in container.get("env", ()):
        value_from = entry.get("valueFrom") or {}
        found |= {
            Source(kind, value_from[f"{kind}KeyRef"]["name"])
            for kind in _KINDS
            if f"{kind}KeyRef" in value_from
        }
    return found


def resolve_environment(container: JSON, facts: PodFacts, sources: Sources) -> dict[str, str]:
    """The variables of a container, paths as the container sees them. Raises ConfigError."""
    variables: dict[str, str] = {}
    for entry in container.get("envFrom", ()):
        for key, value in _whole_source(entry, sources):
            variables[entry.get("prefix", "") + key] = value
    for entry in container.get("env", ()):
        value_from = entry.get("valueFrom")
        if not value_from:
            variables[entry["name"]] = expand(entry.get("value", ""), variables)
        elif (selected := _select(value_from, container["name"], facts, sources)) is not None:
            variables[entry["name"]] = selected
    return variables


def _whole_source(entry: JSON, sources: Sources) -> Iterator[tuple[str, str]]:
    for kind in _KINDS:
        if reference := entry.get(f"{kind}Ref"):
            data = _data(Source(kind, reference["name"]), sources, optional=reference.get("optional", False))
            yield from ((key, _text(value)) for key, value in sorted((data or {}).items()))


def _select(value_from: JSON, container: str, facts: PodFacts, sources: Sources) -> str | None:
    try:
        if field := value_from.get("fieldRef"):
            return field_value(facts, field["fieldPath"])
        if resource := value_from.get("resourceFieldRef"):
            return resource_value(facts, resource, container)
    except UnsupportedField as error:
        raise ConfigError(str(error)) from error
    for kind in _KINDS:
        if selector := value_from.get(f"{kind}KeyRef"):
            return _one_key(kind, selector, facts.namespace, sources)
    raise ConfigError(f"unsupported valueFrom: {', '.join(value_from)}")


def _one_key(kind: str, selector: JSON, namespace: str, sources: Sources) -> str | None:
    optional = selector.get("optional", False)
    data = _data(Source(kind, selector["name"]), sources, optional=optional)
    if data is not None and selector["key"] in data:
        return _text(data[selector["key"]])
    if optional:
        return None
    raise ConfigError(f"couldn't find key {selector['key']} in {_KINDS[kind]} {namespace}/{selector['name']}")


def _data(source: Source, sources: Sources, *, optional: bool) -> Data:
    data = sources[source]
    if data is None and not optional:
        raise ConfigError(not_found(source))
    return data


def not_found(source: Source) -> str:
    """How the kubelet says that a Secret or ConfigMap is missing."""
    return f'{source.kind.lower()} "{source.name}" not found'


def _text(value: bytes) -> str:
    # Bytes that are no UTF-8 reach the process as they are: subprocess encodes them back.
    return value.decode("utf-8", "surrogateescape")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; a name that is not known stays as it is written, `$$` is one dollar."""
    pieces: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        pieces.append(text[position:dollar])
        piece, position = _operator(text, dollar, variables)
        pieces.append(piece)
    return "".join(pieces) + text[position:]


def _operator(text: str, dollar: int, variables: Mapping[str, str]) -> tuple[str, int]:
    after = text[dollar + 1 : dollar + 2]
    if after == "$":
        return "$", dollar + 2
    end = text.find(")", dollar) if after == "(" else -1
    if end < 0:
        return "$", dollar + 1
    name = text[dollar + 2 : end]
    return variables.get(name, f"$({name})"), end + 1


def command_line(
    container: JSON, entrypoint: Sequence[str], variables: Mapping[str, str], local: Callable[[str], str]
) -> list[str]:
    """Command and arguments, expanded and with local paths; empty: there is nothing to run.

    Without a command of its own a container runs the entrypoint of its image.
    """
    words = [*(container.get("command") or entrypoint), *container.get("args", ())]
    return [_local_word(expand(word, variables), local) for word in words]


def _local_word(word: str, local: Callable[[str], str]) -> str:
    option, equals, value = word.partition("=")
    return f"{option}={local(value)}" if equals and option.startswith("-") else local(word)


@frozen
class Mounts:
    """Where the paths of a container really are: mount path → local path."""

    paths: Mapping[str, Path]

    def local(self, value: str) -> str:
        """A value that is a mount path, or a path below one, as the local path; any other as it is."""
        inside = [path for path in self.paths if value == path or value.startswith(path.rstrip("/") + "/")]
        if not inside:
            return value
        longest = max(inside, key=len)
        return str(self.paths[longest]) + value[len(longest.rstrip("/")) :]
