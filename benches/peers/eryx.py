"""eryx under the report: a session (a sandbox that keeps its state) whose function is called with a list.

Reads a request on each line of stdin, as JSON, and answers each with a line on stdout: `load` makes a session of a
source and keeps the column that it is called with, `run` calls the function with the column's first rows so many times,
`first` makes a session of its own and gives its first result, `hold` keeps so many sessions that have given one. A
column has no way in but the program's text: it goes as JSON.
"""

import json
import sys

import eryx

# The sources declare types that eryx has no use for.
PRELUDE = """
import sys, types
cloister = sys.modules["cloister"] = types.ModuleType("cloister")
class DataTypes:
    STRING = staticmethod(lambda: None)
cloister.DataTypes, cloister.udf = DataTypes, lambda **options: lambda f: f
"""


class Sandbox:
    """The session that is loaded, and others that are only held."""

    def __init__(self):
        self.held = []

    def load(self, source, function, column):
        """Makes a session and checks that the function gives as many values as the column has."""
        self.source, self.function, self.column = source, function, column
        self.session = self._session()
        return len(self._call(self.session, column)) == len(column)

    def run(self, times, rows):
        """Calls the function with the column's first rows."""
        column = self.column[:rows]
        for _ in range(times):
            self._call(self.session, column)
        return True

    def first(self):
        """A new session, and its first result."""
        self._call(self._session(), self.column[:1])
        return True

    def hold(self, sessions):
        """Keeps so many sessions alive, each of which has given a result."""
        del self.held[sessions:]
        while len(self.held) < sessions:
            self.held.append(self._session())
            self._call(self.held[-1], self.column[:1])
        return True

    def _session(self):
        session = eryx.Session(result_variable="result")
        session.execute(PRELUDE + self.source)
        return session

    def _call(self, session, column):
        text = json.dumps(column)
        return session.execute(f"import json\nresult = list(map({self.function}, json.loads({text!r})))").result


def main():
    sandbox = Sandbox()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(sandbox, request["do"])(**request["with"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(answer), flush=True)


main()
