//! What a body brings: one message, or an event stream as the WHATWG HTML standard defines it (section 9.2).
//!
//! Of an event only what a client of MCP needs is kept: its name and data. `id` and `retry` are for reconnecting, which a
//! check never does.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use memchr::{memchr, memchr2};

use super::jsonrpc::Text;
use super::limits::{MESSAGE_BYTES, MESSAGE_TOO_LARGE, MemoryPermit, SMALL_BYTES, STALLED};
use crate::clock::Deadline;
use crate::http::{Body, ErrorKind, HttpError, ReadUntil};

/// What some frameworks put before text; every client drops it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const CHUNK: usize = 16 << 10;

/// Reads on in a message only under the permit, once it is large.
#[derive(Debug)]
struct Permitted<R> {
    source: R,
    deadline: Deadline,
    /// Bytes of the message that have come.
    held: usize,
    permit: Option<MemoryPermit>,
}

impl<R: Read> Read for Permitted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let timeout = |why| Err(HttpError::new(ErrorKind::Timeout, why).into());
        if self.held <= SMALL_BYTES {
            self.permit = None;
        } else if self.permit.is_none() {
            self.permit = MemoryPermit::take(self.deadline);
            if self.permit.is_none() {
                return timeout("no time left while another large message was read");
            }
        }
        let until = self.permit.as_mut().map_or(self.deadline, |permit| permit.until(self.held).min(self.deadline));
        let _until = ReadUntil::new(until);
        match self.source.read(into) {
            Err(_) if until.passed() && !self.deadline.passed() => timeout(STALLED),
            read => read.inspect(|amount| self.held += amount),
        }
    }
}

/// Reads a whole body as one message.
/// Errors: What the body's reader says; [`ErrorKind::TooLarge`] past [`MESSAGE_BYTES`]; [`ErrorKind::Timeout`] when a large one
/// was not permitted in time.
pub(super) fn read_message(body: Body, deadline: Deadline) -> Result<Text, HttpError> {
    let mut reader = Permitted { source: body, deadline, held: 0, permit: None };
    let mut message = Vec::new();
    reader.by_ref().take(MESSAGE_BYTES as u64 + 1).read_to_end(&mut message)?;
    if message.len() > MESSAGE_BYTES {
        return Err(HttpError::new(ErrorKind::TooLarge, MESSAGE_TOO_LARGE));
    }
    if message.starts_with(BYTE_ORDER_MARK) {
        message.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(Text::new(message, reader.permit))
}

/// An event stream while it is being read.
#[derive(Debug)]
pub(super) struct Events<R = Body> {
    reader: BufReader<Permitted<R>>,
    limit: usize,
    /// The last line ended with a carriage return: a line feed right behind it belongs to the same line end.
    after_cr: bool,
    begun: bool,
}

impl<R: Read> Events<R> {
    /// No event may be longer than `limit` bytes.
    pub(super) fn new(source: R, limit: usize) -> Self {
        let reader = Permitted { source, deadline: Deadline::after(Duration::ZERO), held: 0, permit: None };
        Events { reader: BufReader::with_capacity(CHUNK, reader), limit, after_cr: false, begun: false }
    }

    /// The name (`message` unless the stream says otherwise) and data of the next event; `None` at the end of the stream.
    /// Errors: As [`read_message`]; the stream cannot be read any further then.
    pub(super) fn next(&mut self, deadline: Deadline) -> Result<Option<(String, Text)>, HttpError> {
        self.reader.get_mut().deadline = deadline;
        let (mut name, mut data) = (Vec::new(), Vec::new());
        while let Some(mut line) = self.line(name.len() + data.len())? {
            if line.is_empty() {
                if data.pop().is_some() {
                    let name = if name.is_empty() { "message".into() } else { String::from_utf8_lossy(&name).into() };
                    let permit = self.reader.get_mut().permit.take_if(|_| data.len() > SMALL_BYTES);
                    return Ok(Some((name, Text::new(data, permit))));
                }
                // No data line at all: the standard dispatches nothing and forgets the name.
                name.clear();
                continue;
            }
            let colon = memchr(b':', &line).unwrap_or(line.len());
            let after = line.len().min(colon + 1);
            let start = after + usize::from(line[after..].starts_with(b" "));
            match &line[..colon] {
                b"event" => name = line.split_off(start),
                // The usual event has one long line: it becomes the data without being copied.
                b"data" if data.is_empty() => {
                    data = line;
                    data.drain(..start);
                    data.push(b'\n');
                }
                b"data" => {
                    data.extend_from_slice(&line[start..]);
                    data.push(b'\n');
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// The next line, which CR, LF or both end; `None` at the end of the stream. Of a comment only its colon is kept: a
    /// stream may send those for ever. `held` bytes of the event have come before.
    fn line(&mut self, held: usize) -> Result<Option<Vec<u8>>, HttpError> {
        let mut line = Vec::new();
        loop {
            self.reader.get_mut().held = held + line.len();
            let input = self.reader.fill_buf()?;
            let Some(&first) = input.first() else { return Ok(None) };
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                self.reader.consume(1);
                continue;
            }
            let end = memchr2(b'\n', b'\r', input);
            let part = &input[..end.unwrap_or(input.len())];
            if line.is_empty() || line[0] != b':' {
                line.extend_from_slice(if part.first() == Some(&b':') && line.is_empty() { b":" } else { part });
            }
            if held + line.len() > self.limit {
                return Err(HttpError::new(ErrorKind::TooLarge, MESSAGE_TOO_LARGE));
            }
            let used = end.map_or(input.len(), |end| end + 1);
            self.after_cr = end.is_some_and(|end| input[end] == b'\r');
            self.reader.consume(used);
            if end.is_some() {
                if !std::mem::replace(&mut self.begun, true) && line.starts_with(BYTE_ORDER_MARK) {
                    line.drain(..BYTE_ORDER_MARK.len());
                }
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives one chunk a read.
    struct Chunks<'a>(std::vec::IntoIter<&'a [u8]>);

    impl Read for Chunks<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let chunk = self.0.find(|chunk| !chunk.is_empty()).unwrap_or_default();
            into[..chunk.len()].copy_from_slice(chunk);
            Ok(chunk.len())
        }
    }

    fn parse(chunks: &[&[u8]], limit: usize) -> Result<Vec<(String, String)>, ErrorKind> {
        let chunks: Vec<&[u8]> = chunks.iter().flat_map(|chunk| chunk.chunks(CHUNK)).collect();
        let mut events = Events::new(Chunks(chunks.into_iter()), limit);
        let mut read = Vec::new();
        let deadline = Deadline::after(Duration::from_secs(60));
        while let Some((name, data)) = events.next(deadline).map_err(|error| error.kind)? {
            read.push((name, String::from_utf8_lossy(&data.bytes).into_owned()));
        }
        Ok(read)
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.into(), data.into())
    }

    #[test]
    fn streams_read_as_the_standard_says() {
        let cases: &[(&str, &[(String, String)])] = &[
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
        assert_eq!(parse(&[b"data: ", &[b'x'; 100]], 50), Err(ErrorKind::TooLarge));
        let many = "data: x\n".repeat(100);
        assert_eq!(parse(&[many.as_bytes()], 50), Err(ErrorKind::TooLarge));
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
            let expected: Vec<(String, String)> = messages.iter().map(|message| event("message", message)).collect();
            prop_assert_eq!(parse(&[stream.as_bytes()], 10_000), Ok(expected));
        }
    }
}
