"""Files elsewhere give the selection that the same files give here: over HTTP, and through fsspec's memory."""

from __future__ import annotations

import gzip
import http.server
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

pytest.importorskip("fsspec")
import fsspec

import tsds
from tests.command.run import texts, write_jsonl
from tests.command.run import tsds as command
from tsds.errors import InputError
from tsds.forecast import forecast
from tsds.output import check_fits
from tsds.records import Pool, counting
from tsds.records.remote import is_remote, remote_files
from tsds.scratch import machine
from tsds.settings import Settings


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSDS_FILES", str(tmp_path / "files"))


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def _parts(folder: Path) -> list[Path]:
    records = [{"id": f"r{i}", "text": text} for i, text in enumerate(texts(300))]
    return [write_jsonl(folder / f"part-{k}.jsonl", records[100 * k : 100 * k + 100]) for k in range(3)]


def test_a_glob_and_a_folder_elsewhere_are_the_files_here(tmp_path: Path, memory: Any) -> None:
    parts = _parts(tmp_path)
    for part in parts:
        memory.pipe(f"/pool/{part.name}", part.read_bytes())
    memory.pipe("/pool/readme.pdf", b"not data")
    here = tsds.select(parts, texts(5, seed=1), size=20)
    for address in ("memory://pool/part-*.jsonl", "memory://pool"):
        there = tsds.select(address, texts(5, seed=1), size=20)
        assert (there.indices == here.indices).all()
        assert list(there.records()) == list(here.records())
    assert [shard.name for shard in Pool.open("memory://pool/part-1.jsonl").shards] == ["memory://pool/part-1.jsonl"]


def test_a_file_is_fetched_once_and_again_when_it_changes(tmp_path: Path, memory: Any) -> None:
    memory.pipe("/pool.jsonl", b'{"text": "one"}\n')
    (first,) = remote_files("memory://pool.jsonl")
    assert not first.here
    got: list[int] = []
    assert first.fetch(got.append).read_bytes() == b'{"text": "one"}\n'
    assert sum(got) == 16
    (again,) = remote_files("memory://pool.jsonl")
    assert again.here
    memory.pipe("/pool.jsonl", b'{"text": "two"}\n')  # as long as before
    (changed,) = remote_files("memory://pool.jsonl")
    assert not changed.here and changed.fetch().read_bytes() == b'{"text": "two"}\n'


def test_what_a_killed_transfer_left_goes_with_the_next(tmp_path: Path, memory: Any) -> None:
    memory.pipe("memory://data/pool.jsonl", b'{"text": "one"}\n')
    (file,) = remote_files("memory://data/pool.jsonl")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    file.local.parent.mkdir(parents=True)
    mine, other = (file.local.with_name(f".pool.jsonl.{host}-{gone.pid}-1a.part") for host in (machine(), "node-7"))
    for path in (mine, other):
        path.write_bytes(b"half")
    file.fetch()
    assert file.here and not mine.exists() and other.exists()


def test_embeddings_elsewhere(tmp_path: Path, memory: Any) -> None:
    rows = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    memory.pipe("/rows.npy", (tmp_path / "rows.npy").read_bytes())
    options: dict[str, Any] = {"size": 5, "bandwidth": 0.1}
    there = tsds.select("memory://rows.npy", tmp_path / "rows.npy", **options)
    assert (there.indices == tsds.select(rows, rows, **options).indices).all()


