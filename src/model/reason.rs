//! Why an MCP server is not usable: a closed set, the same in labels, tables, JSON and `lab-probe explain`.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($variant:ident $name:literal $meaning:literal $remedy:literal)*) => {
        words! {
            /// Why a target is down or not configured. The set is closed: it is a label value, and alerts name it.
            Reason { $(#[doc = $meaning] $variant = $name),* }
        }

        impl Reason {
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$variant => $meaning),* }
            }

            pub fn remedy(self) -> &'static str {
                match self { $(Reason::$variant => $remedy),* }
            }
        }
    };
}

reasons! {
    NotConfigured "not_configured"
        "the server is expected, but no client config names it, or its health script says that it is not set up"
        "add it to a client config or to [[mcp.server]], or take it out of `expected`"
    Disabled "disabled"
        "the client config or lab-probe's own config has switched the server off"
        "switch it on where it is switched off, or leave it: it raises no alert"
    Untrusted "untrusted"
        "the server stands in a project's config file, which can come with a cloned repository, and nobody has allowed it to be started"
        "read the file, then run `lab-probe trust FILE`, or name the file in `mcp.config_files`"
    NeedsInput "needs_input"
        "the server's config asks for interactive input (`${input:…}`), which an unattended check cannot give"
        "give the value through an environment variable, or add the server by hand under [[mcp.server]]"
    MissingEnv "missing_env"
        "the server's config uses an environment variable that is not set and has no default; nothing was started or sent"
        "set the variable in the environment lab-probe runs in (for the timer: the unit's environment file)"
    AuthRequired "auth_required"
        "the server answered HTTP 401 or 403 and no credential is configured: it is alive, but not usable"
        "configure a header or token for it, or leave it to the client's own login"
    Unauthorized "unauthorized"
        "a credential was sent and the server refused it"
        "renew the token or key that the config sends"
    CommandNotFound "command_not_found"
        "the command is not an executable file on the PATH the check used"
        "install it, give its full path, or extend PATH (for the timer: in the unit's environment file)"
    SpawnFailed "spawn_failed"
        "the process could not be started, for example because its working directory is missing"
        "read the sentence beside it: it names what the operating system refused"
    Exited "exited"
        "the process ended before it had answered"
        "read its last lines on standard error, beside the reason, or run the command by hand"
    Timeout "timeout"
        "no answer within the time allowed"
        "run the command by hand; a slow server needs a larger `timeout`"
    ProtocolError "protocol_error"
        "what the server sent is not valid MCP"
        "check that the command or URL really is an MCP server, and update it"
    RpcError "rpc_error"
        "the server answered a needed request with a JSON-RPC error"
        "read the error beside it; the server runs, but cannot do its work"
    HttpStatus "http_status"
        "the server answered with an HTTP status that is no success, or with a redirect that is not followed"
        "check the URL, path included"
    ConnectFailed "connect_failed"
        "no connection: the name does not resolve, nothing listens there, or the network is away"
        "start the server or correct host and port"
    TlsError "tls_error"
        "the TLS handshake failed, mostly over a certificate"
        "renew the certificate, or name the issuing authority in `ca_file`"
    TooLarge "too_large"
        "the server sent more than the limits allow (16 MiB a message, 64 MiB a check)"
        "find out what it sends; no client will be happy with it either"
    ScriptFailed "script_failed"
        "the health script ended with an exit code other than 0 and 2, or did not run"
        "run the script by hand and read what it prints"
}

impl Reason {
    /// Whether a server with this reason is "not configured" (2) rather than down (0).
    ///
    /// A health script's exit 2 carries [`Reason::NotConfigured`].
    pub fn is_not_configured(self) -> bool {
        matches!(
            self,
            Reason::NotConfigured
                | Reason::Disabled
                | Reason::Untrusted
                | Reason::NeedsInput
                | Reason::MissingEnv
                | Reason::AuthRequired
        )
    }
}

/// A reason with the evidence a person needs. The evidence never becomes a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {detail}", .reason.as_str())]
pub struct Failure {
    pub reason: Reason,
    /// What was seen: exit code and last lines of stderr, HTTP status, the JSON-RPC error. One line, secrets taken out.
    pub detail: String,
    /// What to do, where more is known than [`Reason::remedy`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether this machine was short of descriptors, processes or memory: that tells nothing of the target.
    #[serde(skip)]
    pub is_shortage: bool,
}

impl Failure {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Failure { reason, detail: detail.into(), hint: None, is_shortage: false }
    }

    pub fn if_shortage(self, is_shortage: bool) -> Self {
        Failure { is_shortage, ..self }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do: the hint of its own, else the reason's remedy.
    pub fn hint(&self) -> &str {
        self.hint.as_deref().unwrap_or_else(|| self.reason.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_round_trips_through_its_label_and_serde() {
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_word(reason.as_str()), Some(reason));
            assert_eq!(serde_json::to_string(&reason).expect("json"), format!("{:?}", reason.as_str()));
        }
    }
}
