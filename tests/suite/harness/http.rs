//! HTTP servers on loopback that do what a test tells them, good or bad, and write down what reached them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Nothing in a test waits longer for a peer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The target of the request line as it stood there.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[allow(dead_code, reason = "each capability's tests use their own part of the harness")]
impl Seen {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A connection that the test answers on.
pub(crate) trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

/// What a server does with a connection after one answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
}

type Handler = dyn Fn(&Seen, &mut dyn Duplex) -> Then + Send + Sync;

/// A server that lives as long as this value.
pub(crate) struct Fake {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    sockets: Mutex<Vec<TcpStream>>,
    stop: AtomicBool,
}

#[allow(dead_code, reason = "each capability's tests use their own part of the harness")]
impl Fake {
    /// A server that reads each request whole and lets `handler` answer it.
    pub(crate) fn serve(handler: impl Fn(&Seen, &mut dyn Duplex) -> Then + Send + Sync + 'static) -> Fake {
        Fake::start(None, Arc::new(handler), true)
    }

    /// The same over TLS.
    pub(crate) fn serve_tls(
        tls: Arc<ServerConfig>,
        handler: impl Fn(&Seen, &mut dyn Duplex) -> Then + Send + Sync + 'static,
    ) -> Fake {
        Fake::start(Some(tls), Arc::new(handler), true)
    }

    /// A server that hands each connection over as it was accepted, nothing read.
    pub(crate) fn raw(handler: impl Fn(&mut dyn Duplex) + Send + Sync + 'static) -> Fake {
        let handler = move |_: &Seen, stream: &mut dyn Duplex| {
            handler(stream);
            Then::Close
        };
        Fake::start(None, Arc::new(handler), false)
    }

    fn start(tls: Option<Arc<ServerConfig>>, handler: Arc<Handler>, reads: bool) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for socket in listener.incoming().map_while(Result::ok) {
                    if shared.stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let (shared, handler, tls) = (Arc::clone(&shared), Arc::clone(&handler), tls.clone());
                    std::thread::spawn(move || serve_one(socket, tls, &handler, reads, &shared));
                }
            }
        });
        Fake { address, scheme, shared, accepting: Some(accepting) }
    }

    /// An address on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The same under the name `localhost`.
    pub(crate) fn named_url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("not poisoned").clone()
    }

    /// How many requests of this method came so far.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method == method).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for socket in self.shared.sockets.lock().expect("not poisoned").drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        // Wakes the accepting thread up, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

fn serve_one(socket: TcpStream, tls: Option<Arc<ServerConfig>>, handler: &Arc<Handler>, reads: bool, shared: &Shared) {
    let _ = socket.set_read_timeout(Some(PATIENCE));
    let _ = socket.set_write_timeout(Some(PATIENCE));
    if let Ok(clone) = socket.try_clone() {
        shared.sockets.lock().expect("not poisoned").push(clone);
    }
    let closer = socket.try_clone();
    let mut stream: Box<dyn Duplex> = match tls {
        Some(config) => match ServerConnection::new(config) {
            Ok(connection) => Box::new(StreamOwned::new(connection, socket)),
            Err(_) => return,
        },
        None => Box::new(socket),
    };
    if reads {
        let mut reader = BufReader::new(stream);
        while let Some(seen) = read_request(&mut reader) {
            shared.seen.lock().expect("not poisoned").push(seen.clone());
            if handler(&seen, reader.get_mut()) == Then::Close {
                break;
            }
        }
    } else {
        handler(&Seen::default(), &mut *stream);
    }
    if let Ok(socket) = closer {
        let _ = socket.shutdown(Shutdown::Both);
    }
}

fn read_request(reader: &mut BufReader<Box<dyn Duplex>>) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&amount| amount > 0)?;
    let mut words = line.split_whitespace();
    let mut seen = Seen { method: words.next()?.to_owned(), target: words.next()?.to_owned(), ..Seen::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&amount| amount > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        seen.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = seen.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    seen.body = vec![0; length];
    reader.read_exact(&mut seen.body).ok()?;
    Some(seen)
}

/// Writes a whole answer with its length.
pub(crate) fn answer(stream: &mut dyn Duplex, status: &str, headers: &[(&str, &str)], body: &[u8]) -> Then {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    // A client that has left already is no trouble of the server's.
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush());
    if sent.is_ok() { Then::Keep } else { Then::Close }
}

/// Certificates for a test.
#[allow(dead_code, reason = "each capability's tests use their own part of the harness")]
pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    /// The server's own, for a server that reads files.
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
    pub(crate) server: Arc<ServerConfig>,
}

#[allow(dead_code, reason = "each capability's tests use their own part of the harness")]
impl Certificates {
    /// An authority, and a server certificate for `names` signed by it that is valid in the given years.
    pub(crate) fn issue(names: &[&str], years: (i32, i32)) -> Certificates {
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "a test authority");
        let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
        let ca_pem = ca.self_signed(&ca_key).expect("an authority").pem();
        let key = rcgen::KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).expect("parameters");
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        Certificates {
            ca_pem,
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            server: server_config(certificate.der().to_vec(), &key),
        }
    }

    /// What `openssl req -x509` makes: one certificate, signed by itself, that calls itself an authority.
    pub(crate) fn self_signed(names: &[&str]) -> Certificates {
        let key = rcgen::KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Certificates {
            ca_pem: certificate.pem(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            server: server_config(certificate.der().to_vec(), &key),
        }
    }
}

fn server_config(certificate: Vec<u8>, key: &rcgen::KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .expect("a server configuration");
    Arc::new(config)
}
