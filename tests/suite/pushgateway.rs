//! The Pushgateway output against a real Pushgateway, and against servers that a real one can turn into.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_probe::clock::{Deadline, instant};
use lab_probe::config::settings::PushgatewaySettings;
use lab_probe::exit;
use lab_probe::redact::Secret;
use lab_probe::sink::pushgateway;

use crate::harness::Lab;
use crate::harness::daemon::{Daemon, open_to_all};
use crate::harness::http::{Certificates, Fake, Then, answer};

/// Long enough for a machine with nothing to spare.
const AMPLE: Duration = Duration::from_secs(30);

const EXPOSITION: &str = "# HELP a_metric A metric.\n# TYPE a_metric gauge\na_metric 1\n";

/// A password and bcrypt's hash of it, cost 4.
const PASSWORD: &str = "canary-password";
const HASH: &str = "$2b$04$WgjAcs2nLPszA6Jrqaz5Z.GfnHmV/RCFWV85obDswuwlF.RLyEMm6";

fn gateway(extra: &[&str]) -> Daemon {
    let args: Vec<&str> = ["--persistence.file="].into_iter().chain(extra.iter().copied()).collect();
    Daemon::start("prometheus-pushgateway", &args)
}

fn settings(url: impl Into<String>) -> PushgatewaySettings {
    PushgatewaySettings {
        url: Secret::new(url),
        job: "lab_probe".into(),
        grouping: BTreeMap::from([("instance".into(), "lab".into())]),
        username: None,
        password_file: None,
        bearer_token_file: None,
        ca_file: None,
        timeout: AMPLE,
        retries: 2,
    }
}

fn deliver(settings: &PushgatewaySettings) -> anyhow::Result<()> {
    pushgateway::deliver(settings, EXPOSITION, Deadline::after(AMPLE))
}

fn url_of(gateway: &Daemon) -> String {
    format!("http://127.0.0.1:{}", gateway.port())
}

fn config(lab: &Lab, expected: &str, pushgateway: &str) {
    let mcp = format!("[mcp]\ndiscover = false\nexpected = [{expected}]\n[worktree]\nrepos = []\n");
    lab.config(&format!("[output.pushgateway]\n{pushgateway}\n{mcp}"));
}

#[test]
fn a_pass_replaces_its_group_and_withdraw_deletes_it_and_nothing_else() {
    let gateway = gateway(&[]);
    let others = PushgatewaySettings { job: "other".into(), ..settings(url_of(&gateway)) };
    deliver(&others).expect("delivered");
    let lab = Lab::new();
    let grouping = "grouping = { instance = \"lab é/1\", rack = \"\", dots = \"..\" }";
    let section = format!("url = \"{}/\"\njob = \"my job\"\n{grouping}", url_of(&gateway));
    config(&lab, "\"a\", \"b\"", &section);
    lab.run(["--once"]).expect_code(0);
    let served = gateway.get("/metrics");
    let health = |name: &str| {
        let labels = format!("dots=\"..\",instance=\"lab é/1\",job=\"my job\",rack=\"\",server_name=\"{name}\"");
        format!("lab_mcp_server_health{{{labels}}} 2")
    };
    assert!(served.contains(&health("a")) && served.contains(&health("b")), "{served}");

    // What has vanished here vanishes there.
    config(&lab, "\"b\"", &section);
    lab.run(["--once"]).expect_code(0);
    let served = gateway.get("/metrics");
    assert!(!served.contains("server_name=\"a\"") && served.contains(&health("b")), "{served}");

    // Whole families too, which a POST would leave behind.
    config(&lab, "", &section);
    lab.run(["--once"]).expect_code(0);
    let served = gateway.get("/metrics");
    assert!(!served.contains("lab_mcp_server_health") && served.contains("lab_probe_targets"), "{served}");

    let said = lab.run(["withdraw"]).expect_code(0).stdout();
    assert!(
        said.contains("pushgateway: http://127.0.0.1:") && said.contains(" holds nothing of this host any more"),
        "{said}"
    );
    let served = gateway.get("/metrics");
    assert!(!served.contains("lab_probe_targets"), "{served}");
    assert!(served.contains("a_metric{instance=\"lab\",job=\"other\"} 1"), "{served}");
    lab.run(["withdraw"]).expect_code(0);
}

