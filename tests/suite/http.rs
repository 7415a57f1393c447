//! The bounded HTTP client against servers that keep no rule.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use lab_probe::clock::Deadline;
use lab_probe::http::{Client, ErrorKind, HttpError, Method, ReadUntil, Request, Response, parse_url};
use lab_probe::redact::Secret;
use url::Url;

use crate::harness::CLOSED;
use crate::harness::http::{Certificates, Duplex, Fake, Seen, Then, answer};

/// Long enough for a machine with nothing to spare; tests that wait for a deadline set a short one themselves.
const AMPLE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(400);
/// By then a test with a [`SHORT`] deadline has ended, however busy the machine.
const BY_THEN: Duration = Duration::from_secs(8);

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

fn client(address: &str) -> Client {
    Client::new(&url(address))
}

fn client_with_token(address: &str) -> Client {
    let headers = vec![("Authorization".to_owned(), Secret::new("Bearer canary-token"))];
    Client::with(&url(address), headers, None)
}

fn get(address: &str, within: Duration) -> Result<Response, HttpError> {
    client(address).send(&Request::new(Method::GET, &url(address)), Deadline::after(within))
}

fn get_body(address: &str, within: Duration, limit: u64) -> Result<Vec<u8>, HttpError> {
    get(address, within)?.body.read_to_end(limit)
}

fn ok(stream: &mut dyn Duplex, body: &[u8]) -> Then {
    answer(stream, "200 OK", &[], body)
}

/// The kind of failure, and that it came in time.
#[track_caller]
fn assert_fails<T: std::fmt::Debug>(kind: ErrorKind, call: impl FnOnce() -> Result<T, HttpError>) -> String {
    let began = lab_probe::clock::instant();
    let error = call().expect_err("a failure");
    assert_eq!(error.kind, kind, "{error}");
    assert!(began.elapsed() < BY_THEN, "took {:?}", began.elapsed());
    error.detail
}

#[test]
fn a_request_carries_its_headers_and_body_and_the_answer_comes_back() {
    let server = Fake::serve(|seen, stream| answer(stream, "418 Teapot", &[("X-Was", &seen.target)], &seen.body));
    let address = url(&server.url("/a/b?c=d#e"));
    let request = Request::new(Method::PUT, &address).header("content-type", "text/plain").body(b"tea");
    let mut response = client(address.as_str()).send(&request, Deadline::after(AMPLE)).expect("an answer");
    assert_eq!((response.status, response.header("x-was")), (418, Some("/a/b?c=d")));
    assert_eq!(response.body.read_to_end(10).expect("a body"), b"tea");
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.header("content-type")), ("PUT", Some("text/plain")));
    assert!(seen.header("user-agent").is_some_and(|agent| agent.starts_with("lab-probe/")));
}

#[test]
fn userinfo_and_configured_headers_reach_the_configured_origin() {
    let server = Fake::serve(|_, stream| ok(stream, b""));
    let address = url(&server.url("/").replace("http://", "http://us%40er:pa%3Ass@"));
    let headers = vec![("X-Key".to_owned(), Secret::new("k")), ("Content-Length".to_owned(), Secret::new("7"))];
    let client = Client::with(&address, headers, None);
    client.send(&Request::new(Method::GET, &address), Deadline::after(AMPLE)).expect("an answer");
    let seen = &server.seen()[0];
    assert_eq!(seen.header("authorization"), Some("Basic dXNAZXI6cGE6c3M="));
    assert_eq!((seen.header("x-key"), seen.header("content-length")), (Some("k"), None));
}

