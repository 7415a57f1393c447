//! What the environment says about proxies and certificates, through the binary.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::harness::http::{Certificates, Fake, Then};
use crate::harness::mcp_http::{modern, say};
use crate::harness::{CLOSED, Lab};

/// Checks one MCP server at `url` and gives back its verdict and summary.
fn check(lab: &Lab, url: &str, environment: &[(&str, &str)]) -> (String, String) {
    let config = format!("[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"far\"\nurl = {url:?}\n");
    let [verdict, summary, _] = check_by(lab, &config, environment);
    (verdict, summary)
}

/// Checks the one MCP server of a configuration and gives back its verdict, summary and hint.
fn check_by(lab: &Lab, config: &str, environment: &[(&str, &str)]) -> [String; 3] {
    let config = lab.config(config);
    let args = ["check", "--only", "mcp", "--format", "json", "--config"].map(std::ffi::OsStr::new);
    let mut command = lab.command(args.into_iter().chain([config.as_os_str()]));
    command.envs(environment.iter().copied());
    let output = command.output().expect("lab-probe starts");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let target = &document["targets"][0];
    let text = |key: &str| target[key].as_str().unwrap_or_default().to_owned();
    ["verdict", "summary", "hint"].map(text)
}

#[track_caller]
fn assert_up(found: (String, String)) {
    assert_eq!(found.0, "up", "{}", found.1);
}

#[track_caller]
fn assert_down(found: (String, String), words: &str) {
    assert_eq!(found.0, "down", "{}", found.1);
    assert!(found.1.contains(words), "{}", found.1);
}

#[test]
fn plain_http_goes_through_a_proxy_with_the_whole_url_and_the_proxys_own_credential() {
    let lab = Lab::new();
    let proxy = Fake::serve(modern);
    let with_password = proxy.url("").replace("http://", "http://us%65r:pass@");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        assert_up(check(&lab, "http://mcp.example/mcp?q=1", &[(name, &with_password)]));
    }
    for seen in proxy.seen() {
        assert_eq!(seen.target, "http://mcp.example/mcp?q=1");
        assert_eq!(seen.header("host"), Some("mcp.example"));
        assert_eq!(seen.header("proxy-authorization"), Some("Basic dXNlcjpwYXNz"));
        assert_eq!(seen.header("authorization"), None);
    }
    assert_eq!(proxy.count("POST"), 8, "discover and tools/list of four checks");
}

#[test]
fn loopback_and_no_proxy_go_direct_and_everything_else_does_not() {
    let lab = Lab::new();
    let dead = format!("http://{CLOSED}");
    let server = Fake::serve(modern);
    for url in [server.url("/mcp"), server.named_url("/mcp")] {
        assert_up(check(&lab, &url, &[("http_proxy", &dead), ("https_proxy", &dead), ("all_proxy", &dead)]));
    }
    assert_down(check(&lab, "http://mcp.invalid/mcp", &[("http_proxy", &dead)]), "proxy");
    let direct = check(&lab, "http://mcp.invalid/mcp", &[("http_proxy", &dead), ("no_proxy", ".invalid")]);
    assert_down(direct, "does not resolve");
    assert_down(check(&lab, "http://mcp.invalid/mcp", &[("all_proxy", "socks5://127.0.0.1:9")]), "socks5");
}

/// A proxy that makes tunnels to one address, whatever is asked for, and writes down what was.
struct Tunnels {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    fn to(upstream: SocketAddr, answer: &'static str) -> Tunnels {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let log = Arc::clone(&log);
                std::thread::spawn(move || tunnel(client, upstream, answer, &log));
            }
        });
        Tunnels { address, asked }
    }
}

fn tunnel(mut client: TcpStream, upstream: SocketAddr, answer: &str, log: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|amount| amount > 0) {
        head.push(byte[0]);
    }
    log.lock().expect("not poisoned").push(String::from_utf8_lossy(&head).into_owned());
    let Ok(mut server) = TcpStream::connect(upstream) else { return };
    if client.write_all(answer.as_bytes()).is_err() {
        return;
    }
    let (mut from, mut to) = (client.try_clone().expect("a clone"), server.try_clone().expect("a clone"));
    let there = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = there.join();
}

fn upstream_of(server: &Fake) -> SocketAddr {
    server.authority().parse().expect("an address")
}

fn ca_file(lab: &Lab, certificates: &Certificates) -> String {
    let path: PathBuf = lab.write("ca.pem", &certificates.ca_pem);
    path.to_str().expect("a path").to_owned()
}

