"""Small labelled sets in the layouts that the loaders know, made from nothing.

Belongs here: lines and labels by the dozen. Does not: what the loaders must make of them.
"""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

from logad_pipeline.evaluation.benchmark_set import BenchmarkPart, source_lines
from logad_pipeline_tests.tiny_model import FOREIGN, cycle_lines

HOSTS = ("10.0.0.1", "10.0.0.2")
NORMAL, INJECTED = "11111111-2222-3333-4444-555555555555", "99999999-8888-7777-6666-555555555555"


def read_all(files: tuple[Path, ...]) -> list[bytes]:
    return [line for path in files for _, line in source_lines(path)]


def only_part(parts: tuple[BenchmarkPart, ...]) -> BenchmarkPart:
    (part,) = parts
    return part


def hdfs_line(second: int, block: int) -> bytes:
    return b"081109 2035%02d 147 INFO dfs.DataNode: Receiving block blk_%d src: /10.0.0.1:4\n" % (second, block)


def write_hdfs(folder: Path, *, public: bool) -> None:
    """Ten blocks of two lines, one after another; -1 (in the first 40 %), 8 and 9 are anomalous; 4 lies across."""
    blocks = [0, 0, -1, -1, 2, 2, 3, 4, 3, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]
    log = b"".join(hdfs_line(second, block) for second, block in enumerate(blocks))
    rows = "".join(f"blk_{b},{'Anomaly' if b in (-1, 8, 9) else 'Normal'}\n" for b in dict.fromkeys(blocks))
    labels = ("BlockId,Label\n" + rows).encode()
    folder.mkdir(parents=True)
    if public:
        (folder / "HDFS.log").write_bytes(log)
        (folder / "preprocessed").mkdir()
        (folder / "preprocessed" / "anomaly_label.csv").write_bytes(labels)
    else:
        (folder / "hdfs.log.xz").write_bytes(lzma.compress(log))
        (folder / "anomaly_label.csv.gz").write_bytes(gzip.compress(labels))


def write_rounds(folder: Path) -> None:
    """Two hosts of ten rounds of three lines; odd ones are round 1 (even tests fail), even ones fault-free."""
    folder.mkdir(parents=True)
    rounds = ["host,test,round,first_ts,last_ts,status"]
    for place, host in enumerate(HOSTS):
        lines, labels = [], ["line_no,ts,service,test,round,level,round_failed,interval_label,error_line"]
        for number in range(10):
            test, turn = f"Test_{number // 2}", 1 + number % 2
            failed = turn == 1 and number // 2 % 2 == 0
            status = "FAILURE" if failed else "NO_FAILURE"
            rounds.append(f"{host},{test},{turn},2018-06-27T0{number}:{place}0:00.000,,{status}")
            for second in range(3):
                lines.append(
                    f"2018-06-27 0{number}:{place}0:0{second}.000 97 INFO nova.wsgi "
                    f"[req-{NORMAL} - -] {host} did {second} in {number}\n"
                )
                labels.append(f"{len(lines)},,nova,{test},{turn},INFO,{int(failed)},0,0")
        (folder / f"{host}.log.xz").write_bytes(lzma.compress("".join(lines).encode()))
        (folder / f"{host}.labels.csv.gz").write_bytes(gzip.compress("\n".join(labels).encode()))
    (folder / "rounds.csv").write_text("\n".join(rounds) + "\n")


def write_instances(folder: Path) -> None:
    """LogHub's OpenStack: the run with an anomaly is the oldest."""
    folder.mkdir(parents=True)
    runs = {"normal1": ("16", "a" * 8 + NORMAL[8:]), "normal2": ("17", NORMAL), "abnormal": ("14", INJECTED)}
    for name, (day, instance) in runs.items():
        line = (
            f"nova-compute.log.1.2017-05-{day}_13:55:31 2017-05-{day} 00:00:04.500 2931 INFO nova.compute.manager "
            f"[req-3ea4052c-895d-4b64-9e2d-04d64c4d94ab - - - - -] [instance: {instance}] VM Started\n"
        )
        (folder / f"openstack_{name}.log").write_text(line * 3)
    (folder / "anomaly_labels.txt").write_text(f"Instances with an anomaly:\n\n{INJECTED}\n")