#[test]
fn one_connection_serves_several_requests_and_a_closed_one_is_replaced() {
    let server = Fake::raw(|stream| {
        let mut request = [0; 1024];
        for _ in 0..2 {
            if stream.read(&mut request).unwrap_or(0) == 0 {
                return;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        // Two are enough: the third request meets a connection that closes without an answer.
        let _ = stream.read(&mut request);
    });
    let address = url(&server.url("/"));
    let client = client(address.as_str());
    for _ in 0..5 {
        let request = Request::new(Method::GET, &address);
        let mut response = client.send(&request, Deadline::after(AMPLE)).expect("an answer");
        assert_eq!(response.body.read_to_end(10).expect("a body"), b"ok");
    }
}

#[test]
fn nothing_listening_and_no_such_name_are_connect_failures() {
    let detail = assert_fails(ErrorKind::Connect, || get(&format!("http://{CLOSED}/"), AMPLE));
    assert!(detail.contains("refused"), "{detail}");
    assert_fails(ErrorKind::Connect, || get("http://no-such-host.invalid/", AMPLE));
}

#[test]
fn silence_and_dripping_end_at_the_deadline_in_every_phase() {
    let silent = Fake::raw(|_| std::thread::sleep(BY_THEN));
    assert_fails(ErrorKind::Timeout, || get(&silent.url("/"), SHORT));
    assert_fails(ErrorKind::Timeout, || get(&silent.url("/").replace("http:", "https:"), SHORT));
    let drip = |start: &'static str, dripped: &'static str| {
        Fake::raw(move |stream| {
            let _ = stream.write_all(start.as_bytes());
            while stream.write_all(dripped.as_bytes()).and_then(|()| stream.flush()).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    };
    let status = drip("", "H");
    assert!(get(&status.url("/"), SHORT).is_err(), "no status line ever ends");
    let headers = drip("HTTP/1.1 200 OK\r\n", "a");
    assert_fails(ErrorKind::Timeout, || get(&headers.url("/"), SHORT));
    let interim = drip("", "HTTP/1.1 103 Early Hints\r\n\r\n");
    assert_fails(ErrorKind::Timeout, || get(&interim.url("/"), SHORT));
    let body = drip("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "b");
    assert_fails(ErrorKind::Timeout, || get_body(&body.url("/"), SHORT, 1 << 20));
    let chunks = drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n");
    assert_fails(ErrorKind::Timeout, || get_body(&chunks.url("/"), SHORT, 1 << 20));
    let handshake = drip("\x16\x03\x03\x40\x00", "\x02");
    assert_fails(ErrorKind::Timeout, || get(&handshake.url("/").replace("http:", "https:"), SHORT));
}

#[test]
fn floods_of_headers_and_bodies_are_too_large() {
    let flood = |start: &'static str, repeated: String| {
        Fake::raw(move |stream| {
            let _ = stream.write_all(start.as_bytes());
            while stream.write_all(repeated.as_bytes()).is_ok() {}
        })
    };
    let long = flood("HTTP/1.1 200 OK\r\nX: ", "x".repeat(4096));
    assert_fails(ErrorKind::TooLarge, || get(&long.url("/"), AMPLE));
    let many = flood("HTTP/1.1 200 OK\r\n", "A: b\r\n".repeat(100));
    assert_fails(ErrorKind::TooLarge, || get(&many.url("/"), AMPLE));
    let body = flood("HTTP/1.1 200 OK\r\n\r\n", "x".repeat(65536));
    assert_fails(ErrorKind::TooLarge, || get_body(&body.url("/"), AMPLE, 1 << 20));
    assert_fails(ErrorKind::TooLarge, || get_body(&body.url("/"), AMPLE, u64::MAX - 1));
    let interim = flood("", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100));
    assert!(get(&interim.url("/"), AMPLE).is_err());
}

#[test]
fn a_decompression_bomb_is_cut_off_at_the_limit() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..256 {
        encoder.write_all(&vec![b' '; 1 << 20]).expect("compressed");
    }
    let bomb = encoder.finish().expect("compressed");
    assert!(bomb.len() < 1 << 20);
    let server = Fake::serve(move |_, stream| answer(stream, "200 OK", &[("Content-Encoding", "gzip")], &bomb));
    assert_fails(ErrorKind::TooLarge, || get_body(&server.url("/"), AMPLE, 16 << 20));
    assert_fails(ErrorKind::TooLarge, || get_body(&server.url("/"), AMPLE, u64::MAX - 1));
}

#[test]
fn what_is_no_http_or_ends_early_is_a_protocol_error() {
    let say = |text: &'static str| {
        Fake::raw(move |stream| {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(text.as_bytes());
        })
    };
    for text in [
        "",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 999999 What\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let server = say(text);
        assert_fails(ErrorKind::Protocol, || get(&server.url("/"), AMPLE));
    }
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nwhat\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
    ] {
        let server = say(text);
        assert_fails(ErrorKind::Protocol, || get_body(&server.url("/"), AMPLE, 1 << 20));
    }
}

#[test]
fn redirects_keep_or_change_the_method_as_fetch_does() {
    for (status, method, body) in
        [("301", "GET", ""), ("302", "GET", ""), ("303", "GET", ""), ("307", "POST", "x"), ("308", "POST", "x")]
    {
        let server = Fake::serve(move |seen, stream| match seen.target.as_str() {
            "/old" => answer(stream, &format!("{status} Moved"), &[("Location", "new?y")], b""),
            _ => ok(stream, b""),
        });
        let address = url(&server.url("/old"));
        let request = Request::new(Method::POST, &address).header("content-type", "text/plain").body(b"x");
        let response = client(address.as_str()).send(&request, Deadline::after(AMPLE)).expect("an answer");
        assert_eq!(response.url.as_str(), server.url("/new?y"), "{status}");
        let seen = server.seen();
        let last = seen.last().expect("a request");
        assert_eq!((last.method.as_str(), last.body.as_slice()), (method, body.as_bytes()), "{status}");
        assert_eq!(last.header("content-type").is_some(), method == "POST", "{status}");
    }
}

