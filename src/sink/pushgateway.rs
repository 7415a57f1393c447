//! A Pushgateway: one PUT replaces the whole group, so that series which have vanished vanish there too.
//!
//! What may be tried again is what another moment can mend: no connection, no answer in time, 429 and 5xx. A 4xx is an
//! answer. Every wait asks the deadline first, and nothing that is shown quotes a credential.

use std::io::Write;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use url::Url;

use super::retry::{self, Failure};
use super::{below, origin, read_secret};
use crate::clock::Deadline;
use crate::config::settings::PushgatewaySettings;
use crate::exit;
use crate::http::{self, Client, ErrorKind, HttpError, Method, Request, Response};
use crate::log::printable;
use crate::model::checkup::PushedGroup;
use crate::redact::{Secret, redact, shortened};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// From this size on it is worth a request to ask whether the gateway takes gzip. Smaller bodies fit a few packets.
const GZIP_FROM_BYTES: usize = 16 << 10;

/// The first Pushgateway that takes a compressed body: 1.5.0 (its changelog, 2022-11-24).
const GZIP_SINCE: (u32, u32) = (1, 5);

/// How much of an answer is read, and how much of it is shown.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
const MAX_SHOWN_CHARS: usize = 500;
const MAX_METRICS_BYTES: u64 = 32 << 20;

/// Where it goes, for people: origin and grouping, no path and no credentials.
pub fn destination(settings: &PushgatewaySettings) -> String {
    let origin = origin(&settings.url);
    let grouping = settings.grouping.iter().map(|(name, value)| format!(", {name} {value}"));
    printable(&format!("{origin} (job {}{})", settings.job, grouping.collect::<String>()))
}

/// Replaces the group with the exposition.
/// Errors: What the gateway or the network said last, how often it was tried, and what to do.
pub fn deliver(settings: &PushgatewaySettings, exposition: &str, deadline: Deadline) -> anyhow::Result<()> {
    let gateway = Gateway::new(settings)?;
    let compressed = (exposition.len() >= GZIP_FROM_BYTES && gateway.takes_gzip(deadline)).then(|| gzip(exposition));
    let request = Request::new(Method::PUT, &gateway.group).header("content-type", CONTENT_TYPE);
    let request = match &compressed {
        Some(body) => request.header("content-encoding", "gzip").body(body),
        None => request.body(exposition.as_bytes()),
    };
    gateway.send(&request, deadline)
}

/// Deletes the group; one that is not there is deleted already.
pub fn withdraw(settings: &PushgatewaySettings, deadline: Deadline) -> anyhow::Result<()> {
    let gateway = Gateway::new(settings)?;
    gateway.send(&Request::new(Method::DELETE, &gateway.group), deadline)
}

/// What the gateway holds of our group; `None` if it holds none. Queries once.
pub fn group(settings: &PushgatewaySettings, deadline: Deadline) -> anyhow::Result<Option<PushedGroup>> {
    let gateway = Gateway::new(settings)?;
    // `/api/v1/metrics` is there since 1.0: all groups with all their series come in one.
    let document = retry::until_done(0, deadline, || gateway.get("metrics", MAX_METRICS_BYTES, deadline))?;
    let mut labels = json!(settings.grouping);
    labels["job"] = json!(settings.job);
    let Some(groups) = document["data"].as_array() else {
        return Err(exit::trouble("what answers is no Pushgateway", "correct output.pushgateway.url"));
    };
    let seconds = |group: &Value, family: &str| {
        let value = group[family]["metrics"][0]["value"].as_str();
        value.and_then(|value| value.parse().ok()).unwrap_or_default()
    };
    Ok(groups.iter().find(|group| group["labels"] == labels).map(|group| PushedGroup {
        pushed_at: seconds(group, "push_time_seconds"),
        failed_at: seconds(group, "push_failure_time_seconds"),
    }))
}

struct Gateway<'a> {
    settings: &'a PushgatewaySettings,
    client: Client,
    base: Url,
    group: Url,
    /// What must not be shown, even if the gateway quotes it.
    secrets: Vec<Secret>,
}