def test_over_http_from_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "www").mkdir()
    parts = _parts(tmp_path / "www")
    target = write_jsonl(tmp_path / "www" / "target.jsonl", [{"text": text} for text in texts(5, seed=1)])
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        done = command(
            "select", "--pool", *[f"{base}/{part.name}" for part in parts], "--target", f"task={base}/target.jsonl",
            "--size", 20, "--out", tmp_path / "there",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        missing = command("select", "--pool", f"{base}/none.jsonl", "--target", target, "--size", 2, "--out", "never")
    finally:
        server.shutdown()
        server.server_close()
    assert missing.returncode == 2 and f"{base}/none.jsonl: no such file" in missing.stderr
    here = command("select", "--pool", *parts, "--target", target, "--size", 20, "--out", tmp_path / "here")
    assert here.returncode == 0, here.stderr
    chosen = [(tmp_path / name / "selected.jsonl").read_bytes() for name in ("here", "there")]
    assert chosen[0] == chosen[1]


def test_over_s3_from_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pool, target and the place of the run in buckets of a server that speaks S3, kept in memory on this machine."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ENDPOINT_URL", f"http://{host}:{port}"), ("ACCESS_KEY_ID", "any"),
                        ("SECRET_ACCESS_KEY", "any"), ("DEFAULT_REGION", "us-east-1")):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    parts = _parts(tmp_path)
    target = write_jsonl(tmp_path / "target.jsonl", [{"text": text} for text in texts(5, seed=1)])
    try:
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.mkdir("bucket")
        for path in (*parts, target):
            system.put_file(str(path), f"bucket/data/{path.name}")
        given = ("select", "--pool", "s3://bucket/data/part-*.jsonl", "--target", "s3://bucket/data/target.jsonl")
        done = command(*given, "--size", 20, "--out", "s3://bucket/runs/one")
        assert done.returncode == 0, done.stderr
        taken = command(*given, "--size", 20, "--out", "s3://bucket/runs/one")
        missing = command("select", "--pool", "s3://none/a.jsonl", "--target", target, "--size", 2, "--out", "never")
        system.invalidate_cache()
        written = sorted(Path(name).name for name in system.ls("bucket/runs/one"))
        chosen, table = (system.cat_file(f"bucket/runs/one/{name}") for name in ("selected.jsonl", "selection.parquet"))
    finally:
        server.stop()
    assert written == ["report.html", "run.json", "selected.jsonl", "selection.parquet"]
    assert taken.returncode == 2 and "holds a run already" in taken.stderr
    assert missing.returncode == 2 and len(missing.stderr.splitlines()) == 1 and "s3://none/a.jsonl" in missing.stderr
    here = command("select", "--pool", *parts, "--target", target, "--size", 20, "--out", tmp_path / "here")
    assert here.returncode == 0, here.stderr
    assert (tmp_path / "here" / "selected.jsonl").read_bytes() == chosen
    mine, theirs = pq.read_table(tmp_path / "here" / "selection.parquet"), pq.read_table(pa.BufferReader(table))
    differing = [name for name in mine.column_names if mine[name] != theirs[name]]
    assert differing == ["shard"]  # which says where each record was
    assert theirs["shard"].to_pylist()[0].startswith("s3://bucket/data/part-")


def test_what_is_wrong_is_said(memory: Any) -> None:
    for address, why in [
        ("memory://nothing.jsonl", "memory://nothing.jsonl: no such file"),
        ("memory://none/*.jsonl", "no file that can be read"),
        ("nosuch://a/b.jsonl", "nosuch"),
    ]:
        with pytest.raises(InputError, match=why.replace("*", r"\*")):
            tsds.select(address, ["a text"], size=1)
    if find_spec("gcsfs") is None:
        with pytest.raises(InputError, match="pip install gcsfs"):
            tsds.select("gs://bucket/pool.jsonl", ["a text"], size=1)


def test_a_transfer_cut_short_leaves_nothing(memory: Any) -> None:
    memory.pipe("/pool.jsonl", b'{"text": "one"}\n')
    (file,) = remote_files("memory://pool.jsonl")
    short = type(file)(file.address, 99, file.local, file.system, file.path)
    with pytest.raises(InputError, match="ended after 16 of 99 bytes"):
        short.fetch()
    assert not list(file.local.parent.iterdir())