#[test]
fn ten_redirects_are_followed_and_no_more() {
    let server = Fake::serve(|seen, stream| {
        let hop: u32 = seen.target[1..].parse().expect("a number");
        match hop {
            0 => ok(stream, b"there"),
            _ => answer(stream, "307 On", &[("Location", &format!("/{}", hop - 1))], b""),
        }
    });
    assert_eq!(get_body(&server.url("/10"), AMPLE, 10).expect("a body"), b"there");
    assert_fails(ErrorKind::Redirect, || get(&server.url("/11"), AMPLE));
}

#[test]
fn a_redirect_to_another_origin_is_followed_only_without_a_credential() {
    let other = Fake::serve(|_, stream| ok(stream, b"other"));
    let target = other.url("/");
    let server = Fake::serve(move |_, stream| answer(stream, "307 On", &[("Location", &target)], b""));
    assert_eq!(get_body(&server.url("/"), AMPLE, 10).expect("a body"), b"other");
    assert_eq!(other.seen().len(), 1);

    let address = url(&server.url("/"));
    let client = client_with_token(address.as_str());
    let detail =
        assert_fails(ErrorKind::Redirect, || client.send(&Request::new(Method::GET, &address), Deadline::after(AMPLE)));
    assert!(detail.contains("307") && !detail.contains("canary"), "{detail}");
    assert_eq!(other.seen().len(), 1, "the other origin is not asked");
}

#[test]
fn a_session_id_does_not_follow_a_redirect_to_another_origin() {
    let other = Fake::serve(|_, stream| ok(stream, b""));
    let target = other.url("/");
    let server = Fake::serve(move |_, stream| answer(stream, "307 On", &[("Location", &target)], b""));
    let address = url(&server.url("/"));
    let request = Request::new(Method::POST, &address).header("mcp-session-id", "s").header("x-other", "o");
    client(address.as_str()).send(&request, Deadline::after(AMPLE)).expect("an answer");
    assert_eq!(server.seen()[0].header("mcp-session-id"), Some("s"));
    let there = &other.seen()[0];
    assert_eq!((there.header("mcp-session-id"), there.header("x-other")), (None, Some("o")));
}

#[test]
fn a_redirect_to_another_scheme_is_not_followed() {
    let server = Fake::serve(|_, stream| answer(stream, "302 On", &[("Location", "file:///etc/passwd")], b""));
    assert_fails(ErrorKind::Redirect, || get(&server.url("/"), AMPLE));
}

