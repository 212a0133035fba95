"""A pass for Olive (the package ``olive-ai``): FourbitQuantization.

    olive run --config workflow.json --package-config "$(python -m fourbit.olive)"

Olive knows the passes of one package configuration only: ``python -m fourbit.olive FILE`` writes one that has Olive's own passes too.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, List, Optional, Union

__all__ = ["FourbitQuantization", "package_config", "write_package_config"]


def package_config() -> str:
    """The path of a package configuration with this pass alone, for Olive's ``--package-config``."""
    return str(Path(__file__).with_name("fourbit_olive.json"))


def write_package_config(path: Union[str, "os.PathLike[str]"]) -> str:
    """Writes a package configuration with Olive's own passes and this one, and gives back its path."""
    from olive.package_config import OlivePackageConfig

    with open(OlivePackageConfig.get_default_config_path(), encoding="utf-8") as file:
        found = json.load(file)
    with open(package_config(), encoding="utf-8") as file:
        found["passes"].update(json.load(file)["passes"])
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=4)
    return os.fspath(path)


def __getattr__(name: str) -> Any:
    """The pass, made when Olive asks for it: the functions above need no Olive."""
    if name == "FourbitQuantization":
        from ._olive_pass import FourbitQuantization

        return FourbitQuantization
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main(arguments: Optional[List[str]] = None) -> int:
    """Prints the path of a package configuration."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) > 1 or given[:1] == ["--help"]:
        print("usage: python -m fourbit.olive [FILE]\n\nPrints the path of a package configuration for olive run --package-config:")
        print("one with the pass FourbitQuantization alone, or FILE, which is written with Olive's own passes too.")
        return 0 if given[:1] == ["--help"] else 2
    print(write_package_config(given[0]) if given else package_config())
    return 0


if __name__ == "__main__":
    sys.exit(main())
