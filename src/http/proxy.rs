//! Which proxy, if any, the environment names for a URL.
//!
//! The rules are those that curl, Go and Python agree on: `https_proxy`, `http_proxy`, then `all_proxy`, lower case
//! first; `no_proxy` lists what goes direct. Upper-case `HTTP_PROXY` is ignored where `REQUEST_METHOD` is set, because
//! a web server would let any visitor choose it there. Loopback always goes direct.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ipnet::IpNet;
use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

use super::resolve::host_and_port;
use crate::redact::Secret;

/// The scheme of a proxy, if it is another than plain HTTP.
pub(super) fn unsupported(proxy: &Proxy) -> Option<String> {
    (proxy.protocol() != ProxyProtocol::Http).then(|| proxy.protocol().to_string().to_lowercase())
}

/// Value of `Proxy-Authorization`, if a proxy's URL has userinfo.
pub(super) fn authorization(proxy: &Proxy) -> Option<Secret> {
    proxy.username().map(|user| basic(user, proxy.password().unwrap_or_default()))
}

#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    bypass: Vec<String>,
}

impl Proxies {
    pub(super) fn from_env() -> Self {
        Proxies::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| get(name).filter(|value| !value.trim().is_empty()));
        let http = if get("REQUEST_METHOD").is_some() {
            first(&["http_proxy", "all_proxy", "ALL_PROXY"])
        } else {
            first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
        };
        let parse = |text: String| Proxy::new(text.trim()).ok();
        Proxies {
            http: http.and_then(parse),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]).and_then(parse),
            bypass: first(&["no_proxy", "NO_PROXY"])
                .unwrap_or_default()
                .split([',', ' '])
                .map(|entry| entry.trim().to_ascii_lowercase())
                .filter(|entry| !entry.is_empty())
                .collect(),
        }
    }

    /// What is sent to prove who we are.
    pub(super) fn credentials(&self) -> impl Iterator<Item = Secret> {
        [&self.http, &self.https].into_iter().flatten().filter_map(authorization)
    }

    /// The proxy on the way to a URL. To a proxy itself there is none.
    pub(super) fn route(&self, uri: &Uri) -> Option<&Proxy> {
        let proxy = if uri.scheme_str() == Some("https") { &self.https } else { &self.http };
        let (host, port) = host_and_port(uri).ok()?;
        proxy.as_ref().filter(|_| !is_loopback(host) && !self.bypasses(host, port) && !self.is_one(uri))
    }

    /// Whether a URL is that of one of the proxies.
    pub(super) fn is_one(&self, uri: &Uri) -> bool {
        let mut proxies = [&self.http, &self.https].into_iter().flatten();
        proxies.any(|proxy| proxy.uri().authority() == uri.authority())
    }

    fn bypasses(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.bypass.iter().any(|entry| {
            let (name, wanted) = split_port(entry);
            let covered = match host.parse::<IpAddr>() {
                Ok(ip) => covers(name, ip),
                Err(_) => covers_name(name, &host),
            };
            entry == "*" || (covered && wanted.is_none_or(|wanted| wanted == port))
        })
    }
}

/// An entry and the port behind it, if it has one. A bare IPv6 address has none: its colons are its own.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// Whether a name of `no_proxy` is this host or a domain above it.
fn covers_name(name: &str, host: &str) -> bool {
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || (!name.is_empty() && rest.ends_with('.')))
}

/// Whether an address, or a network in CIDR form, covers this address.
fn covers(entry: &str, ip: IpAddr) -> bool {
    let entry = entry.replace(['[', ']'], "");
    entry.parse::<IpNet>().map_or_else(|_no_network| entry.parse() == Ok(ip), |network| network.contains(&ip))
}

/// Whether a host is this machine without asking anybody.
fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

pub(super) fn basic(user: &str, password: &str) -> Secret {
    Secret::new(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(proxies: &Proxies, url: &str) -> Option<String> {
        let proxy = proxies.route(&url.parse().expect("a uri"))?;
        Some(format!("{}:{}", proxy.host(), proxy.port()))
    }

    fn from(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_lookup(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_stands_in() {
        let both = from(&[("http_proxy", "http://one:1"), ("HTTPS_PROXY", "two:2"), ("ALL_PROXY", "http://three:3")]);
        assert_eq!(host_of(&both, "http://a.example/").as_deref(), Some("one:1"));
        assert_eq!(host_of(&both, "https://a.example/").as_deref(), Some("two:2"));
        let all = from(&[("ALL_PROXY", "http://three")]);
        assert_eq!(host_of(&all, "https://a.example/").as_deref(), Some("three:80"));
        assert_eq!(host_of(&from(&[("http_proxy", "")]), "http://a.example/"), None);
    }

    #[test]
    fn upper_case_http_proxy_is_ignored_under_cgi() {
        let plain = from(&[("HTTP_PROXY", "http://one:1")]);
        assert_eq!(host_of(&plain, "http://a.example/").as_deref(), Some("one:1"));
        let cgi = from(&[("HTTP_PROXY", "http://one:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(host_of(&cgi, "http://a.example/"), None);
    }

    #[test]
    fn loopback_and_everything_in_no_proxy_go_direct() {
        let list = "corp.example, .dot.example,*.star.example,10.0.0.0/8,192.168.7.7,[fd00::1],fd00:2::/32,port.example:8080,172.16.0.1:81,[fd00::3]:82";
        let proxies = from(&[("http_proxy", "http://one:1"), ("no_proxy", list)]);
        let direct = [
            "http://localhost:9/", "http://mcp.localhost/", "http://127.3.2.1/", "http://[::1]:80/",
            "http://corp.example/", "http://a.corp.example/", "http://x.dot.example/", "http://x.star.example/",
            "http://10.9.8.7/", "http://192.168.7.7/", "http://[fd00::1]/", "http://[fd00:2::9]/",
            "http://port.example:8080/", "http://172.16.0.1:81/", "http://[fd00::3]:82/",
        ];
        for url in direct {
            assert_eq!(host_of(&proxies, url), None, "{url}");
        }
        for url in [
            "http://notcorp.example/", "http://11.0.0.1/", "http://192.168.7.8/", "http://port.example/",
            "http://172.16.0.1/", "http://[fd00::3]/",
        ] {
            assert_eq!(host_of(&proxies, url).as_deref(), Some("one:1"), "{url}");
        }
        assert_eq!(host_of(&from(&[("http_proxy", "one:1"), ("no_proxy", "*")]), "http://a.example/"), None);
    }

    #[test]
    fn userinfo_of_a_proxy_becomes_its_authorization_and_other_schemes_are_named() {
        let proxy = Proxy::new("http://us%40er:pa%3Ass@proxy.example:3128").expect("a proxy");
        assert_eq!((authorization(&proxy), unsupported(&proxy)), (Some(basic("us@er", "pa:ss")), None));
        assert_eq!(unsupported(&Proxy::new("socks5://p").expect("a proxy")).as_deref(), Some("socks5"));
    }
}