#[test]
fn tls_with_its_own_authority_and_basic_auth_work_and_nothing_secret_shows() {
    let lab = Lab::new();
    open_to_all(lab.path());
    let certificates = Certificates::issue(&["localhost"], (2020, 2100));
    lab.write("server.pem", &certificates.certificate_pem);
    lab.write("server.key", &certificates.key_pem);
    lab.write("ca.pem", &certificates.ca_pem);
    let web = format!(
        "tls_server_config: {{cert_file: server.pem, key_file: server.key}}\nbasic_auth_users: {{probe: '{HASH}'}}\n"
    );
    let web = lab.write("web.yml", web);
    let gateway = gateway(&[&format!("--web.config.file={}", web.display())]);
    lab.write("password", format!("{PASSWORD}\n"));
    lab.write("wrong", "canary-wrong\n");
    let section = |ca: &str, password: &str| {
        let url = format!("https://localhost:{}", gateway.port());
        format!("url = \"{url}\"\nusername = \"probe\"\npassword_file = \"{password}\"\n{ca}\nretries = 5")
    };
    let ca = "ca_file = \"ca.pem\"";
    config(&lab, "\"a\"", &section(ca, "password"));
    lab.run(["-v", "--once"]).expect_code(0);
    lab.run(["withdraw"]).expect_code(0);

    for (ca, password, sentence) in [
        (ca, "wrong", "the gateway answered HTTP 401: Unauthorized; check username and password_file"),
        ("", "password", "ca_file"),
        (ca, "none", "none: No such file or directory"),
    ] {
        config(&lab, "\"a\"", &section(ca, password));
        let run = lab.run(["-v", "--once", "--format", "json"]).expect_code(1);
        let all = run.stderr() + &run.stdout();
        assert!(all.contains(sentence), "{all}");
        // An answer, or a certificate that will not change, is not asked for again.
        assert!(!all.contains("canary") && !all.contains("tried"), "{all}");
        assert!(lab.textfile_dir().join("lab-probe.prom").exists(), "the other output was delivered");
    }
}

#[test]
fn a_bearer_token_is_sent_and_not_shown_even_if_the_gateway_quotes_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let token = directory.path().join("token");
    std::fs::write(&token, "canary-token\n").expect("written");
    let fake = Fake::serve(|seen, stream| {
        let quoted = format!("no {} here", seen.header("authorization").unwrap_or_default());
        answer(stream, "403 Forbidden", &[], quoted.as_bytes())
    });
    let error = deliver(&PushgatewaySettings { bearer_token_file: Some(token), ..settings(fake.url("/")) });
    let error = exit::sentence(&error.expect_err("refused"));
    assert!(error.starts_with("the gateway answered HTTP 403: no Bearer *** here; check"), "{error}");
    assert_eq!(fake.seen()[0].header("authorization"), Some("Bearer canary-token"));
    assert_eq!(fake.count("PUT"), 1);
}

#[test]
fn a_gateway_that_is_killed_and_restarted_in_the_middle_gets_the_group() {
    let mut first = gateway(&[]);
    let port = first.port();
    let settings = PushgatewaySettings { retries: 12, ..settings(url_of(&first)) };
    deliver(&settings).expect("delivered");
    // It has the request, or is about to have it, and dies over it.
    first.freeze();
    let pushing = std::thread::spawn(move || deliver(&settings));
    std::thread::sleep(Duration::from_millis(300));
    first.kill();
    // Long enough for an attempt to find nobody there.
    std::thread::sleep(Duration::from_millis(400));
    assert!(!pushing.is_finished(), "it keeps trying");
    let second = Daemon::start_at("prometheus-pushgateway", &["--persistence.file="], port);
    pushing.join().expect("no panic").expect("delivered");
    assert!(second.get("/metrics").contains("a_metric{instance=\"lab\",job=\"lab_probe\"} 1"));
}