impl<'a> Gateway<'a> {
    fn new(settings: &'a PushgatewaySettings) -> anyhow::Result<Self> {
        let mut base =
            http::parse_url(&settings.url).map_err(|e| exit::trouble(e.detail, "correct output.pushgateway.url"))?;
        let mut headers = Vec::new();
        let mut secrets = Vec::new();
        if let Some(username) = &settings.username {
            let password = settings.password_file.as_deref().map(read_secret).transpose()?.unwrap_or_default();
            // The client makes basic authentication of a URL's userinfo. Neither can fail for a URL with a host.
            let _ = base.set_username(username);
            let _ = base.set_password(Some(password.expose()));
            secrets.push(password);
        }
        if let Some(file) = &settings.bearer_token_file {
            let token = read_secret(file)?;
            headers.push(("authorization".into(), Secret::new(format!("Bearer {}", token.expose()))));
            secrets.push(token);
        }
        secrets.extend(http::secrets_of(&base, &headers));
        let group = group_url(&base, settings);
        Ok(Gateway { settings, client: Client::with(&base, headers, settings.ca_file.clone()), base, group, secrets })
    }

    /// The JSON document of a path of the API; null where the answer is none.
    fn get(&self, path: &str, most_bytes: u64, deadline: Deadline) -> Result<Value, Failure> {
        let url = below(&self.base, ["api", "v1", path]);
        let request = Request::new(Method::GET, &url);
        let unreached = |error: HttpError| self.unreached(&error);
        let mut response = self.client.send(&request, deadline.sooner(self.settings.timeout)).map_err(unreached)?;
        if !response.is_success() {
            return Err(self.refused(response));
        }
        let body = response.body.read_to_end(most_bytes).map_err(unreached)?;
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Whether the gateway says it is one that takes a compressed body. Any doubt means no.
    fn takes_gzip(&self, deadline: Deadline) -> bool {
        let status = self.get("status", MAX_ANSWER_BYTES, deadline).unwrap_or_default();
        version_in(&status).is_some_and(|version| version >= GZIP_SINCE)
    }

    fn send(&self, request: &Request<'_>, deadline: Deadline) -> anyhow::Result<()> {
        retry::until_done(self.settings.retries, deadline, || {
            match self.client.send(request, deadline.sooner(self.settings.timeout)) {
                Ok(response) if response.is_success() => Ok(()),
                Ok(response) => Err(self.refused(response)),
                Err(error) => Err(self.unreached(&error)),
            }
        })
    }

    fn refused(&self, mut response: Response) -> Failure {
        let status = response.status;
        let again = (status == 429 || status >= 500).then(|| retry::asked_to_wait(&response).unwrap_or_default());
        let is_text = response.media_type() != "text/html";
        let body = response.body.read_up_to(MAX_ANSWER_BYTES).unwrap_or_default();
        let message = redact(&String::from_utf8_lossy(&body), &self.secrets);
        let mut what = format!("the gateway answered HTTP {status}");
        if is_text && !message.trim().is_empty() {
            what.push_str(&format!(": {}", shortened(&printable(message.trim()), MAX_SHOWN_CHARS)));
        }
        let hint = match status {
            400 | 422 => "see its message; another group may hold one of our metrics with another HELP or TYPE",
            401 | 403 => "check username and password_file, or bearer_token_file",
            404 | 405 => "check the URL: /metrics/job/… is put after it",
            413 => "let the proxy before the gateway take larger bodies",
            _ => "see the gateway's log; the next pass pushes again",
        };
        Failure { what, hint: hint.into(), again }
    }

    fn unreached(&self, error: &HttpError) -> Failure {
        let hint = match error.kind {
            ErrorKind::Connect => "start the Pushgateway or correct output.pushgateway.url",
            ErrorKind::Shortage => "raise the limit on open files (LimitNOFILE= of the unit, ulimit -n)",
            ErrorKind::Tls => "name the authority that signed its certificate in output.pushgateway.ca_file",
            ErrorKind::Timeout => "see why it is slow, or raise output.pushgateway.timeout",
            ErrorKind::Request | ErrorKind::Redirect => "correct output.pushgateway.url",
            // Debian 13's Pushgateway dies over the line it logs of a push that it refuses.
            ErrorKind::Protocol | ErrorKind::TooLarge => {
                "check that a Pushgateway listens there and see its log; 1.11.0 hangs up where another group holds one of \
                 our metrics with another TYPE"
            }
        };
        let again =
            matches!(error.kind, ErrorKind::Connect | ErrorKind::Shortage | ErrorKind::Timeout | ErrorKind::Protocol);
        let hint = error.hint.unwrap_or(hint).into();
        Failure { what: redact(&error.detail, &self.secrets), hint, again: again.then_some(Duration::ZERO) }
    }
}

/// `…/metrics/job/JOB/LABEL/VALUE…`.
fn group_url(base: &Url, settings: &PushgatewaySettings) -> Url {
    let job = std::iter::once(("job", settings.job.as_str()));
    let labels = settings.grouping.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let segments: Vec<String> = job.chain(labels).flat_map(|(name, value)| grouping_segments(name, value)).collect();
    below(base, ["metrics"].into_iter().chain(segments.iter().map(String::as_str)))
}

/// One grouping label as two path segments, in base64 where the value cannot be a segment of its own: empty, with a
/// slash, one that everybody on the way may resolve (`.`, `..`), or with a tab or line break, which a URL drops. The
/// URL percent-encodes the rest.
fn grouping_segments(name: &str, value: &str) -> [String; 2] {
    if !matches!(value, "" | "." | "..") && !value.contains(|c: char| c == '/' || c.is_control()) {
        return [name.into(), value.into()];
    }
    // The API's own word for the empty value.
    let encoded = if value.is_empty() { "=".into() } else { BASE64_URL_SAFE_NO_PAD.encode(value) };
    [format!("{name}@base64"), encoded]
}

fn version_in(status: &Value) -> Option<(u32, u32)> {
    let version = status.pointer("/data/build_information/version")?.as_str()?;
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory cannot fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, grouping: &[(&str, &str)]) -> PushgatewaySettings {
        PushgatewaySettings {
            url: Secret::new(url),
            job: "lab_probe".into(),
            grouping: grouping.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            username: None,
            password_file: None,
            bearer_token_file: None,
            ca_file: None,
            timeout: Duration::from_secs(1),
            retries: 0,
        }
    }

