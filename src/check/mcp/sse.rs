//! Event streams as the WHATWG HTML standard defines them (section 9.2), fed in whatever chunks arrive.
//!
//! Only what a client of MCP needs is kept: an event's name and data. `id` and `retry` are for reconnecting, which a
//! check never does.

use std::collections::VecDeque;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// `message` unless the stream says otherwise.
    pub(super) name: String,
    pub(super) data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

#[derive(Debug, Default)]
pub(super) struct Parser {
    limit: usize,
    line: Vec<u8>,
    /// Inside a comment line, whose bytes are dropped as they come: a stream may send those for ever.
    in_comment: bool,
    /// The last byte was a carriage return: a line feed right behind it belongs to the same line end.
    after_cr: bool,
    /// The first line has ended: what comes is no byte order mark any more.
    begun: bool,
    name: Vec<u8>,
    data: Vec<u8>,
    ready: VecDeque<Event>,
}

impl Parser {
    pub(super) fn new(limit: usize) -> Self {
        Parser { limit, ..Parser::default() }
    }

    pub(super) fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    pub(super) fn held(&self) -> usize {
        self.line.len() + self.data.len() + self.name.len()
    }

    /// Takes some bytes in.
    /// Errors: [`TooLong`] when an unfinished event has passed the limit; the stream cannot be read any further then.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.take_part(part)?;
            bytes = rest;
            if let Some((&end, rest)) = rest.split_first() {
                bytes = rest;
                self.after_cr = end == b'\r';
                self.end_line();
            }
        }
        Ok(())
    }

    fn take_part(&mut self, part: &[u8]) -> Result<(), TooLong> {
        if self.line.is_empty() && !self.in_comment && part.first() == Some(&b':') {
            self.in_comment = true;
        }
        if self.in_comment {
            return Ok(());
        }
        if self.held() + part.len() > self.limit {
            return Err(TooLong);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.in_comment) {
            self.begun = true;
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            self.dispatch();
            return;
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = value.to_vec(),
            b"data" if self.data.is_empty() => {
                // The usual event has one long line: it becomes the data without being copied.
                let start = line.len() - value.len();
                line.drain(..start);
                line.push(b'\n');
                self.data = line;
            }
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        // No data line at all: the standard dispatches nothing and forgets the name.
        if data.pop().is_none() {
            return;
        }
        let name = if name.is_empty() { "message".into() } else { String::from_utf8_lossy(&name).into_owned() };
        self.ready.push_back(Event { name, data });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(chunks: &[&[u8]], limit: usize) -> Result<Vec<Event>, TooLong> {
        let mut parser = Parser::new(limit);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.feed(chunk)?;
            events.extend(std::iter::from_fn(|| parser.next()));
        }
        Ok(events)
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn streams_read_as_the_standard_says() {
        let cases: &[(&str, &[Event])] = &[
            ("data: a\n\n", &[event("message", "a")]),
            ("data:a\r\n\r\n", &[event("message", "a")]),
            ("data: a\r\rdata: b\r\r", &[event("message", "a"), event("message", "b")]),
            ("data: a\r\n\rdata: b\n\r\n", &[event("message", "a"), event("message", "b")]),
            ("event: endpoint\ndata: /m?x=1\n\n", &[event("endpoint", "/m?x=1")]),
            ("data: a\ndata:  b\ndata\n\n", &[event("message", "a\n b\n")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[event("message", "a")]),
            (": hello\n\n:\ndata: a\n: again\n\n", &[event("message", "a")]),
            ("id: 7\nretry: 5\ndata:\n\n", &[event("message", "")]),
            ("event: x\n\ndata: a\n\n", &[event("message", "a")]),
            ("nonsense\nmore: of it\n\n", &[]),
            ("data: never finished\n", &[]),
        ];
        for (stream, expected) in cases {
            assert_eq!(parse(&[stream.as_bytes()], 1000).as_deref(), Ok(*expected), "{stream:?}");
        }
    }

    #[test]
    fn a_long_line_and_many_short_ones_end_at_the_limit_but_comments_do_not_count() {
        assert_eq!(parse(&[b"data: ", &[b'x'; 100]], 50), Err(TooLong));
        let many = "data: x\n".repeat(100);
        assert_eq!(parse(&[many.as_bytes()], 50), Err(TooLong));
        let comments = format!(":{}\n", "c".repeat(1000)).repeat(10);
        assert_eq!(parse(&[comments.as_bytes(), b"data: a\n\n"], 50), Ok(vec![event("message", "a")]));
        assert_eq!(parse(&["data: ok\n\n".repeat(100).as_bytes()], 50).map(|events| events.len()), Ok(100));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(
            lines in prop::collection::vec("(data: ?|event:|id: |:|\u{feff}|)[ a-z:\u{e9}]{0,5}(\n|\r|\r\n|\n\n)", 0..20),
            cuts in prop::collection::vec(0_usize..200, 0..20),
        ) {
            let stream = lines.concat().into_bytes();
            let whole = parse(&[&stream], 10_000);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut <= stream.len()).collect();
            cuts.push(0);
            cuts.push(stream.len());
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&chunks, 10_000), whole.clone());
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(parse(&bytes, 10_000), whole);
        }

        #[test]
        fn written_messages_read_back(messages in prop::collection::vec("[^\r\n]{0,40}", 0..10)) {
            let stream: String = messages.iter().map(|message| format!("data: {message}\r\n\r\n")).collect();
            let expected: Vec<Event> = messages.iter().map(|message| event("message", message)).collect();
            prop_assert_eq!(parse(&[stream.as_bytes()], 10_000), Ok(expected));
        }
    }
}