def test_a_connection_that_is_lost_is_said_and_leaves_nothing(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks after the first chunk, while the copy is being written: what failed is the reading."""
    memory.pipe("/pool.jsonl", b'{"text": "one"}\n' * 100)
    (file,) = remote_files("memory://pool.jsonl")

    class Breaks(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise ConnectionResetError(104, "Connection reset by peer")
            return super().read(100)

    monkeypatch.setattr(type(memory), "open", lambda *_: Breaks(b"x" * 1600))
    with pytest.raises(InputError) as caught:
        file.fetch()
    said = "memory://pool.jsonl: can't be read: [Errno 104] Connection reset by peer (check the address and your "
    assert str(caught.value) == said + "credentials)"
    assert not list(file.local.parent.iterdir())


@pytest.mark.parametrize(
    ("text", "remote"),
    [("s3://a/b", True), ("hf://datasets/a/b.parquet", True), ("see https://a.b for more", False), ("C://x y", False)],
)
def test_addresses_are_told_from_texts(text: str, remote: bool) -> None:
    assert is_remote(text) == remote


def test_a_run_is_written_elsewhere_whole(tmp_path: Path, memory: Any) -> None:
    chosen = tsds.select(_parts(tmp_path), texts(5, seed=1), size=20)
    chosen.save(tmp_path / "here")
    chosen.save("memory://runs/one")
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert {path.rpartition("/")[2] for path in memory.find("/runs/one")} == names
    for name in ("selected.jsonl", "selection.parquet"):
        assert memory.cat(f"/runs/one/{name}") == (tmp_path / "here" / name).read_bytes()
    with pytest.raises(InputError, match="memory://runs/one: holds a run already"):
        chosen.save("memory://runs/one")
    memory.pipe("/runs/one/notes.txt", b"mine")
    chosen.save("memory://runs/one", overwrite=True, format="csv")
    assert memory.exists("/runs/one/selected.csv") and not memory.exists("/runs/one/selected.jsonl")
    chosen.save("memory://runs/one", overwrite=True)
    assert {path.rpartition("/")[2] for path in memory.find("/runs/one")} == names | {"notes.txt"}


def test_what_is_elsewhere_and_of_no_run_stays(tmp_path: Path, memory: Any) -> None:
    memory.pipe("/data/selected.jsonl", _parts(tmp_path)[0].read_bytes())
    memory.pipe("/data/report.html", b"mine")
    before = {name: memory.cat(name) for name in memory.find("/data")}
    chosen = tsds.select("memory://data/selected.jsonl", texts(5, seed=1), size=20)
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"memory://data: holds report\.html, which is of no run"):
            chosen.save("memory://data", overwrite=overwrite)
    assert {name: memory.cat(name) for name in memory.find("/data")} == before
    chosen.save("memory://runs/one")
    again = tsds.select("memory://runs/one/selected.jsonl", texts(5, seed=1), size=2)
    with pytest.raises(InputError, match=r"memory://runs/one/selected\.jsonl: is read by the run"):
        again.save("memory://runs/one", overwrite=True)
    assert len(memory.cat("/runs/one/selected.jsonl").splitlines()) == 20


def test_a_run_that_fails_elsewhere_leaves_no_run(tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks at the third file: what is there is no run, as run.json comes last."""
    chosen = tsds.select(_parts(tmp_path), texts(5, seed=1), size=20)
    put, count = type(memory).put_file, []

    def breaks(self: Any, path: str, to: str, **more: Any) -> None:
        count.append(to)
        if len(count) == 3:
            raise OSError("connection lost")
        put(self, path, to, **more)

    monkeypatch.setattr(type(memory), "put_file", breaks)
    with pytest.raises(InputError, match="can't be written: connection lost"):
        chosen.save("memory://runs/two")
    assert not memory.exists("/runs/two/run.json")
    monkeypatch.undo()
    chosen.save("memory://runs/two", format="csv")  # what was left is known as a run's
    names = {path.rpartition("/")[2] for path in memory.find("/runs/two")}
    assert names == {"selected.csv", "selection.parquet", "run.json", "report.html"}


def test_the_command_writes_to_an_address(tmp_path: Path) -> None:
    pool, target = _parts(tmp_path), write_jsonl(tmp_path / "t.jsonl", [{"text": t} for t in texts(5, seed=1)])
    arguments = ["select", "--pool", *pool, "--target", target, "--size", "20", "--out", f"file://{tmp_path}/out"]
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "run.json").is_file()
    again = command(*arguments)
    assert again.returncode == 2
    assert "holds a run already" in again.stderr
    wrong = command(*arguments[:-1], "nowhere://bucket/out")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "json", "csv", "parquet"])
def test_a_dry_run_reads_the_beginning_and_copies_nothing(
    kind: str, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [{"text": text * 20} for text in texts(4500)]  # three megabytes or more
    table = pa.Table.from_pylist(records)
    for k, some in enumerate((records[:4000], records[4000:])):
        path = tmp_path / f"{k}.{kind}"
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(some), path, row_group_size=500)
        elif kind == "csv":
            pa_csv.write_csv(table.slice(4000 * k, 4000 if not k else 500), path)
        elif kind == "json":
            path.write_text(json.dumps(some))
        else:
            write_jsonl(path, some)
            path.write_bytes(gzip.compress(path.read_bytes()) if kind == "jsonl.gz" else path.read_bytes())
        memory.pipe(f"/pool/{path.name}", path.read_bytes())
    monkeypatch.setattr(counting, "_SMALL", 0)
    monkeypatch.setattr(counting, "LOOKED_BYTES", 1 << 20)
    plan = forecast(["memory://pool"], {"": "memory://pool/1." + kind}, Settings(size="1%"))
    assert plan["records"] == pytest.approx(4500, rel=0.05)
    assert plan["fetch_bytes"] == sum(memory.size(one) for one in memory.find("/pool"))
    assert not (tmp_path / "files").exists()


def test_a_format_that_files_elsewhere_do_not_fit_is_seen_without_a_copy_of_them(tmp_path: Path, memory: Any) -> None:
    record = {"messages": [{"role": "user", "content": "alpha"}]}
    memory.pipe("/chats.jsonl", write_jsonl(tmp_path / "chats.jsonl", [record] * 9).read_bytes())
    check_fits("jsonl", ["memory://chats.jsonl"], Settings(size=1))
    with pytest.raises(InputError, match=r"line 1: field 'messages' holds list, which csv can't hold"):
        check_fits("csv", ["memory://chats.jsonl"], Settings(size=1))
    assert not remote_files("memory://chats.jsonl")[0].here
