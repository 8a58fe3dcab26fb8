"""tf.contrib.training.HParams: named values of fixed types, that a text may change."""
import json
import re

_ITEM = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*=\s*(?:\[(?P<list>[^\]]*)\]|(?P<value>[^,\[]*))\s*(?:,|$)")


def _converted(name, text, kind):
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        raise ValueError(f"Could not parse hparam '{name}': '{text}' is no {kind.__name__}") from None


class HParams:
    def __init__(self, **values):
        vars(self)["_types"] = {}
        for name, value in values.items():
            self.add_hparam(name, value)

    def add_hparam(self, name, value):
        if hasattr(self, name):
            raise ValueError(f"Hyperparameter name is reserved or there already: {name}")
        many = isinstance(value, (list, tuple))
        self._types[name] = (type(value[0]) if many and value else type(value), many)
        setattr(self, name, list(value) if many else value)

    def set_hparam(self, name, value):
        kind, many = self._types[name]
        if many != isinstance(value, (list, tuple)):
            raise ValueError(f"hparam '{name}' is {'a list' if many else 'no list'}, got {value!r}")
        setattr(self, name, list(value) if many else value if kind is type(None) else kind(value))

    def del_hparam(self, name):
        del self._types[name]
        delattr(self, name)

    def parse(self, text):
        """Takes 'a=1,b=x,c=[1,2]'; returns self."""
        text, place = text.strip(), 0
        while place < len(text):
            match = _ITEM.match(text, place)
            if match is None:
                raise ValueError(f"Could not parse hparams: '{text[place:]}' is no name=value")
            self._parse_one(match)
            place = match.end()
        return self

    def _parse_one(self, match):
        name = match["name"]
        if name not in self._types:
            raise ValueError(f"Unknown hyperparameter: {name}; there are: {', '.join(sorted(self._types))}")
        kind = self._types[name][0]
        kind = str if kind is type(None) else kind
        if match["list"] is not None:
            words = [word.strip() for word in match["list"].split(",") if word.strip()]
            self.set_hparam(name, [_converted(name, word, kind) for word in words])
        else:
            self.set_hparam(name, _converted(name, match["value"].strip(), kind))

    def override_from_dict(self, values):
        for name, value in values.items():
            self.set_hparam(name, value)
        return self

    set_from_map = override_from_dict

    def parse_json(self, text):
        return self.override_from_dict(json.loads(text))

    def values(self):
        return {name: getattr(self, name) for name in self._types}

    def get(self, name, default=None):
        return getattr(self, name) if name in self._types else default

    def to_json(self, indent=None, separators=None, sort_keys=False):
        return json.dumps(self.values(), indent=indent, separators=separators, sort_keys=sort_keys)

    def __contains__(self, name):
        return name in self._types

    def __repr__(self):
        return f"HParams({self.values()})"
