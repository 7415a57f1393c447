//! The last few KiB of a stream of any length.

/// Bytes kept: enough for a stack trace's last lines.
const KEPT: usize = 8 << 10;

#[derive(Debug, Clone, Default)]
pub struct Tail {
    bytes: Vec<u8>,
    cut: bool,
}

impl Tail {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Only at twice the length, so that a flood in small pieces does not move everything each time.
        if self.bytes.len() > 2 * KEPT {
            self.bytes.drain(..self.bytes.len() - KEPT);
            self.cut = true;
        }
    }

    /// What was kept, as text. Where the beginning is missing, the first line kept is left out: half a line may
    /// hold half a secret, which no search for the whole one would find.
    pub fn text(&self) -> String {
        let whole = match (self.cut, self.bytes.iter().position(|&b| b == b'\n')) {
            (false, _) => &self.bytes[..],
            (true, Some(end)) => &self.bytes[end + 1..],
            (true, None) => b"(one line of more than 8 KiB)",
        };
        String::from_utf8_lossy(whole).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_of_the_end_are_kept() {
        let mut tail = Tail::default();
        assert_eq!(tail.text(), "");
        tail.push(b"a\nb");
        assert_eq!(tail.text(), "a\nb");
        for line in 0..10_000 {
            tail.push(format!("line {line}\n").as_bytes());
        }
        assert!(tail.bytes.len() <= 2 * KEPT);
        assert!(tail.text().starts_with("line ") && tail.text().ends_with("line 9999\n"));
        tail.push(&[b'x'; 100_000]);
        assert_eq!(tail.text(), "(one line of more than 8 KiB)");
    }
}
