"""Where compiled loops are kept when the usual place cannot be written."""

import os
import tempfile
from pathlib import Path

import pytest

from flipcore.sim import kernel_cache


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No place for a cache but a temporary folder, which is returned."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_falls_back_to_a_folder_of_the_user(no_cache: Path) -> None:
    folder = kernel_cache._cache_folder()
    assert folder.parent == no_cache / f"flipcore-{os.getuid()}"
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert kernel_cache._cache_folder() == folder


def test_code_that_another_user_may_have_put_there_is_not_run(
    no_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = os.getuid() + 1
    (no_cache / f"flipcore-{other}").mkdir()  # it belongs to us, and we are someone else now
    monkeypatch.setattr(os, "getuid", lambda: other)
    folder = kernel_cache._cache_folder()
    assert folder.is_dir()
    assert folder.parent != no_cache / f"flipcore-{other}"
