"""The words of a text, counted, ranked and stored."""

import collections
import contextlib
import pathlib
import re
import sqlite3

import erlang

WORD = re.compile(r"[^\W\d_]{4,}")


class Document:
    def __init__(self, path):
        text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
        self.path = path
        self.counts = collections.Counter(WORD.findall(text.lower()))
        erlang.document_read(path, self.counts.total())  # calls the function that demo.erl registers

    def store(self, database):
        rows = [(self.path, word, count) for word, count in self.counts.items()]
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
            connection.executemany("INSERT INTO words VALUES (?, ?, ?)", rows)


def create(database):
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE words (document TEXT, word TEXT, count INTEGER)")


def ranking(database, size):
    """The most frequent words of all documents: (word, how often, in how many documents)."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(
            """SELECT word, SUM(count) AS total, COUNT(*) FROM words
               GROUP BY word ORDER BY total DESC, word LIMIT ?""",
            (size,),
        ).fetchall()
