"""Git's hash of a folder, checked against git itself."""

import subprocess
from pathlib import Path

from medloop.core.data.git_tree import blob_hash, tree_hash

FILES = {
    "a/1.jpeg": b"one",
    "a/2.jpeg": b"two",
    "a.b/3": b"three",
    "a-b": b"four",
    "deep/er/still/x": b"",
    "ü/ä.png": b"five",
}


def test_it_is_what_git_says(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    for name, data in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "a/2.jpeg").chmod(0o755)
    git("add", ".")
    entries = {name: (name == "a/2.jpeg", blob_hash(data)) for name, data in FILES.items()}
    assert tree_hash(entries) == git("write-tree")


def test_the_order_of_the_files_does_not_matter() -> None:
    entries = {name: (False, blob_hash(data)) for name, data in FILES.items()}
    assert tree_hash(dict(reversed(entries.items()))) == tree_hash(entries)
