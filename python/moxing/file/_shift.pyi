"""Made by scripts/stubs.py of what `import moxing.file._shift` gives; not to be changed by hand."""

def shift(src: str, dst: str) -> None:
    """Lets open, os, os.path, glob and shutil take paths of object stores (docs/old_scripts.md): src 'os' and dst 'mox' turn it on,
    'mox' and 'os' off. Local paths behave exactly as before in both. Raises InvalidArgumentError for other words.
    """
