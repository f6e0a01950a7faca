//! Every format in and out.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{AsArray as _, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::Place;

const CSV: &str = "a,s\n1,héllo\n2,\n3,\"x,y\"\n";
const EXPECTED: &str = r#"{"a":1,"s":"héllo","length":5}
{"a":2,"s":null,"length":null}
{"a":3,"s":"x,y","length":3}
"#;

fn batch() -> RecordBatch {
    let a = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let s = Arc::new(StringArray::from(vec![Some("héllo"), None, Some("x,y")]));
    RecordBatch::try_from_iter([("a", a as _), ("s", s as _)]).unwrap()
}

fn write_binary(place: &Place) {
    let batch = batch();
    let mut parquet =
        ArrowWriter::try_new(File::create(place.path("t.parquet")).unwrap(), batch.schema(), None).unwrap();
    parquet.write(&batch).unwrap();
    parquet.close().unwrap();
    // The stream; the file is what the program itself writes.
    let mut arrow = StreamWriter::try_new(File::create(place.path("t.feather")).unwrap(), &batch.schema()).unwrap();
    arrow.write(&batch).unwrap();
    arrow.finish().unwrap();
}

#[test]
fn every_input_gives_the_same_rows() {
    let place = Place::new();
    write_binary(&place);
    place.write("t.csv", CSV);
    place.write("t.tsv", "a\ts\n1\théllo\n2\t\n3\tx,y\n");
    place.write("t.jsonl", "{\"a\": 1, \"s\": \"héllo\"}\n\n{\"a\": 2}\n{\"a\": 3, \"s\": \"x,y\"}");
    place.write("t.json", "[{\"a\": 1, \"s\": \"héllo\"},\n {\"a\":\n 2}, {\"a\": 3, \"s\": \"x,y\"}]\n");
    for name in ["t.parquet", "t.feather", "t.csv", "t.tsv", "t.jsonl", "t.json"] {
        let outcome = place.run(&format!("run f.py::length --input {name} --output out.jsonl")).done();
        assert_eq!(place.read("out.jsonl"), EXPECTED, "{name}: {outcome:?}");
    }
}

#[test]
fn every_output_can_be_read_again() {
    let place = Place::new();
    place.write("t.csv", CSV);
    for name in ["o.parquet", "o.csv", "o.tsv", "o.jsonl", "o.json", "o.arrow", "o.feather"] {
        place.run(&format!("run f.py::length --input t.csv --output {name}")).done();
        let again = format!("run f.py::length --input {name} --as again --only-result --output again.jsonl");
        place.run(&again).done();
        assert_eq!(place.read("again.jsonl"), "{\"again\":5}\n{\"again\":null}\n{\"again\":3}\n", "{name}");
    }
    assert_eq!(place.read("o.csv"), "a,s,length\n1,héllo,5\n2,,\n3,\"x,y\",3\n");
    assert!(place.read("o.json").starts_with("[{\"a\":1,"));
}

#[test]
fn what_is_written_is_what_other_programs_read() {
    let place = Place::new();
    write_binary(&place);
    place.run("run f.py::length --input t.parquet --output o.parquet").done();
    place.run("run f.py::length --input t.parquet --output o.arrow").done();
    let parquet = ParquetRecordBatchReaderBuilder::try_new(File::open(place.path("o.parquet")).unwrap()).unwrap();
    let arrow = FileReader::try_new(File::open(place.path("o.arrow")).unwrap(), None).unwrap();
    let parquet = parquet.build().unwrap().next().unwrap().unwrap();
    let arrow = arrow.into_iter().next().unwrap().unwrap();
    for written in [parquet, arrow] {
        assert_eq!(written.project(&[0, 1]).unwrap(), batch());
        let lengths: Vec<Option<i64>> = written.column(2).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(lengths, [Some(5), None, Some(3)]);
    }
}

#[test]
fn a_pipe_takes_and_gives_json_lines() {
    let place = Place::new();
    let rows = "{\"a\": 1, \"s\": \"héllo\"}\n{\"a\": 2, \"s\": null}\n{\"a\": 3, \"s\": \"x,y\"}\n";
    assert_eq!(place.pipe("run f.py::length --input - --output -", rows).done().stdout, EXPECTED);
    // Nothing in, nothing out: no reason to fail.
    assert_eq!(place.pipe("run f.py::length --input - --output -", "").done().stdout, "");
}

#[test]
fn lines_are_rows() {
    let place = Place::new();
    place.write("t.log", "a\r\n\nhéllo");
    place.run("run f.py::length --input t.log --lines --output out.csv").done();
    assert_eq!(place.read("out.csv"), "line,length\na,1\n,0\nhéllo,5\n");
    assert_eq!(
        place.pipe("run f.py::length --input - --lines --only-result --output -", "ab").done().stdout,
        "{\"length\":2}\n"
    );
}

#[test]
fn tables_without_rows_keep_their_columns() {
    let place = Place::new();
    place.write("t.csv", "a,s\n");
    place.run("run f.py::length --input t.csv --arg s --output out.csv").done();
    assert_eq!(place.read("out.csv"), "a,s,length\n");
    place.run("run f.py::length --input t.csv --arg s --output out.parquet").done();
    let file = File::open(place.path("out.parquet")).unwrap();
    assert_eq!(ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().fields().len(), 3);
}

#[test]
fn rows_keep_their_order_whatever_the_bundles_are() {
    let place = Place::new();
    let rows: String = (0..1000).map(|row| format!("{row},{}\n", row * 2)).collect();
    place.write("t.csv", format!("a,b\n{rows}"));
    let expected: String = (0..1000).map(|row| format!("{{\"add\":{}}}\n", row * 3)).collect();
    for options in ["", "--batch-size 7 --parallelism 3", "--batch-size 1000 -j 1", "--batch-size 999"] {
        let outcome = place.run(&format!("run f.py::add --input t.csv --only-result --output - {options}")).done();
        assert_eq!(outcome.stdout, expected, "{options}");
    }
    for limit in [0, 1, 7, 8, 500, 2000] {
        let line = format!("run f.py::add --input t.csv --only-result --output - --batch-size 7 --limit {limit}");
        assert_eq!(place.run(&line).done().stdout.lines().count(), limit.min(1000));
    }
}

#[test]
fn rows_that_do_not_fit_what_was_inferred_are_errors() {
    let place = Place::new();
    for (later, part) in [
        ("{\"a\": 1.5}", "1.5 is no Int64"),
        ("{\"a\": \"x\"}", "\"x\" is no Int64"),
        ("{\"a\": 1, \"new\": 2}", "'new'"),
    ] {
        let rows = format!("{{\"a\": 1}}\n{later}\n");
        place.pipe("run f.py::wrong --input - --output - --infer-rows 1", &rows).refused(1, &[part, "--infer-rows 0"]);
        // With all rows known the column is a column of floats or strings, or there is one column more.
        place.write("t.jsonl", &rows);
        place.run("run f.py::length --arg =null --input t.jsonl --output -").done();
    }
    place.write("t.csv", "a\n1\nx\n");
    place.run("run f.py::wrong --input t.csv --infer-rows 1").refused(1, &["'x'", "--infer-rows 0"]);
}
