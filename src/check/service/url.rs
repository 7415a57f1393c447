//! A service behind a URL: its status, its body, and when its certificate ends.

use regex_lite::Regex;

use crate::clock::{self, Deadline};
use crate::http::{self, Client, Method, Request, Response};
use crate::model::reason::{Failure, Reason};
use crate::model::service::{HttpProbe, ServiceFacts};
use crate::redact::{Secret, quoted, redact};

/// A body is searched this far: health endpoints say what they have to say at once.
const MOST_BODY_BYTES: u64 = 1 << 20;

pub(super) fn check(probe: &HttpProbe, deadline: Deadline) -> ServiceFacts {
    let url = match http::parse_url(&probe.url) {
        Ok(url) => url,
        Err(error) => return ServiceFacts::failed(error.into()),
    };
    let client = Client::with(&url, probe.headers.clone(), probe.ca_file.clone());
    let began = clock::instant();
    let mut request = Request::new(Method::GET, &url);
    // Whoever expects a redirect wants to see it, not where it leads.
    request.follow = !probe.expect_status.iter().any(|status| (300..400).contains(status));
    let secrets = http::secrets_of(&url, &probe.headers);
    let found = client.send(&request, deadline).map_err(Failure::from);
    let found = found.and_then(|response| judge(probe, response, deadline, &secrets));
    let certificate_end = client.certificate_end();
    let facts = match found {
        Ok(seen) => ServiceFacts { seen: seen + &ends(certificate_end), ..ServiceFacts::default() },
        Err(failure) => ServiceFacts::failed(failure),
    };
    ServiceFacts { duration: Some(began.elapsed()), certificate_end, ..facts }
}

/// How long the certificate is still good, for the table; the metric has the exact time.
fn ends(certificate_end: Option<i64>) -> String {
    const DAY_SECONDS: i64 = 86_400;
    match certificate_end.map(|end| (end - clock::now().as_second()) / DAY_SECONDS) {
        Some(1) => ", certificate ends in 1 day".into(),
        Some(days) => format!(", certificate ends in {days} days"),
        None => String::new(),
    }
}

fn judge(probe: &HttpProbe, mut response: Response, deadline: Deadline, secrets: &[Secret]) -> Result<String, Failure> {
    let status = response.status;
    let expected = match probe.expect_status.as_slice() {
        [] => response.is_success(),
        expected => expected.contains(&status),
    };
    if !expected {
        let expected: Vec<String> = probe.expect_status.iter().map(u16::to_string).collect();
        let wanted = if expected.is_empty() { "a success".to_owned() } else { expected.join(" or ") };
        return Err(Failure::new(Reason::HttpStatus, format!("HTTP {status} instead of {wanted}")));
    }
    if probe.body_contains.is_some() || probe.body_matches.is_some() {
        // A body that never ends is judged by what has come.
        let body = response.body.read_what_comes(MOST_BODY_BYTES, deadline.left() / 2);
        judge_body(probe, &String::from_utf8_lossy(&body), secrets)?;
    }
    Ok(format!("HTTP {status}"))
}

fn judge_body(probe: &HttpProbe, body: &str, secrets: &[Secret]) -> Result<(), Failure> {
    let hint = "open the URL by hand; if that answer is right, correct `body_contains` or `body_matches`";
    let missing = |what: String| Err(Failure::new(Reason::ProtocolError, what).with_hint(hint));
    if let Some(wanted) = &probe.body_contains
        && !body.contains(wanted.as_str())
    {
        return missing(format!("the body does not hold {wanted:?}: {}", beginning(body, secrets)));
    }
    let Some(pattern) = &probe.body_matches else { return Ok(()) };
    match Regex::new(pattern) {
        Ok(regex) if regex.is_match(body) => Ok(()),
        Ok(_) => missing(format!("the body does not match {pattern:?}: {}", beginning(body, secrets))),
        // The configuration has compiled it before.
        Err(error) => missing(format!("{pattern:?} is no regular expression: {error}")),
    }
}

/// The beginning of a body as evidence, without what the configuration sent.
fn beginning(body: &str, secrets: &[Secret]) -> String {
    format!("it begins with {}", quoted(&redact(body.trim(), secrets), 80))
}