#[test]
fn a_gateway_that_hangs_costs_no_more_than_the_deadline_and_nothing_of_the_other_output() {
    let gateway = gateway(&[]);
    let lab = Lab::new();
    config(&lab, "\"a\"", &format!("url = \"{}\"\ntimeout = \"500ms\"\nretries = 10", url_of(&gateway)));
    gateway.freeze();
    let began = instant();
    let run = lab.run(["--once", "--deadline", "3s"]).expect_code(1);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(run.stderr().contains("no time left while waiting for the answer (tried "), "{}", run.stderr());
    let delivered = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("delivered");
    assert!(delivered.contains("\nlab_probe_output_failures_total{output=\"pushgateway\"} 0\n"), "{delivered}");
    gateway.thaw();
    lab.run(["--once"]).expect_code(0);
    assert!(gateway.get("/metrics").contains("lab_probe_output_failures_total{instance="));
    let delivered = std::fs::read_to_string(lab.textfile_dir().join("lab-probe.prom")).expect("delivered");
    assert!(delivered.contains("\nlab_probe_output_failures_total{output=\"pushgateway\"} 1\n"), "{delivered}");
}

#[test]
fn what_the_gateway_finds_inconsistent_is_said_in_its_own_words() {
    let gateway = gateway(&[]);
    let clash = "# HELP lab_probe_pass_failures_total x\n# TYPE lab_probe_pass_failures_total gauge\nlab_probe_pass_failures_total 1\n";
    let others = PushgatewaySettings { job: "other".into(), ..settings(url_of(&gateway)) };
    pushgateway::deliver(&others, clash, Deadline::after(AMPLE)).expect("delivered");
    let lab = Lab::new();
    config(&lab, "\"a\"", &format!("url = \"{}\"\nretries = 5", url_of(&gateway)));
    let said = lab.run(["--once"]).expect_code(1).stderr();
    // Debian 13's panics while it logs its refusal, and nothing is answered.
    if gateway.get("/metrics").contains("version=\"1.11.0\"") {
        return assert!(
            said.contains("the connection was closed while waiting for the answer (tried 6 times)"),
            "{said}"
        );
    }
    assert!(said.contains("HTTP 400: pushed metrics are invalid or inconsistent with existing metrics"), "{said}");
    assert!(said.contains("lab_probe_pass_failures_total") && !said.contains("tried"), "{said}");
}

#[test]
fn a_gateway_that_hangs_up_may_be_one_that_refuses() {
    let fake = Fake::serve(|_, _| Then::Close);
    let lab = Lab::new();
    config(&lab, "\"a\"", &format!("url = \"{}\"\nretries = 0", fake.url("/")));
    let said = lab.run(["--once"]).expect_code(1).stderr();
    assert!(said.contains("the connection was closed while waiting for the answer"), "{said}");
    assert!(said.contains("see its log") && said.contains("with another TYPE"), "{said}");
}

type Answers = &'static [(&'static str, &'static [(&'static str, &'static str)])];

/// A server that gives these answers, one after the other, the last one for ever.
fn answering(answers: Answers) -> Fake {
    let next = AtomicUsize::new(0);
    Fake::serve(move |_, stream| {
        let (status, headers) = answers[next.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
        answer(stream, status, headers, b"its own words\n")
    })
}

/// Answers, how many pushes they get, and what is said in the end (its beginning).
type Course = (Answers, usize, Result<(), &'static str>);

const COURSES: &[Course] = &[
    (&[("503 Busy", &[]), ("500 Oops", &[]), ("200 OK", &[])], 3, Ok(())),
    (&[("202 Accepted", &[])], 1, Ok(())),
    (&[("503 Busy", &[])], 3, Err("the gateway answered HTTP 503: its own words (tried 3 times)")),
    (&[("429 Slow down", &[("Retry-After", "0")]), ("200 OK", &[])], 2, Ok(())),
    (&[("400 Bad", &[]), ("200 OK", &[])], 1, Err("the gateway answered HTTP 400: its own words; see its message")),
    (&[("404 Gone", &[])], 1, Err("the gateway answered HTTP 404: its own words; check the URL")),
    // Longer than the pass has: no use in waiting.
    (&[("503 Busy", &[("Retry-After", "3600")])], 1, Err("the gateway answered HTTP 503: its own words")),
];

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    for (answers, puts, outcome) in COURSES {
        let fake = answering(answers);
        let began = instant();
        let result = deliver(&settings(fake.url("/"))).map_err(|error| exit::sentence(&error));
        match (result, outcome) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(sentence)) if error.starts_with(sentence) => {}
            (result, outcome) => panic!("{answers:?}: {result:?}, not {outcome:?}"),
        }
        assert_eq!(fake.count("PUT"), *puts, "{answers:?}");
        assert!(began.elapsed() < AMPLE, "{answers:?}");
    }
}

