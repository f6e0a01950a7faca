//! Looks through what came from hostile code (values, messages, logs) for what must not be there.

use crate::bait::Bait;
use crate::case::Breach;

/// The most bytes that a message may have: far more than any, and less than what harms who shows it.
const MOST_MESSAGE: usize = 64 << 10;

/// Parts of a backtrace or a panic of the host.
const HOST_WORDS: &[&str] = &["panicked at", "stack backtrace", "RUST_BACKTRACE", ".cargo/registry", "/rustc/", ".rs:"];

/// What is wrong with a value that hostile code gave.
pub fn value(text: &str, bait: &Bait, found: &mut Vec<(Breach, String)>) {
    secrets("a value", text, bait, found);
    // A convention of the cases: so begins what a function says that has got what it must not have.
    if text.trim_start_matches(['"', '[']).starts_with("reached") {
        found.push((Breach::Reaches, text.chars().take(200).collect()));
    }
}

/// What is wrong with an error's message.
pub fn message(text: &str, bait: &Bait, found: &mut Vec<(Breach, String)>) {
    secrets("a message", text, bait, found);
    for word in bait.paths().iter().map(String::as_str).chain(HOST_WORDS.iter().copied()) {
        if text.contains(word) {
            found.push((Breach::Leaks, format!("a message holds {word:?}: {}", start(text))));
        }
    }
    if text.len() > MOST_MESSAGE {
        found.push((Breach::Floods, format!("a message of {} bytes", text.len())));
    }
    control("a message", text, found);
}

/// What is wrong with a job's log, of which `limit` bytes are kept.
pub fn log(text: &str, limit: usize, bait: &Bait, found: &mut Vec<(Breach, String)>) {
    secrets("a log", text, bait, found);
    // Escaping makes at most eight bytes of one.
    if text.len() > limit.saturating_mul(8) {
        found.push((Breach::Floods, format!("a log of {} bytes", text.len())));
    }
    control("a log", text, found);
}

fn secrets(place: &str, text: &str, bait: &Bait, found: &mut Vec<(Breach, String)>) {
    for secret in bait.secrets().iter().filter(|secret| text.contains(secret.as_str())) {
        let kind = secret.split('-').next().unwrap_or_default();
        found.push((Breach::Leaks, format!("{place} holds the {kind} secret")));
    }
}

fn control(place: &str, text: &str, found: &mut Vec<(Breach, String)>) {
    if let Some(character) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        found.push((Breach::Floods, format!("{place} holds the control character {}", character.escape_unicode())));
    }
}

fn start(text: &str) -> String {
    text.chars().take(300).collect()
}
