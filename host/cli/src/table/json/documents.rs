//! Any layout of JSON objects as one object a line: an array's elements, or objects one after another, over as many
//! lines as they like. Looks only at brackets, commas and strings; whether the JSON is right is the reader's business.

use std::io::{self, Read};

/// A reader that gives one line for each object of `inner`.
pub struct Documents<R> {
    inner: R,
    /// Open brackets, the outer array's included.
    depth: usize,
    /// The whole is an array: its elements are at depth 1.
    array: bool,
    started: bool,
    in_string: bool,
    escaped: bool,
}

impl<R: Read> Documents<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Documents { inner, depth: 0, array: false, started: false, in_string: false, escaped: false }
    }

    /// The byte to give for `byte`. Every byte stays one byte, so that the work is in place.
    fn turn(&mut self, byte: u8) -> io::Result<u8> {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return Ok(byte);
        }
        if byte.is_ascii_whitespace() {
            return Ok(if self.depth == 0 { b'\n' } else { b' ' });
        }
        if !self.started {
            self.started = true;
            self.array = byte == b'[';
        } else if self.array && self.depth == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "text after the end of the JSON array"));
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => {
                self.depth += 1;
                if self.array && self.depth == 1 {
                    return Ok(b' ');
                }
            }
            b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                if self.array && self.depth == 0 {
                    return Ok(b'\n');
                }
            }
            b',' if self.array && self.depth == 1 => return Ok(b'\n'),
            _ => {}
        }
        Ok(byte)
    }
}

impl<R: Read> Read for Documents<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for byte in &mut buffer[..read] {
            *byte = self.turn(*byte)?;
        }
        if read == 0 && self.array && self.depth > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the JSON array is not closed"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> io::Result<Vec<String>> {
        let mut out = String::new();
        Documents::new(text.as_bytes()).read_to_string(&mut out)?;
        Ok(out.lines().map(|line| line.replace(' ', "")).filter(|line| !line.is_empty()).collect())
    }

    #[test]
    fn each_object_becomes_a_line() {
        for (text, expected) in [
            ("[{\"a\": 1},\n {\"a\":\n [1, 2]}]\n", vec!["{\"a\":1}", "{\"a\":[1,2]}"]),
            ("{\"a\":\n1}\n\n{\"a\":2}", vec!["{\"a\":1}", "{\"a\":2}"]),
            ("[{\"a\": \"x],\\\"{[\\\\\"}]", vec!["{\"a\":\"x],\\\"{[\\\\\"}"]),
            ("[]", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(lines(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_cut_array_and_text_after_it_are_errors() {
        assert!(lines("[{\"a\": 1},").is_err());
        assert!(lines("[{\"a\": 1}] {}").is_err());
    }
}
