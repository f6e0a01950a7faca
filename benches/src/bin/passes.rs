//! A workload of the report, so many times in one mode, and nothing else: for profilers, which want to see the same work
//! in every run. `cargo run --release --bin passes -- MODE WORKLOAD COUNT`.

fn main() -> anyhow::Result<()> {
    cloister::worker::run_if_asked();
    cloister_benches::report::passes(&std::env::args().skip(1).collect::<Vec<_>>())
}
