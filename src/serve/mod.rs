//! lab-probe as an MCP server: answers AI clients on standard streams, both eras of the protocol, one request at a time.
//!
//! This room speaks the protocol and declares the tools; what they answer comes through [`Lab`], which a command
//! implements. It touches nothing but the two streams it is given.

mod inbox;
mod message;
mod protocol;
pub mod tools;

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

use self::inbox::{Inbox, MAX_BYTES};
use self::message::parse_error;
use self::protocol::{Version, takes_batches};
use crate::mcp::{self, RpcError};

pub trait Lab {
    /// Answers a tool whose arguments have been checked.
    /// Errors: A sentence for the client's model: what failed and what to do.
    fn call(&mut self, call: &tools::Call, client: &mut Client<'_>) -> anyhow::Result<ToolAnswer>;

    /// The text of a resource.
    fn read(&mut self, resource: tools::Resource) -> anyhow::Result<String>;
}

/// A tool's answer: for a person or model to read, and the same as data.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolAnswer {
    pub text: String,
    /// The same, by the tool's output schema.
    pub data: Value,
}

/// Answers until the input ends.
/// Errors: When the output cannot be written any more (the client is gone), or the input cannot be read.
pub fn serve(input: impl BufRead + Send + 'static, mut output: impl Write, lab: &mut dyn Lab) -> io::Result<()> {
    let mut server = Server { inbox: Inbox::open(input)?, output: &mut output, agreed: None, lab };
    while let Some(line) = server.inbox.next()? {
        if let Some(reply) = server.answer_line(&line)? {
            send(server.output, &reply)?;
        }
    }
    Ok(())
}

struct Server<'a> {
    inbox: Inbox,
    output: &'a mut dyn Write,
    agreed: Version,
    lab: &'a mut dyn Lab,
}

impl Server<'_> {
    /// The reply to one line; a batch (JSON-RPC arrays, protocol 2025-03-26 and before) gets one array.
    fn answer_line(&mut self, line: &[u8]) -> io::Result<Option<Value>> {
        let wrong = |error: RpcError| Ok(Some(mcp::failure(&Value::Null, &error)));
        match serde_json::from_slice(line) {
            _ if line.len() > MAX_BYTES => wrong(parse_error("the line is longer than this server reads")),
            _ if line.trim_ascii().is_empty() => Ok(None),
            Ok(Value::Array(batch)) if takes_batches(self.agreed) && !batch.is_empty() => {
                let replies = batch.into_iter().filter_map(|value| self.answer(value).transpose());
                let replies = replies.collect::<io::Result<Vec<Value>>>()?;
                Ok((!replies.is_empty()).then_some(Value::Array(replies)))
            }
            Ok(value) => self.answer(value),
            Err(error) => wrong(parse_error(error)),
        }
    }

    /// The reply to one message; notifications, responses and what the client has cancelled get none.
    fn answer(&mut self, value: Value) -> io::Result<Option<Value>> {
        let request = match message::read(value) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(None),
            Err((id, error)) => return Ok(Some(mcp::failure(&id, &error))),
        };
        let mut client = Client {
            request: &request.id,
            token: request.progress_token(),
            inbox: &mut self.inbox,
            output: self.output,
            cancelled: false,
            broken: None,
        };
        let reply = match protocol::answer(&mut self.agreed, &request, self.lab, &mut client) {
            Ok(result) => mcp::success(&request.id, result),
            Err(error) => mcp::failure(&request.id, &error),
        };
        match client.broken {
            Some(error) => Err(error),
            None => Ok((!client.cancelled).then_some(reply)),
        }
    }
}

/// The client that waits for the answer to a request.
pub struct Client<'a> {
    request: &'a Value,
    /// What it wants progress to be told under, if it does.
    token: Option<Value>,
    inbox: &'a mut Inbox,
    output: &'a mut dyn Write,
    cancelled: bool,
    /// Why nothing can be told it any more.
    broken: Option<io::Error>,
}

impl Client<'_> {
    /// Tells it how far a long answer is, if it has asked to be told; `done` grows with each report, up to `total`.
    pub fn progress(&mut self, done: f64, total: f64, message: &str) {
        if let (Some(token), None, false) = (&self.token, &self.broken, self.cancelled) {
            let params = json!({ "progressToken": token, "progress": done, "total": total, "message": message });
            self.broken = send(self.output, &mcp::notification("notifications/progress", params)).err();
        }
    }

    /// Whether it wants the answer no longer. A long answer asks now and then, and once told so is given up.
    pub fn has_cancelled(&mut self) -> bool {
        self.cancelled = self.cancelled || self.inbox.cancels(self.request);
        self.cancelled
    }
}

fn send(output: &mut (impl Write + ?Sized), message: &Value) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(b'\n');
    output.write_all(&bytes)?;
    output.flush()
}

#[cfg(test)]
mod tests;
