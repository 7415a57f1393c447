//! What a message is to somebody who waits for the answer to one request.

use serde_json::value::RawValue;

use super::jsonrpc::{self, Id, Message, Text};
use crate::mcp::RpcError;
use crate::redact::quoted;

#[derive(Debug)]
pub(super) enum Incoming {
    Answer(Result<Text, RpcError>),
    /// An error that names no request: of a server that could not read one.
    Anonymous(RpcError),
    /// A request of the server's: its id as it was written, and its method.
    Request(String, String),
    /// Something valid that needs no attention: a notification.
    Other,
    /// Anything else, and what is wrong with it, for people.
    Unusable(String),
}

pub(super) fn sort(message: Text, id: i64) -> Incoming {
    match jsonrpc::parse(&message.bytes) {
        Message::Response(Id::Number(number), outcome) if number == id => {
            Incoming::Answer(outcome.map(|place| message.cut(place)))
        }
        Message::Response(Id::Null, Err(error)) => Incoming::Anonymous(error),
        Message::Response(other, _) => {
            Incoming::Unusable(format!("it answers the request {other}, which was not asked"))
        }
        Message::Request(id, method) => Incoming::Request(id, method),
        Message::Notification => Incoming::Other,
        Message::Broken(what) => Incoming::Unusable(what),
        Message::Noise | Message::Embedded(_) => match answer_in_batch(&message.bytes, id) {
            Some(answer) => sort(Text { bytes: answer, ..message }, id),
            None => Incoming::Unusable("it is no JSON-RPC message".into()),
        },
    }
}

/// Of a batch, which the revision of 2025-03-26 allowed, the answer.
fn answer_in_batch(message: &[u8], id: i64) -> Option<Vec<u8>> {
    if message.trim_ascii_start().first() != Some(&b'[') {
        return None;
    }
    let batch: Vec<&RawValue> = serde_json::from_slice(message).ok()?;
    let answers =
        |item: &[u8]| matches!(jsonrpc::parse(item), Message::Response(Id::Number(number), _) if number == id);
    batch.into_iter().map(|item| item.get().as_bytes()).find(|item| answers(item)).map(<[u8]>::to_vec)
}

const METHOD_CHARACTERS: usize = 60;

impl Incoming {
    /// Why this is no answer, where nothing but the answer may come.
    pub(super) fn instead(self) -> String {
        match self {
            Incoming::Unusable(what) => what,
            Incoming::Request(_, method) => {
                format!("it is the server's own request {}", quoted(&method, METHOD_CHARACTERS))
            }
            Incoming::Other => "it is a notification".into(),
            Incoming::Answer(_) | Incoming::Anonymous(_) => "it is the answer".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn kind(message: &str) -> String {
        match sort(Text::new(message.as_bytes().to_vec(), None), 7) {
            Incoming::Answer(Ok(answer)) => format!("result {}", answer.read::<Value>().unwrap_or_default()),
            Incoming::Answer(Err(error)) => format!("error {}", error.code),
            Incoming::Anonymous(error) => format!("anonymous {}", error.code),
            Incoming::Request(id, method) => format!("request {id} {method}"),
            Incoming::Other => "other".into(),
            Incoming::Unusable(_) => "unusable".into(),
        }
    }

    #[test]
    fn the_answer_is_told_from_everything_else() {
        for (message, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#, r#"result {"a":1}"#),
            (r#" {"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"x"}} "#, "error -1"),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-2,"message":"x"}}"#, "anonymous -2"),
            (r#"{"jsonrpc":"2.0","id":8,"result":{}}"#, "unusable"),
            (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, "result {}"),
            (r#"{"jsonrpc":"2.0","id":"x7","result":{}}"#, "unusable"),
            (r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#, r#"request "a" ping"#),
            (r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, "other"),
            (
                r#"[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":7,"result":{"b":2}}]"#,
                r#"result {"b":2}"#,
            ),
            (r#"[{"jsonrpc":"2.0","id":8,"result":{}}]"#, "unusable"),
            ("<html>", "unusable"),
            ("", "unusable"),
        ] {
            assert_eq!(kind(message), expected, "{message}");
        }
    }
}
