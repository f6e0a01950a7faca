//! The price of isolation, in pictures and numbers: `cargo run --release --bin report -- --help`.

fn main() -> anyhow::Result<()> {
    cloister::worker::run_if_asked();
    // The abuse suite starts this program again, as the host process of its cases.
    if cloister_isolation::serve()? {
        return Ok(());
    }
    cloister_benches::report::main()
}
