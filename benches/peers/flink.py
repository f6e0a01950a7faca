"""PyFlink under the report: one local mini-cluster that lives as long as the report, parallelism 1, checkpoints off.

Reads a request on each line of stdin, as JSON, and answers each with a line on stdout: `load` makes a function of a
source, `run` sends so many rows through it and answers with the seconds from the job's submission to its end, `first`
answers with the seconds to the first row's result, `stream` starts a job that lives between two sockets, `settle` waits
until those jobs have ended, `collect_garbage` lets the JVM forget what nobody needs.
"""

import ctypes
import json
import os
import sys
import time
import types

# A local run would put the worker into a thread of this process.
os.environ["_python_worker_execution_mode"] = "process"

# A worker outlives the shell that the JVM started it with: its CPU time would be lost with it. As the subreaper this
# process inherits it, and never waits for it, so that its time stays on record.
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

# What the JVM and PyFlink print must not get between the answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from pyflink.common import Row  # noqa: E402
from pyflink.datastream import DataStream, StreamExecutionEnvironment  # noqa: E402
from pyflink.java_gateway import get_gateway  # noqa: E402
from pyflink.table import DataTypes, StreamTableEnvironment  # noqa: E402
from pyflink.table.udf import UserDefinedFunctionWrapper, udf  # noqa: E402

# The sources import PyFlink's names from our package.
package = types.ModuleType("cloister")
package.DataTypes, package.Row, package.udf = DataTypes, Row, udf
sys.modules["cloister"] = package


# Rows of a bundle, if nothing else is said.
DEFAULT_BUNDLE = 1_000


class Cluster:
    """The mini-cluster, and the function that is loaded."""

    def __init__(self, mode):
        self.streams = StreamExecutionEnvironment.get_execution_environment()
        self.tables = StreamTableEnvironment.create(self.streams)
        options = self.tables.get_config()
        options.set("parallelism.default", "1")
        options.set("python.execution-mode", mode)
        options.set("python.executable", sys.executable)
        self.select = self.result = None
        self.jobs = []

    def load(self, source, function, argument, result):
        """Makes the function `f` of a source; `argument` has its SQL arguments, from the number `id` of a row."""
        # By value to the worker, as what is defined in a program is.
        names = {"__name__": "__main__"}
        exec(compile(source, "udf.py", "exec"), names)
        f = names[function]
        if not isinstance(f, UserDefinedFunctionWrapper):
            f = udf(f, result_type=DataTypes.BIGINT() if result == "BIGINT" else DataTypes.STRING())
        self.tables.drop_temporary_system_function("f")
        self.tables.create_temporary_system_function("f", f)
        self.tables.execute_sql("DROP TEMPORARY TABLE IF EXISTS nowhere")
        self.tables.execute_sql(f"CREATE TEMPORARY TABLE nowhere (x {result}) WITH ('connector' = 'blackhole')")
        self.select = f"SELECT f({argument}) AS x FROM numbers"
        self.result = result
        return True

    def run(self, rows):
        """Sends rows through the function; the seconds."""
        self._numbers(rows)
        start = time.perf_counter()
        self.tables.execute_sql(f"INSERT INTO nowhere {self.select}").wait()
        return time.perf_counter() - start

    def first(self):
        """The seconds from a job's submission to its first result."""
        self._numbers(1)
        start = time.perf_counter()
        with self.tables.execute_sql(self.select).collect() as results:
            next(results)
            return time.perf_counter() - start

    def stream(self, source, sink, bundle):
        """A job that reads texts from one local port, a line each, and writes `f` of each to another.

        It lives until its source closes. A bundle has so many rows, or what came within Flink's default of 1 s.
        """
        self._set_bundle(bundle)
        environment = self.streams._j_stream_execution_environment
        texts = DataStream(environment.socketTextStream("127.0.0.1", source, "\n"))
        rows = self.tables.from_data_stream(texts).alias("x")
        self.tables.create_temporary_view("texts", rows)
        # The sink puts nothing between what it writes.
        argument = "CAST(x AS BIGINT)" if self.result == "BIGINT" else "x"
        results = self.tables.sql_query(f"SELECT CONCAT(CAST(f({argument}) AS STRING), CHR(10)) AS x FROM texts")
        self.tables.drop_temporary_view("texts")
        java = get_gateway().jvm.org.apache.flink
        # What is written must not wait for more.
        flushed = True
        results = self.tables._j_tenv.toDataStream(results._j_table, java.table.api.DataTypes.STRING())
        schema = java.api.common.serialization.SimpleStringSchema()
        results.addSink(
            java.streaming.api.functions.sink.SocketClientSink("127.0.0.1", sink, schema, 0, flushed)
        ).setParallelism(1)
        self.jobs.append(self.streams.execute_async("stream"))
        return True

    def settle(self):
        """Waits until all jobs of `stream` have ended, and lets the JVM forget them."""
        for job in self.jobs:
            job.get_job_execution_result().result()
        self.jobs = []
        return self.collect_garbage()

    def collect_garbage(self):
        """Lets the JVM forget what nobody needs."""
        get_gateway().jvm.System.gc()
        return True

    def _numbers(self, rows):
        self._set_bundle(DEFAULT_BUNDLE)
        self.tables.execute_sql("DROP TEMPORARY TABLE IF EXISTS numbers")
        self.tables.execute_sql(
            "CREATE TEMPORARY TABLE numbers (id BIGINT) WITH ('connector' = 'datagen', "
            f"'rows-per-second' = '1000000000', 'number-of-rows' = '{rows}', "
            "'fields.id.min' = '0', 'fields.id.max' = '1000000')"
        )


    def _set_bundle(self, rows):
        self.tables.get_config().set("python.fn-execution.bundle.size", str(rows))


def main():
    cluster = Cluster(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(cluster, request["do"])(**request["with"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(answer), file=answers, flush=True)


main()
