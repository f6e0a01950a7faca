//! The price of isolation, in pictures and numbers: `cargo run --release -p cloister-benches --bin report -- --help`.

fn main() -> anyhow::Result<()> {
    cloister_benches::report::main()
}