#[test]
fn retry_after_is_waited_for() {
    let fake = answering(&[("429 Slow down", &[("Retry-After", "1")]), ("200 OK", &[])]);
    let began = instant();
    deliver(&settings(fake.url("/"))).expect("delivered");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_large_body_is_compressed_for_a_gateway_that_says_it_takes_that() {
    let exposition: String = EXPOSITION.to_owned() + &"# a comment that makes it long\n".repeat(1000);
    for (version, encoding) in [("1.5.1", Some("gzip")), ("1.11.2", Some("gzip")), ("1.4.3", None), ("", None)] {
        let fake = Fake::serve(move |seen, stream| match seen.target.as_str() {
            "/api/v1/status" if !version.is_empty() => {
                let status = format!("{{\"data\":{{\"build_information\":{{\"version\":\"{version}\"}}}}}}");
                answer(stream, "200 OK", &[("Content-Type", "application/json")], status.as_bytes())
            }
            "/metrics/job/lab_probe/instance/lab" => answer(stream, "200 OK", &[], b""),
            _ => {
                answer(stream, "404 Not Found", &[], b"");
                Then::Close
            }
        });
        pushgateway::deliver(&settings(fake.url("/")), &exposition, Deadline::after(AMPLE)).expect("delivered");
        let seen = fake.seen();
        let put = seen.iter().find(|seen| seen.method == "PUT").expect("a push");
        assert_eq!(put.header("content-encoding"), encoding, "{version}");
        let mut body = String::new();
        match encoding {
            Some(_) => flate2::read::GzDecoder::new(put.body.as_slice()).read_to_string(&mut body).map(drop),
            None => put.body.as_slice().read_to_string(&mut body).map(drop),
        }
        .expect("a body");
        assert!(body == exposition, "{version}: the body changed");
        deliver(&settings(fake.url("/"))).expect("delivered");
        let small = fake.seen().pop().expect("a push");
        assert_eq!((small.header("content-encoding"), small.body.as_slice()), (None, EXPOSITION.as_bytes()));
    }
    // And for a real one.
    let gateway = gateway(&[]);
    pushgateway::deliver(&settings(url_of(&gateway)), &exposition, Deadline::after(AMPLE)).expect("delivered");
    assert!(gateway.get("/metrics").contains("a_metric{instance=\"lab\",job=\"lab_probe\"} 1"));
}

#[test]
fn the_environments_proxy_is_used_for_a_gateway_elsewhere_and_not_for_one_here() {
    let proxy = Fake::serve(|_, stream| answer(stream, "200 OK", &[], b""));
    let gateway = gateway(&[]);
    let lab = Lab::new();
    let pass = |url: &str| {
        config(&lab, "\"a\"", &format!("url = \"{url}\"\ngrouping = {{ instance = \"lab\" }}"));
        let mut command = lab.command(["--once"]);
        let output = command.env("http_proxy", proxy.url("/")).output().expect("lab-probe starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    pass(&url_of(&gateway));
    assert_eq!(proxy.seen().len(), 0);
    pass("http://push.invalid:9091");
    let target = proxy.seen().pop().expect("a request").target;
    assert_eq!(target, "http://push.invalid:9091/metrics/job/lab_probe/instance/lab");
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    let error = exit::sentence(&deliver(&settings("http://127.0.0.1:1")).expect_err("refused"));
    assert!(error.contains("(tried 3 times); start the Pushgateway or correct output.pushgateway.url"), "{error}");
    let missing =
        PushgatewaySettings { bearer_token_file: Some(Path::new("/none").into()), ..settings("http://[::1]:1") };
    assert!(deliver(&missing).expect_err("refused").to_string().contains("cannot read /none"));
}