    #[test]
    fn the_group_is_encoded_as_the_api_wants_it() {
        for (base, grouping, path) in [
            ("http://h:9091", &[("instance", "lab")][..], "/metrics/job/lab_probe/instance/lab"),
            ("http://h:9091/", &[], "/metrics/job/lab_probe"),
            ("http://h/push/", &[("a", "b c"), ("d", "é?#%")], "/push/metrics/job/lab_probe/a/b%20c/d/%C3%A9%3F%23%25"),
            ("http://h", &[("i", "a\tb\n")], "/metrics/job/lab_probe/i@base64/YQliCg"),
            ("http://h", &[("dir", "/var/tmp")], "/metrics/job/lab_probe/dir@base64/L3Zhci90bXA"),
            ("http://h", &[("e", ""), ("up", "..")], "/metrics/job/lab_probe/e@base64/=/up@base64/Li4"),
        ] {
            let url = group_url(&Url::parse(base).expect("a URL"), &settings(base, grouping));
            assert_eq!(url.path(), path);
        }
    }

    #[test]
    fn no_credential_shows_where_it_goes() {
        let shown = destination(&settings("http://user:s3cret@h:9091/secret-path", &[("instance", "lab")]));
        assert_eq!(shown, "http://h:9091 (job lab_probe, instance lab)");
        assert_eq!(destination(&settings("nonsense", &[])), "(no usable URL) (job lab_probe)");
    }

    #[test]
    fn a_secret_is_the_files_text_without_its_line_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("password");
        std::fs::write(&file, " pass word \r\n").expect("written");
        assert_eq!(read_secret(&file).expect("read").expose(), " pass word ");
        for (contents, sentence) in
            [(&b"\n"[..], "is empty"), (b"\xff", "is not UTF-8"), (&[b'x'; 100_000], "larger than")]
        {
            std::fs::write(&file, contents).expect("written");
            let error = format!("{:#}", read_secret(&file).expect_err("refused"));
            assert!(error.contains(sentence), "{error}");
        }
        assert!(read_secret(&directory.path().join("none")).expect_err("refused").to_string().contains("cannot read"));
    }

    #[test]
    fn only_a_gateway_that_says_so_gets_gzip() {
        let status =
            |version: &str| json!({ "status": "success", "data": { "build_information": { "version": version } } });
        assert_eq!(version_in(&status("1.11.2")), Some((1, 11)));
        assert!(version_in(&status("1.4.3")) < Some(GZIP_SINCE));
        for odd in [json!("<html>"), json!({}), status("next"), status("1")] {
            assert_eq!(version_in(&odd), None);
        }
    }
}
