//! Thread mode's two ways, the direct one and the one by frames: the same values, the same errors.

#[test]
fn both_ways_agree() {
    cloister_tests::ways::agree_on_everything(cloister::ExecutionMode::Thread);
}
