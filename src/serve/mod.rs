//! lab-probe as an MCP server: answers AI clients on standard streams, both eras of the protocol, one request at a time.
//!
//! This room speaks the protocol and declares the tools; what they answer comes through [`Lab`], which a command
//! implements. It touches nothing but the two streams it is given.

mod line;
mod message;
mod protocol;
pub mod tools;

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

use self::line::{Line, read_line};
use self::message::{Incoming, RpcError};
use self::protocol::{Answering, Session};

/// What the tools and resources answer from.
pub trait Lab {
    /// Answers a tool whose arguments have been checked. `progress` is told now and then how far a long answer is.
    ///
    /// # Errors
    /// A sentence for the client's model: what failed and what to do.
    fn call(&mut self, call: &tools::Call, progress: &mut dyn FnMut(Progress)) -> Result<Answer, String>;

    /// The text of a resource.
    ///
    /// # Errors
    /// A sentence on why it cannot be had.
    fn read(&mut self, resource: tools::Resource) -> Result<String, String>;
}

/// A tool's answer: for a person or model to read, and the same as data.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Text.
    pub text: String,
    /// The same, by the tool's output schema.
    pub data: Value,
}

/// How far a long answer is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Grows with each report.
    pub done: f64,
    /// What `done` ends at, if known.
    pub total: Option<f64>,
    /// One sentence.
    pub message: String,
}

/// Answers until the input ends.
///
/// # Errors
/// When the output cannot be written any more (the client is gone), or the input cannot be read.
pub fn serve(mut input: impl BufRead, mut output: impl Write, lab: &mut dyn Lab) -> io::Result<()> {
    let mut session = Session::default();
    let mut buffer = Vec::new();
    loop {
        let replies = match read_line(&mut input, &mut buffer)? {
            Line::End => return Ok(()),
            Line::TooLong => vec![message::failure(&Value::Null, &RpcError::too_long())],
            Line::Whole if buffer.iter().all(u8::is_ascii_whitespace) => continue,
            Line::Whole => answer_line(&buffer, &mut session, lab, &mut output)?,
        };
        for reply in replies {
            send(&mut output, &reply)?;
        }
    }
}

/// The replies to one line; a batch (JSON-RPC arrays, protocol 2025-03-26 and before) gets one array.
fn answer_line(
    bytes: &[u8],
    session: &mut Session,
    lab: &mut dyn Lab,
    output: &mut dyn Write,
) -> io::Result<Vec<Value>> {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return Ok(vec![message::failure(&Value::Null, &RpcError::parse(&error))]),
    };
    match value {
        Value::Array(batch) if session.takes_batches() && !batch.is_empty() => {
            let mut replies = Vec::new();
            for value in batch {
                replies.extend(answer(value, session, lab, output)?);
            }
            Ok(if replies.is_empty() { Vec::new() } else { vec![Value::Array(replies)] })
        }
        value => Ok(answer(value, session, lab, output)?.into_iter().collect()),
    }
}

/// The reply to one message; notifications and responses get none.
fn answer(value: Value, session: &mut Session, lab: &mut dyn Lab, output: &mut dyn Write) -> io::Result<Option<Value>> {
    let request = match message::classify(value) {
        Incoming::Request(request) => request,
        Incoming::Nothing => return Ok(None),
        Incoming::Invalid(id, error) => return Ok(Some(message::failure(&id, &error))),
    };
    let token = request.progress_token();
    let mut broken = None;
    let mut progress = |progress: Progress| {
        if let (Some(token), None) = (&token, &broken) {
            broken = send(output, &progress_notification(token, &progress)).err();
        }
    };
    let reply = match session.answer(&request, &mut Answering { lab, progress: &mut progress }) {
        Ok(result) => message::success(&request.id, result),
        Err(error) => message::failure(&request.id, &error),
    };
    match broken {
        Some(error) => Err(error),
        None => Ok(Some(reply)),
    }
}

fn progress_notification(token: &Value, progress: &Progress) -> Value {
    let mut params = json!({ "progressToken": token, "progress": progress.done, "message": progress.message });
    if let Some(total) = progress.total {
        params["total"] = json!(total);
    }
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
}

/// One message, one line.
fn send(output: &mut (impl Write + ?Sized), message: &Value) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(b'\n');
    output.write_all(&bytes)?;
    output.flush()
}

#[cfg(test)]
mod tests;
