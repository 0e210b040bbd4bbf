"""A file that the processes of one user share: it is replaced whole, and one process writes at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cbstore_sql.runtime import host_file
from cbstore_sql.runtime.host_file import HostFile, user_directory
from tests.runtime.test_fork import in_child


@pytest.fixture
def file(tmp_path: Path) -> HostFile:
    return HostFile("answers", tmp_path)


def test_a_file_that_was_never_written_reads_as_empty(file: HostFile) -> None:
    assert file.read() == b""


def test_another_object_reads_what_was_written_last(file: HostFile, tmp_path: Path) -> None:
    file.write(b"first, and longer")
    file.write(b"second")
    assert HostFile("answers", tmp_path).read() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["answers"]


def test_one_object_at_a_time_has_the_right_to_write(file: HostFile, tmp_path: Path) -> None:
    other = HostFile("answers", tmp_path)
    assert file.try_acquire()
    assert not other.try_acquire()
    file.release()
    assert other.try_acquire()
    other.release()


def test_the_right_of_a_killed_process_is_free_again(file: HostFile, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cbstore_sql.runtime.host_file import HostFile\n"
        "file = HostFile('answers', Path(sys.argv[1])); print(file.try_acquire(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "True\n"
        assert not file.try_acquire()
        holder.kill()
        holder.wait()
        assert file.try_acquire()
    file.release()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_no_right_to_write_and_leaves_the_right_to_its_parent(
    file: HostFile, tmp_path: Path
) -> None:
    assert file.try_acquire()
    assert in_child(lambda: file._held is None and not file.try_acquire())
    assert not HostFile("answers", tmp_path).try_acquire()
    file.release()
    assert HostFile("answers", tmp_path).try_acquire()


def test_a_missing_disk_loses_the_answer_without_an_error(tmp_path: Path) -> None:
    file = HostFile("answers", tmp_path / "gone")
    file.write(b"lost")
    assert file.read() == b""
    with pytest.raises(FileNotFoundError):
        file.try_acquire()


def test_a_removed_directory_is_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_file, "_MEMORY", tmp_path)
    file = HostFile("answers")
    user_directory().rmdir()
    assert file.try_acquire()
    file.write(b"new")
    file.release()
    assert HostFile("answers").read() == b"new"


def test_a_writer_that_was_killed_leaves_at_most_one_file_for_the_next(file: HostFile, tmp_path: Path) -> None:
    (tmp_path / "answers.new").write_bytes(b"half of")
    file.write(b"whole")
    assert file.read() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["answers"]


def test_a_child_that_was_forked_while_its_parent_had_the_right_does_not_keep_it(
    file: HostFile, tmp_path: Path
) -> None:
    """The copy of the descriptor stays open in the child, as if the fork came before the object knew of it."""
    assert file.try_acquire()
    assert file._held is not None
    copy = os.dup(file._held)
    file.release()
    assert HostFile("answers", tmp_path).try_acquire()
    os.close(copy)


def test_the_directory_belongs_to_this_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_file, "_MEMORY", tmp_path)
    directory = user_directory()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert user_directory() == directory
    directory.chmod(0o755)
    with pytest.raises(PermissionError, match="only this user"):
        user_directory()


def test_a_link_in_place_of_the_directory_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_file, "_MEMORY", tmp_path)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"cbstore_sql-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="only this user"):
        user_directory()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_the_file_of_another_user_is_not_read(file: HostFile, tmp_path: Path) -> None:
    file.write(b"ours")
    os.chown(tmp_path / "answers", 12345, -1)
    assert file.read() == b""


def test_a_directory_that_another_user_could_enter_is_refused_later_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host_file, "_MEMORY", tmp_path)
    file = HostFile("answers")
    user_directory().chmod(0o777)
    with pytest.raises(PermissionError, match="only this user"):
        file.try_acquire()