#[test]
fn headers_that_cannot_be_sent_are_named_without_their_value() {
    let server = Fake::serve(|_, stream| ok(stream, b""));
    let address = url(&server.url("/"));
    for (name, value) in [("X-Key", "canary\r\nX-Injected: 1"), ("Bad Name", "canary")] {
        let headers = vec![(name.to_owned(), Secret::new(value))];
        let client = Client::with(&address, headers, None);
        let detail = assert_fails(ErrorKind::Request, || {
            client.send(&Request::new(Method::GET, &address), Deadline::after(AMPLE))
        });
        assert!(detail.contains(name) && !detail.contains("canary"), "{detail}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn urls_that_are_no_http_address_are_refused() {
    for text in ["", "mcp", "ftp://host/", "http://", "http://[::1", "unix:/run/x"] {
        let error = parse_url(&Secret::new(text)).expect_err(text);
        assert_eq!(error.kind, ErrorKind::Request, "{text}");
    }
}

/// Asks an `https` server whose authority is (or is not) in `ca_file`.
fn get_tls(server: &Fake, ca_pem: Option<&str>) -> Result<Option<i64>, HttpError> {
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = ca_pem.map(|pem| {
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, pem).expect("written");
        path
    });
    let address = url(&server.named_url("/"));
    let client = Client::with(&address, Vec::new(), ca_file);
    let mut response = client.send(&Request::new(Method::GET, &address), Deadline::after(AMPLE))?;
    assert_eq!(response.body.read_to_end(10).expect("a body"), b"ok");
    Ok(client.certificate_end())
}

fn serve_tls(certificates: &Certificates) -> Fake {
    Fake::serve_tls(Arc::clone(&certificates.server), |_, stream| ok(stream, b"ok"))
}

#[test]
fn a_certificate_signed_by_the_ca_file_is_accepted_and_its_end_is_known() {
    let certificates = Certificates::issue(&["localhost"], (2020, 2100));
    let server = serve_tls(&certificates);
    let end = get_tls(&server, Some(&certificates.ca_pem)).expect("an answer");
    assert_eq!(end, Some(4_102_444_800));
}

#[test]
fn a_self_signed_certificate_that_is_itself_the_ca_file_is_accepted() {
    let certificates = Certificates::self_signed(&["localhost"]);
    let server = serve_tls(&certificates);
    get_tls(&server, Some(&certificates.ca_pem)).expect("an answer");
    let detail = assert_fails(ErrorKind::Tls, || get_tls(&server, None));
    assert!(detail.contains("trusted"), "{detail}");
    let other = Certificates::self_signed(&["localhost"]);
    assert_fails(ErrorKind::Tls, || get_tls(&server, Some(&other.ca_pem)));
    let misnamed = Certificates::self_signed(&["elsewhere.example"]);
    let server = serve_tls(&misnamed);
    let detail = assert_fails(ErrorKind::Tls, || get_tls(&server, Some(&misnamed.ca_pem)));
    assert!(detail.contains("another host name"), "{detail}");
}

#[test]
fn an_unknown_issuer_an_expired_certificate_and_a_wrong_name_are_tls_errors_in_plain_words() {
    let unknown = Certificates::issue(&["localhost"], (2020, 2100));
    let detail = assert_fails(ErrorKind::Tls, || get_tls(&serve_tls(&unknown), None));
    assert!(detail.contains("not signed by a trusted authority"), "{detail}");
    let expired = Certificates::issue(&["localhost"], (2020, 2021));
    let detail = assert_fails(ErrorKind::Tls, || get_tls(&serve_tls(&expired), Some(&expired.ca_pem)));
    assert!(detail.contains("expired"), "{detail}");
    let early = Certificates::issue(&["localhost"], (2090, 2100));
    let detail = assert_fails(ErrorKind::Tls, || get_tls(&serve_tls(&early), Some(&early.ca_pem)));
    assert!(detail.contains("not valid yet"), "{detail}");
    let misnamed = Certificates::issue(&["elsewhere.example"], (2020, 2100));
    let detail = assert_fails(ErrorKind::Tls, || get_tls(&serve_tls(&misnamed), Some(&misnamed.ca_pem)));
    assert!(detail.contains("another host name"), "{detail}");
}

#[test]
fn a_server_without_tls_behind_https_and_a_bad_ca_file_are_tls_errors() {
    let plain = Fake::raw(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let detail = assert_fails(ErrorKind::Tls, || get(&plain.url("/").replace("http:", "https:"), AMPLE));
    assert!(detail.contains("does not speak TLS"), "{detail}");
    let closing = Fake::raw(|_| ());
    assert_fails(ErrorKind::Tls, || get(&closing.url("/").replace("http:", "https:"), AMPLE));
    let certificates = Certificates::issue(&["localhost"], (2020, 2100));
    let detail = assert_fails(ErrorKind::Tls, || get_tls(&serve_tls(&certificates), Some("no certificate")));
    assert!(detail.contains("ca_file"), "{detail}");
}

#[test]
fn hanging_up_ends_a_read_in_another_thread_at_once() {
    let server = Fake::serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        let _ = stream.flush();
        std::thread::sleep(BY_THEN);
        Then::Close
    });
    let address = url(&server.url("/"));
    let client = client(address.as_str());
    let mut response =
        client.send(&Request::new(Method::GET, &address), Deadline::after(AMPLE)).expect("an answer's head");
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || response.body.read_to_end(10));
        client.close_connections();
        let error = reading.join().expect("no panic").expect_err("cut off");
        assert_eq!(error.kind, ErrorKind::Protocol);
    });
}

#[test]
fn a_read_can_have_a_deadline_of_its_own() {
    let stops = |_: &Seen, stream: &mut dyn Duplex| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        let _ = stream.flush();
        std::thread::sleep(BY_THEN);
        Then::Close
    };
    let certificates = Certificates::self_signed(&["localhost"]);
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, &certificates.ca_pem).expect("written");
    for server in [Fake::serve(stops), Fake::serve_tls(certificates.server, stops)] {
        let address = url(&server.named_url("/"));
        let client = Client::with(&address, Vec::new(), Some(ca_file.clone()));
        let request = Request::new(Method::GET, &address);
        let mut body = client.send(&request, Deadline::after(AMPLE)).expect("an answer").body;
        let mut into = [0; 512];
        let mut read_by = |within| {
            let _until = ReadUntil::new(Deadline::after(within));
            body.read(&mut into).map_err(HttpError::from)
        };
        assert_eq!(read_by(AMPLE).expect("the beginning"), 4);
        assert_fails(ErrorKind::Timeout, || read_by(SHORT));
        let mut body = client.send(&request, Deadline::after(AMPLE)).expect("an answer").body;
        assert_eq!(body.read_what_comes(100, SHORT), b"half");
    }
}