#[test]
fn https_goes_through_a_tunnel_and_is_verified_against_the_target() {
    let lab = Lab::new();
    let certificates = Certificates::issue(&["mcp.example"], (2020, 2100));
    let server = Fake::serve_tls(Arc::clone(&certificates.server), modern);
    let trusted = ca_file(&lab, &certificates);
    let proxy = Tunnels::to(upstream_of(&server), "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n");
    let address = format!("http://user:pass@{}", proxy.address);
    let environment = [("https_proxy", address.as_str()), ("SSL_CERT_FILE", trusted.as_str())];
    assert_up(check(&lab, "https://mcp.example/mcp", &environment));
    let asked = proxy.asked.lock().expect("not poisoned").clone();
    let [head] = &asked[..] else { panic!("one connection serves the whole check: {asked:?}") };
    assert!(head.starts_with("CONNECT mcp.example:443 HTTP/1.1\r\nHost: mcp.example:443\r\n"), "{head}");
    assert!(head.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{head}");
    assert_down(check(&lab, "https://other.example/mcp", &environment), "another host name");
}

#[test]
fn a_proxy_that_refuses_floods_or_hangs_up_is_a_connect_failure() {
    let lab = Lab::new();
    let check = |address: &str| check(&lab, "https://mcp.example/mcp", &[("https_proxy", address)]);
    let refused = Fake::serve(|_, stream| {
        say(stream, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        Then::Close
    });
    assert_down(check(&refused.url("")), "HTTP 407");
    let closing = Fake::serve(|_, _| Then::Close);
    assert_down(check(&closing.url("")), "connect_failed");
    let flooding = Fake::raw(|stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    assert_down(check(&flooding.url("")), "no proper answer");
}

#[test]
fn certificates_named_by_the_environment_are_trusted() {
    let lab = Lab::new();
    let certificates = Certificates::issue(&["localhost"], (2020, 2100));
    let server = Fake::serve_tls(Arc::clone(&certificates.server), modern);
    let url = server.named_url("/mcp");
    assert_down(check(&lab, &url, &[]), "tls_error");
    let trusted = ca_file(&lab, &certificates);
    assert_up(check(&lab, &url, &[("SSL_CERT_FILE", &trusted)]));
    let directory = lab.path().to_str().expect("a path");
    assert_up(check(&lab, &url, &[("SSL_CERT_DIR", directory)]));
    let nothing = [("SSL_CERT_FILE", "/nowhere/ca.pem"), ("SSL_CERT_DIR", "/nowhere")];
    let config = format!("[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"far\"\nurl = {url:?}\n");
    let [verdict, summary, hint] = check_by(&lab, &config, &nothing);
    assert_down((verdict, summary), "/nowhere/ca.pem");
    assert!(hint.starts_with("correct SSL_CERT_FILE"), "{hint}");
}

#[test]
fn the_ca_file_of_all_servers_counts_for_each_that_names_none() {
    let lab = Lab::new();
    let certificates = Certificates::issue(&["localhost"], (2020, 2100));
    let server = Fake::serve_tls(Arc::clone(&certificates.server), modern);
    let trusted = ca_file(&lab, &certificates);
    let check = |of_all: &str, of_one: &str| {
        let url = server.named_url("/mcp");
        let server = format!("[[mcp.server]]\nname = \"far\"\nurl = {url:?}\nca_file = {of_one:?}\n");
        let server = if of_one.is_empty() { server.replace("ca_file = \"\"\n", "") } else { server };
        check_by(&lab, &format!("[mcp]\ndiscover = false\nca_file = {of_all:?}\n{server}"), &[])
    };
    assert_eq!(check(&trusted, "")[0], "up");
    assert_eq!(check("/nowhere/ca.pem", &trusted)[0], "up");
    let [verdict, _, hint] = check("/nowhere/ca.pem", "");
    assert_eq!(verdict, "down");
    assert!(hint.contains("correct `ca_file`"), "{hint}");
}

#[test]
fn the_hint_is_about_what_failed_on_the_way() {
    let lab = Lab::new();
    let hint = |url: &str, environment: &[(&str, &str)]| {
        let config = format!("[mcp]\ndiscover = false\n[[mcp.server]]\nname = \"far\"\nurl = {url:?}\n");
        check_by(&lab, &config, environment)[2].clone()
    };
    let dead = format!("http://{CLOSED}");
    for proxy in ["socks5://127.0.0.1:9", dead.as_str()] {
        for url in ["http://mcp.invalid/mcp", "https://mcp.invalid/mcp"] {
            let hint = hint(url, &[("all_proxy", proxy)]);
            assert!(hint.contains("no_proxy"), "{url} by {proxy}: {hint}");
        }
    }
    let plain = Fake::raw(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let hint = hint(&plain.url("/mcp").replace("http:", "https:"), &[]);
    assert!(hint.contains("write http://"), "{hint}");
}
