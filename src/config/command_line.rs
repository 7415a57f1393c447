//! Settings that a command line changes: read by the same rules as the file.

use std::path::Path;

use toml::Value;
use url::Url;

use super::diagnose::ConfigError;
use super::environment::HostEnvironment;
use super::judge;
use super::settings::PushgatewaySettings;
use crate::redact::Secret;

/// The Pushgateway that `--pushgateway URL` means: what is configured, at that address. Credentials are kept only if
/// it is the address they were configured for.
pub fn pushgateway(url: &str, configured: Option<&PushgatewaySettings>) -> Result<PushgatewaySettings, ConfigError> {
    let option = Path::new("--pushgateway");
    let environment = HostEnvironment::of_process();
    let text = format!("[output.pushgateway]\nurl = {}\n", Value::String(url.to_owned()));
    let asked = judge(option, false, &text, &environment)?.output.pushgateway;
    let asked = asked.ok_or_else(|| ConfigError::whole(option, "a variable in it is not set and has no default"))?;
    let Some(mut gateway) = configured.cloned() else { return Ok(asked) };
    if !same_origin(&gateway.url, &asked.url) {
        gateway = PushgatewaySettings {
            username: None,
            password_file: None,
            bearer_token_file: None,
            ca_file: None,
            ..gateway
        };
    }
    Ok(PushgatewaySettings { url: asked.url, ..gateway })
}

fn same_origin(a: &Secret, b: &Secret) -> bool {
    match (Url::parse(a.expose()), Url::parse(b.expose())) {
        (Ok(a), Ok(b)) => a.origin() == b.origin(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_on_the_command_line_is_held_to_the_rules_of_the_file() {
        let push = pushgateway("http://127.0.0.1:9092", None).expect("taken");
        assert_eq!((push.job.as_str(), push.url.expose()), ("lab_probe", "http://127.0.0.1:9092"));
        for bad in ["", "ftp://x/", "127.0.0.1:9091", "http://a b/", "http://x/?q"] {
            let error = pushgateway(bad, None).expect_err(bad);
            assert!(error.to_string().contains("--pushgateway"), "{error}");
        }
    }

    #[test]
    fn credentials_do_not_follow_to_another_address() {
        let mut configured = pushgateway("http://a:1", None).expect("taken");
        configured.username = Some("u".into());
        configured.job = "j".into();
        let elsewhere = pushgateway("http://b:1", Some(&configured)).expect("taken");
        assert_eq!((elsewhere.username, elsewhere.job.as_str()), (None, "j"));
        let same = pushgateway("http://a:1/prefix", Some(&configured)).expect("taken");
        assert_eq!(same.username.as_deref(), Some("u"));
    }
}
