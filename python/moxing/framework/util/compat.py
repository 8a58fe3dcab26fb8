"""Texts and bytes in either version of Python, as scripts for the original use them."""
import numbers


def as_bytes(bytes_or_text, encoding="utf-8"):
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, (bytes, bytearray, memoryview)):
        return bytes(bytes_or_text)
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


def as_text(bytes_or_text, encoding="utf-8"):
    return bytes_or_text if isinstance(bytes_or_text, str) else as_bytes(bytes_or_text).decode(encoding)


as_str = as_text


def as_str_any(value):
    """Also of what is neither: its str()."""
    return as_str(value) if isinstance(value, (bytes, bytearray)) else str(value)


integral_types = (numbers.Integral,)
real_types = (numbers.Real,)
complex_types = (numbers.Complex,)
bytes_or_text_types = (bytes, str)