def write_hpc(folder: Path, name: str, *, lines: int = 50) -> None:
    """A log whose first column is the label; every tenth line is an alert."""
    folder.mkdir(parents=True)
    with (folder / name).open("wb") as stream:
        for number in range(lines):
            alert = b"KERNDTLB" if number % 10 == 9 else b"-"
            epoch = b"%s %d 2005.06.03 " % (alert, 1117838570 + number)
            if name == "BGL.log":
                where = b"R02-M1-N0 2005-06-03-15.42.50.675872 R02-M1-N0 RAS KERNEL INFO"
            else:
                where = b"an1 Jun 3 15:42:50 an1/an1 kernel:"
            stream.write(epoch + where + b" event %d\n" % number)


def write_by_line(folder: Path, log: str, labels: str) -> None:
    """Fifty lines of syslog, every tenth labelled in a table beside them."""
    folder.mkdir(parents=True)
    lines = b"".join(b"Mar 27 13:06:%02d host sshd[%d]: did %d\n" % (n, n + 1, n) for n in range(50))
    rows = "line_no,ts,label\n" + "".join(f"{n},,{int(n % 10 == 0)}\n" for n in range(1, 51))
    (folder / f"{log}.xz").write_bytes(lzma.compress(lines))
    (folder / f"{labels}.gz").write_bytes(gzip.compress(rows.encode()))


def write_hadoop(folder: Path) -> None:
    """Five applications of two containers; the first and the last were disturbed."""
    folder.mkdir(parents=True)
    for number in range(1, 6):
        application = folder / f"application_1445062781478_{number:04d}"
        application.mkdir()
        for container in (1, 2):
            name = f"container_1445062781478_{number:04d}_01_{container:06d}.log"
            # The last line has no line end, as some of the published files.
            (application / name).write_text(
                f"2015-10-17 15:3{number}:00,547 INFO [main] org.apache.Main: Created {container}\n"
                f"2015-10-17 15:3{number}:01,547 INFO [main] org.apache.Main: Done"
            )
    ids = [f"+ application_1445062781478_{number:04d}\n" for number in range(1, 6)]
    (folder / "abnormal_label.txt").write_text(
        f"### WordCount\nNormal:\n{ids[1]}{ids[2]}\nMachine down:\n{ids[0]}\n"
        f"### PageRank\nNormal:\n{ids[3]}\nDisk full:\n{ids[4]}"
    )


def write_cycle_log(folder: Path, *, lines: int = 1000) -> None:
    """auth.log of lines in strict order; in the later half every 50th is a foreign one, and labelled."""
    folder.mkdir(parents=True)
    odd = range(lines // 2, lines, 50)
    texts = [FOREIGN if n in odd else text for n, text in enumerate(cycle_lines(lines))]
    moments = (f"Mar 27 {13 + n // 3600}:{n // 60 % 60:02}:{n % 60:02}" for n in range(lines))
    log = "".join(f"{at} web1 sshd[{n}]: {text}\n" for n, (at, text) in enumerate(zip(moments, texts, strict=True)))
    rows = "line_no,ts,label\n" + "".join(f"{n + 1},,{int(n in odd)}\n" for n in range(lines))
    (folder / "auth.log.xz").write_bytes(lzma.compress(log.encode()))
    (folder / "labels_rule_based.csv.gz").write_bytes(gzip.compress(rows.encode()))


def write_cycle_blocks(folder: Path, *, blocks: int = 100) -> None:
    """HDFS of blocks of seven lines in strict order, one by one; in the later half every fifth has a fatal line."""
    folder.mkdir(parents=True)
    odd = range(blocks // 2, blocks, 5)
    log = []
    for block in range(blocks):
        for n, text in enumerate(cycle_lines(7, start=block)):
            second = 7 * block + n
            level, said = ("FATAL", FOREIGN) if block in odd and n == 3 else ("INFO", text)
            at = f"081109 {10 + second // 3600}{second // 60 % 60:02}{second % 60:02}"
            log.append(f"{at} 147 {level} dfs.DataNode: {said} blk_{block}\n")
    rows = "".join(f"blk_{block},{'Anomaly' if block in odd else 'Normal'}\n" for block in range(blocks))
    (folder / "hdfs.log.xz").write_bytes(lzma.compress("".join(log).encode()))
    (folder / "anomaly_label.csv.gz").write_bytes(gzip.compress(f"BlockId,Label\n{rows}".encode()))
