//! The program in which the tests run sandboxes that have a process of their own: a test program's `main` is not its own,
//! so that it cannot be one.

fn main() {
    cloister::worker::run_if_asked();
    println!("an ordinary program");
}
